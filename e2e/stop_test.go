package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// stopLimit is three times what the manual promises: the connector stops within 5 s.
const stopLimit = 15 * time.Second

// startRead reads a table whose records do not fit into a pipe, and returns after the first record.
func startRead(t *testing.T, table string) *reading {
	t.Helper()
	c := shared(t)
	p := newPipeline(t, c, c.ConfigUnsharded, table)
	p.insert(0, 2000, noise(1000))
	s := p.start()
	s.until(1)
	return s
}

// ended waits for the end of the process, while nothing reads its output, and returns how it ended.
func (s *reading) ended() string {
	s.p.t.Helper()
	exited := make(chan string, 1)
	go func() {
		state, err := s.cmd.Process.Wait()
		exited <- fmt.Sprint(state, err)
	}()
	select {
	case how := <-exited:
		return how
	case <-time.After(stopLimit):
		s.p.t.Fatalf("the connector was still running after %s", stopLimit)
		return ""
	}
}

func TestTerminatedWhileNobodyReads(t *testing.T) {
	s := startRead(t, "stop_term")
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if how := s.ended(); how != "exit status 143 <nil>" {
		t.Errorf("ended with %s", how)
	}
	if _, err := io.Copy(&s.out, s.r); err != nil {
		t.Fatal(err)
	}
	s.p.deliver(s.out.Bytes())
	if len(s.p.last.States) == 0 {
		t.Error("no state was printed before the first record")
	}
}

// If the kernel kills the process, for example because memory ran out, the watching process reports it after the line that was cut: the
// pipe is full, and its last line is incomplete.
func TestKilledProcessIsToldByItsWatcher(t *testing.T) {
	s := startRead(t, "stop_killed")
	children := childrenOf(t, s.cmd.Process.Pid)
	if len(children) != 1 {
		t.Fatalf("children %v", children)
	}
	if err := syscall.Kill(children[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(&s.out, s.r); err != nil {
		t.Fatal(err)
	}
	if how := s.ended(); how != "exit status 1 <nil>" || s.stderr.Len() > 0 {
		t.Errorf("ended with %s, %s", how, s.stderr.String())
	}
	said := bytes.TrimRight(s.out.Bytes(), "\n")
	last := bytes.LastIndexByte(said, '\n') + 1
	if !bytes.Contains(said[last:], []byte(`most likely because it ran out of memory; `)) || !bytes.Contains(said[last:], []byte(`"system_error"`)) {
		t.Errorf("the last line is %.1000s", said[last:])
	}
	cut := bytes.LastIndexByte(said[:last-1], '\n') + 1
	if json.Valid(said[cut : last-1]) {
		t.Error("no line was cut off")
	}
	s.p.deliver(said[:cut])
	s.p.readToEnd()
	s.p.mustEqualTheSource()
}

func TestStdoutClosed(t *testing.T) {
	s := startRead(t, "stop_pipe")
	if err := s.stdout.Close(); err != nil {
		t.Fatal(err)
	}
	if how := s.ended(); how != "exit status 1 <nil>" {
		t.Errorf("ended with %s", how)
	}
}

// A command that waits for a server writes nothing, so no write fails.
func TestStdoutClosedWhileNothingIsWritten(t *testing.T) {
	server, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	p := &pipeline{t: t, dir: t.TempDir(), command: program}
	port := server.Addr().(*net.TCPAddr).Port
	p.config = p.file("config.json",
		fmt.Appendf(nil, `{"host":"127.0.0.1","database":"shop","username":"u","password":"p","mysql_port":%d}`, port))
	p.catalog = p.file("catalog.json", []byte(`{"streams":[{"stream":{"name":"users","json_schema":{}},"sync_mode":"incremental"}]}`))
	s := p.start()
	if err := server.(*net.TCPListener).SetDeadline(time.Now().Add(stopLimit)); err != nil {
		t.Fatal(err)
	}
	silent, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if err := s.stdout.Close(); err != nil {
		t.Fatal(err)
	}
	if how := s.ended(); how != "exit status 1 <nil>" {
		t.Errorf("ended with %s", how)
	}
}
