package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sample is one run of a program.
type sample struct {
	Seconds float64 `json:"seconds"` // from its start to its end
	CPU     float64 `json:"cpu"`     // user and system time, in seconds
	Peak    int64   `json:"peak"`    // of resident memory, in bytes
	Machine float64 `json:"machine"` // CPU time of everything that ran meanwhile on all cores, in seconds
}

// A program's peak memory is looked up after firstPoll, then after twice as long each time, up to peakPoll: what it takes in its last
// moments is missed. Each look costs time on the cores that the program needs, more for a program of two processes.
const (
	firstPoll = 5 * time.Millisecond
	peakPoll  = 100 * time.Millisecond
)

// run runs a program to its end and measures it. What it prints to stdout goes to out; nil for /dev/null.
func run(ctx context.Context, out io.Writer, args ...string) (sample, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &stderr
	began, before := time.Now(), machineCPU()
	if err := cmd.Start(); err != nil {
		return sample{}, fmt.Errorf("starting %s: %w", args[0], err)
	}
	ended, peak := make(chan struct{}), make(chan int64)
	go func() { peak <- watchPeak(cmd.Process.Pid, ended) }()
	err := cmd.Wait()
	s := sample{Seconds: time.Since(began).Seconds(), Machine: machineCPU() - before}
	close(ended)
	s.Peak = <-peak
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	s.CPU = time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
	return s, nil
}

// userHz is the unit of CPU time in /proc/stat, on every architecture that Go knows.
const userHz = 100

// machineCPU is how long all cores together have worked since the machine started, in seconds; 0 where nothing tells.
func machineCPU() float64 {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	var user, nice, system, idle, iowait, irq, softirq float64
	if _, err := fmt.Sscanf(string(stat), "cpu %g %g %g %g %g %g %g", &user, &nice, &system, &idle, &iowait, &irq, &softirq); err != nil {
		return 0
	}
	return (user + nice + system + irq + softirq) / userHz
}

// watchPeak returns the most resident memory of a program, in bytes: the process that works, and what one that watches over it has of its
// own (both have the program's file, which is in memory once). The rusage of an ended one does not tell: it counts
// what its parent had before the exec.
func watchPeak(pid int, ended <-chan struct{}) int64 {
	var peak int64
	for pause := firstPoll; ; pause = min(2*pause, peakPoll) {
		peak = max(peak, peakOf(pid))
		select {
		case <-ended:
			return peak
		case <-time.After(pause):
		}
	}
}

// peakOf is 0 for a program that has ended.
func peakOf(pid int) int64 {
	children, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return 0
	}
	var peak int64
	for _, list := range children {
		text, err := os.ReadFile(list)
		if err != nil {
			return 0
		}
		for _, child := range strings.Fields(string(text)) {
			if n, err := strconv.Atoi(child); err == nil {
				peak += peakOf(n)
			}
		}
	}
	if peak > 0 {
		return peak + memory(pid, "RssAnon:")
	}
	return memory(pid, "VmHWM:")
}

// memory is a figure of a process' status, in bytes.
func memory(pid int, figure string) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, line, _ := strings.Cut(string(status), figure)
	var kibibytes int64
	if _, err := fmt.Sscan(line, &kibibytes); err != nil {
		return 0
	}
	return kibibytes << 10
}

// piped runs a program whose stdout is read by cat. Only the program is measured, not cat.
func piped(ctx context.Context, args ...string) (sample, error) {
	cat := exec.CommandContext(ctx, "cat")
	read, write, err := os.Pipe()
	if err != nil {
		return sample{}, err
	}
	cat.Stdin = read
	err = cat.Start()
	read.Close()
	if err != nil {
		write.Close()
		return sample{}, err
	}
	s, err := run(ctx, write, args...)
	write.Close()
	if catErr := cat.Wait(); err == nil {
		err = catErr
	}
	return s, err
}

// together adds up programs that ran at the same time.
func together(samples []sample) sample {
	var sum sample
	for _, s := range samples {
		sum = sample{max(sum.Seconds, s.Seconds), sum.CPU + s.CPU, sum.Peak + s.Peak, max(sum.Machine, s.Machine)}
	}
	return sum
}

// median takes the median of each figure separately, and the highest of the peaks: a memory limit applies to each run.
func median(samples []sample) sample {
	var m sample
	var seconds, cpu, machine []float64
	for _, s := range samples {
		seconds, cpu, machine = append(seconds, s.Seconds), append(cpu, s.CPU), append(machine, s.Machine)
		m.Peak = max(m.Peak, s.Peak)
	}
	m.Seconds, m.CPU, m.Machine = middle(seconds), middle(cpu), middle(machine)
	return m
}

func middle(values []float64) float64 {
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}
