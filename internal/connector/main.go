package connector

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/crash"
	"source-planetscale/internal/engine"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/quiet"
)

// grace is how long a command may take to stop when asked to. A write to a stdout that nobody reads cannot be interrupted.
const grace = 3 * time.Second

// Main runs the command that the program's arguments name, and returns its exit code. SIGTERM and SIGINT end it. A command that connects
// to anything is run in a second process, so that one process remains to report whatever ends it.
func Main() int {
	// A closed stdout must appear as a write error, and not kill the process.
	signal.Ignore(syscall.SIGPIPE)
	if slices.ContainsFunc(os.Args[1:], connects) {
		if code, err := watch(); err == nil {
			return code
		}
	}
	return work()
}

// connects reports whether an argument is a command that connects to a server. The others, above all spec, finish before a second process
// would start.
func connects(arg string) bool {
	return slices.Contains([]string{"check", "discover", "read", "position"}, arg)
}

// watch runs the program in a second process, and returns its exit code, or an error if that is impossible.
func watch() (code int, err error) {
	code, crashed, cut, err := crash.Watch()
	if err != nil || crashed == nil {
		return code, err
	}
	said := make(chan struct{})
	go func() {
		defer close(said)
		if cut {
			_, _ = os.Stdout.WriteString("\n") // the next write shows the same error
		}
		_ = airbyte.NewWriter(os.Stdout).Error(died(crashed).Trace(nil)) // nobody reads what we would write
	}()
	select {
	case <-said:
	case <-time.After(grace): // nor will anybody read it later
	}
	return exitFailed, nil
}

// died is the verdict on a process that did not exit by itself.
func died(c *crash.Crash) *failure.Verdict {
	if c.OfMemory() {
		return failure.System("give the source more memory, or lower "+failure.Option("Concurrent copies", "concurrency")+"; the next attempt resumes from the last "+
			"checkpoint", "The connector's process was killed, most likely because it ran out of memory").Because(c)
	}
	return failure.System("the next attempt resumes from the last checkpoint; if it happens again, report it with the log",
		"The connector crashed").Because(c)
}

// work runs the command in this process.
func work() int {
	engine.CollectGarbage()
	if err := quiet.Libraries(); err != nil {
		return exitFailed // it only fails for a nil logger
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	code := make(chan int, 1)
	stdout, stderr := crash.Streams()
	go func() { code <- Run(ctx, os.Args[1:], stdout, stderr) }()
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
