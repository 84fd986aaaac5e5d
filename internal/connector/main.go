package connector

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"source-planetscale/internal/failure"
	"source-planetscale/internal/quiet"
)

// grace is how long a command may take to stop when asked to. A write to a stdout that nobody reads cannot be interrupted.
const grace = 3 * time.Second

// garbage is how much the heap may grow before it is collected, in percent of what is in use: less than Go's own choice, 100.
// Nearly all of it is buffers without pointers, so that collecting it more often costs hardly any time (ADR 5).
const garbage = 75

// Main runs the command that the program's arguments name, and returns its exit code. SIGTERM and SIGINT end it.
func Main() int {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(garbage)
	}
	if err := quiet.Libraries(); err != nil {
		return exitFailed // it never fails but for a nil logger
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	// A closed stdout is to show as a write error, not to kill the process.
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	code := make(chan int, 1)
	go func() { code <- Run(ctx, os.Args[1:], os.Stdout, os.Stderr) }()
	select {
	case c := <-code:
		return c
	case <-signals:
		signal.Stop(signals) // a second signal kills
		cancel(failure.ErrTerminated)
	}
	select {
	case c := <-code:
		return c
	case <-time.After(grace):
		return exitTerminated
	}
}
