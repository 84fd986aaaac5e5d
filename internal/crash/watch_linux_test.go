package crash

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// how makes a second process of this test binary watch a third one, which ends in one of the ways below.
const how = "CRASH_TEST_HOW"

// secret is part of every value.
const secret = "s3cr3t"

func TestMain(m *testing.M) {
	end, set := os.LookupEnv(how)
	if !set {
		os.Exit(m.Run())
	}
	code, crashed, cut, err := Watch()
	if err == nil { // this process watches
		if crashed != nil {
			fmt.Printf("\ncut: %v, memory: %v: %s\n", cut, crashed.OfMemory(), crashed)
		}
		os.Exit(code)
	}
	stdout, stderr := Streams()
	ends[end](stdout.(*lines), stderr)
}

// ends are ways in which a process ends.
var ends = map[string]func(stdout *lines, stderr *os.File){
	"well": func(stdout *lines, stderr *os.File) {
		fmt.Fprintln(os.Stderr, "a library's words,", secret)
		fmt.Fprintln(stderr, "ours")
		fmt.Fprintln(stdout, "a line")
		os.Exit(7)
	},
	"text":   func(*lines, *os.File) { library(func() { panic(hostile) }) },
	"error":  func(*lines, *os.File) { library(func() { panic(fmt.Errorf("%s", hostile)) }) },
	"number": func(*lines, *os.File) { library(func() { panic(40404) }) },
	"named":  func(*lines, *os.File) { library(func() { panic(text(hostile)) }) },
	"long":   func(*lines, *os.File) { library(func() { panic(strings.Repeat(hostile, 100_000)) }) },
	"again": func(*lines, *os.File) {
		library(func() {
			defer func() { panic(recover()) }()
			panic(hostile)
		})
	},
	"while it is printed": func(*lines, *os.File) { library(func() { panic(worse{}) }) },
	"index":               func(*lines, *os.File) { library(func() { _ = secret[len(os.Args)+40404:] }) },
	"nil":                 func(*lines, *os.File) { library(func() { _ = *(*int)(nil) }) },
	"map": func(*lines, *os.File) {
		m := map[int]int{}
		write := func() {
			for i := 0; ; i++ {
				m[i%8] = i
			}
		}
		go write()
		library(write)
	},
	"overflow": func(*lines, *os.File) { library(func() { debug.SetMaxStack(1 << 20); os.Exit(endless(1)) }) },
	"memory":   func(*lines, *os.File) { library(func() { _ = make([]byte, 1<<47) }) },
	"in a line": func(stdout *lines, _ *os.File) {
		fmt.Fprint(stdout, "a line\nand a pa")
		library(func() { panic(secret) })
	},
	"behind a line": func(stdout *lines, _ *os.File) {
		fmt.Fprintln(stdout, "a line")
		library(func() { panic(secret) })
	},
	"waits": func(stdout *lines, _ *os.File) {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM)
		fmt.Fprintln(stdout, "pid", os.Getpid())
		<-signals
		fmt.Fprintln(stdout, "asked to end")
		os.Exit(143)
	},
	"does not listen": func(stdout *lines, _ *os.File) {
		fmt.Fprintln(stdout, "pid", os.Getpid())
		time.Sleep(time.Hour)
	},
}

// hostile looks like what the runtime prints.
const hostile = secret + "\nfatal error: " + secret + "\n\ngoroutine 1 [running]:\n" + secret + "(0x1)\n\t/" + secret + ".go:1 +0x1\n"

type text string

type worse struct{}

func (worse) Error() string { panic(hostile) }

func endless(n int) int {
	if n == 0 {
		return 0
	}
	return endless(n+1) + n
}

// library runs f as a library would, in a goroutine that the program did not start.
func library(f func()) {
	time.AfterFunc(0, f)
	select {}
}

// start starts this binary as a program that ends in one of these ways.
func start(t *testing.T, end string) (cmd *exec.Cmd, stdout *bytes.Buffer, stderr *bytes.Buffer) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), how+"="+end)
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

