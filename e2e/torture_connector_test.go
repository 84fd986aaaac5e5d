package e2e

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// connectorRun is one run of the connector, whose output is read as a history says.
type connectorRun struct {
	purged bool // binary logs were, since it began
	cmd    *exec.Cmd
	pipe   *os.File
	stdout *bufio.Reader
	out    bytes.Buffer
	stderr bytes.Buffer
	bound  *time.Timer
	late   atomic.Bool   // it did not end in time, and was killed
	killed bool          // the history ended it before it ended by itself
	over   chan struct{} // closed when the process has ended
	err    error         // how it ended
}

// pipeSize is as small as Linux allows: a connector of whose few records not all are read is still in the middle of its sync.
const pipeSize = 4096

func startConnector(ctx context.Context, program string, bound time.Duration, args ...string) (*connectorRun, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	const setPipeSize = 1031                                                    // F_SETPIPE_SZ
	_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, w.Fd(), setPipeSize, pipeSize) // elsewhere syncs end sooner
	c := &connectorRun{cmd: exec.CommandContext(ctx, program, args...), pipe: r, over: make(chan struct{})}
	c.stdout = bufio.NewReaderSize(r, pipeSize)
	c.cmd.Stdout, c.cmd.Stderr = w, &c.stderr
	c.cmd.Env = append(os.Environ(), "SOURCE_PLANETSCALE_PROCESS=alone") // without the watching process, which does not print stacks
	err = c.cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.over)
	}()
	c.bound = time.AfterFunc(bound, func() {
		c.late.Store(true)
		_ = c.cmd.Process.Signal(syscall.SIGQUIT) // prints its stacks
		time.AfterFunc(2*time.Second, func() { _ = c.cmd.Process.Kill() })
	})
	return c, nil
}

// extend gives it that long from now: what the history does meanwhile takes time, too.
func (c *connectorRun) extend(bound time.Duration) {
	if !c.late.Load() {
		c.bound.Reset(bound)
	}
}

// running reports whether the process has not ended yet.
func (c *connectorRun) running() bool {
	select {
	case <-c.over:
		return false
	default:
		return true
	}
}

// until reads lines up to the nth that contains these bytes, or to the end.
func (c *connectorRun) until(n int, mark string) {
	for n > 0 {
		line, err := c.stdout.ReadBytes('\n')
		c.out.Write(line)
		if err != nil {
			return
		}
		if bytes.Contains(line, []byte(mark)) {
			n--
		}
	}
}

// end reads the remaining output and waits for the end of the process.
func (c *connectorRun) end() error {
	_, copied := io.Copy(&c.out, c.stdout)
	<-c.over
	c.bound.Stop()
	c.pipe.Close()
	if c.err == nil {
		return copied
	}
	return c.err
}

func (c *connectorRun) kill() error {
	_ = c.cmd.Process.Kill()
	err := c.end()
	c.killed = endedBy(c.cmd.ProcessState, syscall.SIGKILL)
	return err
}

// termLimit is how long the connector may take to stop when it is asked to, on a busy machine.
const termLimit = 30 * time.Second

func (c *connectorRun) terminate() error {
	c.extend(termLimit)
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	err := c.end()
	c.killed = endedBy(c.cmd.ProcessState, syscall.SIGTERM)
	return err
}

// endedBy reports whether a signal ended the process, or made it end with the exit code that says so.
func endedBy(state *os.ProcessState, signal syscall.Signal) bool {
	status, ok := state.Sys().(syscall.WaitStatus)
	return ok && (status.Signaled() && status.Signal() == signal || status.ExitStatus() == 128+int(signal))
}

// A run that had ended by itself is judged as it is, even if a history comes to kill it.
func TestARunIsKilledOnlyWhileItRuns(t *testing.T) {
	for name, stop := range map[string]func(*connectorRun) error{"kill": (*connectorRun).kill, "term": (*connectorRun).terminate} {
		for script, killed := range map[string]bool{"echo": false, "echo; exit 1": false, "echo; exec sleep 60": true} {
			c, err := startConnector(t.Context(), "sh", time.Minute, "-c", script)
			if err != nil {
				t.Fatal(err)
			}
			if c.until(1, "\n"); !killed {
				<-c.over
			}
			if err := stop(c); c.killed != killed || (err == nil) != (script == "echo") {
				t.Errorf("%s of %q: %v, killed: %v", name, script, err, c.killed)
			}
		}
	}
}
