package sandbox

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// emptySandbox is a sandbox whose folders exist, and nothing else.
func emptySandbox(t *testing.T) *Sandbox {
	t.Helper()
	s := newSandbox(t.TempDir(), record{Topology: Default()})
	for _, sub := range []string{"run", "log"} {
		if err := os.Mkdir(filepath.Join(s.Dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func testContext(t *testing.T, timeout time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	t.Cleanup(cancel)
	return ctx
}

func TestLaunchedProcessHasItsOwnSessionAndEnds(t *testing.T) {
	s := emptySandbox(t)
	// A process with a child in its session; it ignores SIGTERM.
	p := process{name: "deaf", args: []string{"sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"}, dir: s.Dir}
	if err := s.launch(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	id, ok := s.running("deaf")
	if !ok {
		t.Fatal("the process is not running after its launch")
	}
	if group, err := syscall.Getpgid(id.PID); err != nil || group != id.PID {
		t.Errorf("the process is in group %d (%v), not in its own: Ctrl-C would reach it", group, err)
	}
	if err := s.stop(testContext(t, time.Minute), syscall.SIGKILL, "deaf"); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.running("deaf"); ok {
		t.Error("the process is still running after its end")
	}
}

func TestRecycledPIDIsNotSignalled(t *testing.T) {
	s := emptySandbox(t)
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- other.Wait() }()
	t.Cleanup(func() {
		_ = other.Process.Kill()
		<-ended
	})
	id, ok := identify(other.Process.Pid)
	if !ok || !id.alive() {
		t.Fatal("a running process is not identified")
	}
	id.Started += "0" // as if of an earlier process with the same pid
	raw, err := json.Marshal(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.pidFile("vtgate"), raw, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(testContext(t, time.Minute), "vtgate"); err != nil {
		t.Fatal(err)
	}
	if _, ok := identify(other.Process.Pid); !ok {
		t.Error("a process that does not belong to the sandbox was killed")
	}
}

func TestAwaitShowsWhyAProcessDied(t *testing.T) {
	s := emptySandbox(t)
	p := process{name: "vtgate", args: []string{"sh", "-c", "echo the port is taken >&2; exit 1"}, dir: s.Dir, ready: []string{closedAddr(t)}}
	err := s.startAll(testContext(t, time.Minute), p)
	if err == nil || !strings.Contains(err.Error(), "vtgate died") || !strings.Contains(err.Error(), "the port is taken") {
		t.Errorf("got %v, want that vtgate died and the end of its log", err)
	}
}

// closedAddr is an address on which nothing listens.
func closedAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestTailIsShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte(strings.Repeat("line\n", 10_000)+"last\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(tail(path), "\n")
	if len(got) != 25 || got[24] != "last" {
		t.Errorf("got %d lines that end with %q, want 25 that end with last", len(got), got[len(got)-1])
	}
}
