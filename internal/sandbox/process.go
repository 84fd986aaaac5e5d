package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// process is a program of the cluster and how to run it.
type process struct {
	name  string
	args  []string // the program first
	spell bool     // the arguments as the program knows them, before it starts
	dir   string   // its working folder
	ready []string // the addresses it listens on once it is up
	// prepare creates what the program needs on disk; nil if nothing.
	prepare func() error
}

const (
	startTimeout = 2 * time.Minute
	stopTimeout  = 30 * time.Second
	pollInterval = 20 * time.Millisecond
)

// running returns the recorded process of that name, false when it is not
// running.
func (s *Sandbox) running(name string) (identity, bool) {
	raw, err := os.ReadFile(s.pidFile(name))
	if err != nil {
		return identity{}, false
	}
	var id identity
	if json.Unmarshal(raw, &id) != nil {
		return identity{}, false
	}
	return id, id.alive()
}

func (s *Sandbox) pidFile(name string) string { return filepath.Join(s.Dir, "run", name+".json") }
func (s *Sandbox) logFile(name string) string { return filepath.Join(s.Dir, "log", name+".log") }

// launch starts the process in a session of its own, so that it outlives the
// command and no Ctrl-C reaches it, and records it.
func (s *Sandbox) launch(ctx context.Context, p process) error {
	if p.prepare != nil {
		if err := p.prepare(); err != nil {
			return fmt.Errorf("preparing %s: %w", p.name, err)
		}
	}
	args := p.args
	if p.spell {
		var err error
		if args, err = spell(args); err != nil {
			return err
		}
	}
	log, err := os.OpenFile(s.logFile(p.name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("opening the log of %s: %w", p.name, err)
	}
	defer log.Close()
	cmd, err := unprivileged(context.WithoutCancel(ctx), p.dir, args...)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "VTDATAROOT="+filepath.Join(s.Dir, "data"))
	cmd.SysProcAttr.Setsid = true
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	id, ok := identify(cmd.Process.Pid)
	go func() { _ = cmd.Wait() }() // reaps it when it dies before we do
	if !ok {
		return s.died(p.name)
	}
	raw, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return os.WriteFile(s.pidFile(p.name), raw, 0o644)
}

// await waits until the process listens on all its addresses.
func (s *Sandbox) await(ctx context.Context, p process) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return poll(ctx, func() (bool, error) {
		if _, ok := s.running(p.name); !ok {
			return false, s.died(p.name)
		}
		for _, addr := range p.ready {
			if !listens(ctx, addr) {
				return false, nil
			}
		}
		return true, nil
	}, func() error { return s.stuck(p.name) })
}

func listens(ctx context.Context, addr string) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", addr)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// died is the error about a process that ended by itself.
func (s *Sandbox) died(name string) error {
	return fmt.Errorf("%s died; the end of its log (%s):\n%s", name, s.logFile(name), tail(s.logFile(name)))
}

func (s *Sandbox) stuck(name string) error {
	return fmt.Errorf("%s does not listen; the end of its log (%s):\n%s", name, s.logFile(name), tail(s.logFile(name)))
}

// tail returns the last lines of a file, at most 4 KiB.
func tail(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	raw = raw[max(0, len(raw)-4096):]
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(lines[max(0, len(lines)-25):], "\n")
}

// stop signals the named processes and waits until they are gone; those still
// there after stopTimeout are killed.
func (s *Sandbox) stop(ctx context.Context, sig syscall.Signal, names ...string) error {
	var left []identity
	for _, name := range names {
		id, ok := s.running(name)
		if !ok {
			continue
		}
		if err := id.signal(sig); err != nil {
			return fmt.Errorf("stopping %s: %w", name, err)
		}
		left = append(left, id)
	}
	if err := awaitEnd(ctx, left); err == nil || ctx.Err() != nil {
		return err
	}
	for _, id := range left {
		if err := id.signal(syscall.SIGKILL); err != nil {
			return fmt.Errorf("killing process %d: %w", id.PID, err)
		}
	}
	return awaitEnd(ctx, left)
}

func awaitEnd(ctx context.Context, ids []identity) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	return poll(ctx, func() (bool, error) {
		for _, id := range ids {
			if id.alive() {
				return false, nil
			}
		}
		return true, nil
	}, func() error { return errors.New("processes of the sandbox do not end") })
}

// poll calls done until it is true or fails, or the context ends: then late
// says what was missing.
func poll(ctx context.Context, done func() (bool, error), late func() error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), late())
		case <-ticker.C:
		}
	}
}
