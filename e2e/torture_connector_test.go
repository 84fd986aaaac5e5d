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
	"time"
)

// connectorRun is one run of the connector, whose output is read as a history says.
type connectorRun struct {
	cmd    *exec.Cmd
	stdout *bufio.Reader
	out    bytes.Buffer
	stderr bytes.Buffer
	bound  *time.Timer
	late   atomic.Bool // it did not end in time, and was killed
	killed bool        // the history killed it
}

func startConnector(ctx context.Context, program string, bound time.Duration, args ...string) (*connectorRun, error) {
	c := &connectorRun{cmd: exec.CommandContext(ctx, program, args...)}
	c.cmd.Stderr = &c.stderr
	c.cmd.Env = append(os.Environ(), "SOURCE_PLANETSCALE_PROCESS=alone") // without the watching process, which does not print stacks
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	c.stdout = bufio.NewReaderSize(stdout, 1<<16)
	c.bound = time.AfterFunc(bound, func() {
		c.late.Store(true)
		_ = c.cmd.Process.Signal(syscall.SIGQUIT) // prints its stacks
		time.AfterFunc(2*time.Second, func() { _ = c.cmd.Process.Kill() })
	})
	return c, nil
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
	err := c.cmd.Wait()
	c.bound.Stop()
	if err == nil {
		return copied
	}
	return err
}

func (c *connectorRun) kill() error {
	c.killed = true
	_ = c.cmd.Process.Kill()
	return c.end()
}

func (c *connectorRun) terminate() error {
	c.killed = true
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	return c.end()
}
