package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// replayServer is a replay as a process of its own.
type replayServer struct {
	addr  string
	stdin io.Closer
	cmd   *exec.Cmd
}

func startReplay(ctx context.Context, self, file string, loops int) (*replayServer, error) {
	cmd := exec.CommandContext(ctx, self, "replay", file, fmt.Sprint(loops))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var port int
	if _, err := fmt.Fscanln(stdout, &port); err != nil {
		stdin.Close()
		return nil, fmt.Errorf("the replay did not start: %w", errors.Join(err, cmd.Wait()))
	}
	return &replayServer{addr: fmt.Sprintf("127.0.0.1:%d", port), stdin: stdin, cmd: cmd}, nil
}

// stop ends the process by closing its stdin; its exit code is irrelevant.
func (s *replayServer) stop() {
	s.stdin.Close()
	_ = s.cmd.Wait()
}
