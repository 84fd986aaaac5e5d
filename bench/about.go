package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"source-planetscale/internal/sandbox"
)

// about says when and where something was measured, and which build.
type about struct {
	Date   string `json:"date"`
	Commit string `json:"commit"`
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory"` // bytes
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	Vitess string `json:"vitess"`
	MySQL  string `json:"mysql"`
	Rounds int    `json:"rounds"`
	// Load is the machine's load average over the minute before: more than about 1 means that other programs were running.
	Load string `json:"load"`
}

func (b *bench) about(ctx context.Context) (about, error) {
	a := about{
		Date: time.Now().UTC().Format(time.DateOnly), Commit: commit(ctx), CPU: cpuModel(), Cores: runtime.NumCPU(),
		Go: strings.TrimPrefix(runtime.Version(), "go"), Vitess: sandbox.VitessVersion, Rounds: b.rounds,
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return a, err
	}
	a.Kernel = unix.ByteSliceToString(name.Release[:])
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return a, err
	}
	a.Memory = int64(info.Totalram) * int64(info.Unit)
	a.Load = fmt.Sprintf("%.1f", float64(info.Loads[0])/(1<<16))
	db, err := b.mysqld("commerce", "-")
	if err != nil {
		return a, err
	}
	defer db.Close()
	return a, db.QueryRowContext(ctx, "select @@version").Scan(&a.MySQL)
}

// commit names the commit, with a mark when files other than the results differ from it.
func commit(ctx context.Context) string {
	name, err := exec.CommandContext(ctx, "git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	changed, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--", ":/", ":(top,exclude)bench/results.*", ":(top,exclude)bench/RESULTS.md").
		Output()
	if err != nil || len(changed) > 0 {
		return string(bytes.TrimSpace(name)) + " and changes"
	}
	return string(bytes.TrimSpace(name))
}

func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