// Whatever ends a watched process, the report says what happened and where, and contains no value.
func TestWhatCrashesAProcessIsTold(t *testing.T) {
	for _, c := range []struct{ end, said string }{
		{"text", `the program panicked in source-planetscale/internal/crash\.init\..*\(watch_linux_test\.go:\d+\), called by .*time\.goFunc \(sleep\.go:\d+\)`},
		{"error", `the program panicked in .*watch_linux_test\.go`},
		{"number", `the program panicked in .*watch_linux_test\.go`},
		{"named", `the program panicked in .*watch_linux_test\.go`},
		{"long", `the program panicked in .*watch_linux_test\.go`},
		{"again", `the program panicked in .*watch_linux_test\.go`},
		{"while it is printed", `crashed with an error of Go's runtime in .*watch_linux_test\.go`},
		{"index", `the program panicked with slice bounds out of range in .*watch_linux_test\.go`},
		{"nil", `the program panicked with nil pointer dereference in .*watch_linux_test\.go`},
		{"map", `crashed with an error of Go's runtime: concurrent map writes in .*watch_linux_test\.go`},
		{"overflow", `crashed with an error of Go's runtime: stack overflow in .*crash\.endless`},
		{"memory", `memory: true: the program crashed with an error of Go's runtime: .*(out of|cannot allocate) memory|` +
			`too many address space collisions for -race mode`}, // the same in other words
		{"in a line", `^a line\nand a pa\ncut: true, memory: false: the program panicked`},
		{"behind a line", `^a line\n\ncut: false, memory: false: the program panicked`},
	} {
		t.Run(c.end, func(t *testing.T) {
			t.Parallel()
			cmd, stdout, stderr := start(t, c.end)
			_ = cmd.Run() // its code says it
			if code := cmd.ProcessState.ExitCode(); code != exitCrashed {
				t.Errorf("exit code %d", code)
			}
			if !regexp.MustCompile(c.said).MatchString(stdout.String()) {
				t.Errorf("stdout is %.3000q, not %s", stdout, c.said)
			}
			if stderr.Len() > 0 || strings.Contains(stdout.String(), secret) || strings.Contains(stdout.String(), "40404") {
				t.Errorf("a value was printed: %.1000q %.1000q", stdout, stderr)
			}
		})
	}
}

func TestAWatchedProcessEndsAsItWould(t *testing.T) {
	cmd, stdout, stderr := start(t, "well")
	_ = cmd.Run() // its code says it
	if code := cmd.ProcessState.ExitCode(); code != 7 || stdout.String() != "a line\n" || stderr.String() != "ours\n" {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
}

// endingOf starts a program, calls do with the ids of its processes, and returns the exit code and the rest of stdout.
func endingOf(t *testing.T, end string, do func(watcher, watched int)) (code int, stdout string) {
	t.Helper()
	cmd, said, stderr := start(t, end)
	cmd.Stdout = nil
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var watched int
	if _, err := fmt.Fscanf(pipe, "pid %d\n", &watched); err != nil {
		t.Fatal(err)
	}
	do(cmd.Process.Pid, watched)
	if _, err := said.ReadFrom(pipe); err != nil { // ends when both processes have ended
		t.Fatal(err)
	}
	_ = cmd.Wait() // its code says it
	if stderr.Len() > 0 {
		t.Errorf("stderr has %q", stderr)
	}
	return cmd.ProcessState.ExitCode(), said.String()
}

func TestSignalsArePassedOn(t *testing.T) {
	kill := func(s syscall.Signal) func(int, int) {
		return func(watcher, _ int) {
			if err := syscall.Kill(watcher, s); err != nil {
				t.Fatal(err)
			}
		}
	}
	if code, said := endingOf(t, "waits", kill(syscall.SIGTERM)); code != 143 || said != "asked to end\n" {
		t.Errorf("exit code %d, %q", code, said)
	}
	if code, said := endingOf(t, "does not listen", kill(syscall.SIGINT)); code != 130 || said != "" {
		t.Errorf("exit code %d, %q", code, said)
	}
}

func TestAKilledProcessIsTold(t *testing.T) {
	code, said := endingOf(t, "waits", func(_, watched int) {
		if err := syscall.Kill(watched, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	})
	_, said, _ = strings.Cut(said, ", ") // whether the line was complete may not have been recorded yet
	if code != exitCrashed || said != "memory: true: the program was killed by SIGKILL\n" {
		t.Errorf("exit code %d, %q", code, said)
	}
}

// A killed watcher leaves no child behind.
func TestNobodyIsLeftUnwatched(t *testing.T) {
	var child string
	code, said := endingOf(t, "waits", func(watcher, watched int) {
		child = "/proc/" + strconv.Itoa(watched) + "/cmdline"
		if err := syscall.Kill(watcher, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	})
	if code != -1 || said != "" {
		t.Errorf("exit code %d, %q", code, said)
	}
	if line, err := os.ReadFile(child); err == nil && len(line) > 0 { // a zombie's command line is empty
		t.Errorf("the child still runs: %q", line)
	}
}
