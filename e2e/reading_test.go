package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"source-planetscale/e2e/script"
	"source-planetscale/internal/destination"
)

// syncLimit is how long a sync may take. The longest waits are for the tablets of a shard that is gone.
const syncLimit = 10 * time.Minute

// checkpoints is a little more than the interval between checkpoints that pipelines configure.
const checkpoints = 1100 * time.Millisecond

// reading is a sync that is read step by step: between two steps the connector waits for its reader, and the server for the
// connector.
type reading struct {
	p      *pipeline
	cmd    *exec.Cmd
	stdout io.ReadCloser
	r      *bufio.Reader // of stdout
	out    bytes.Buffer  // what was read
	stderr bytes.Buffer
	late   *time.Timer
}

// start begins a sync from the state.
func (p *pipeline) start() *reading {
	p.t.Helper()
	args := []string{"read", "--config", p.config, "--catalog", p.catalog}
	if p.state != nil {
		args = append(args, "--state", p.file("state.json", p.state))
	}
	s := &reading{p: p, cmd: p.command(args...)}
	s.cmd.Stderr = &s.stderr
	var err error
	if s.stdout, err = s.cmd.StdoutPipe(); err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	s.r = bufio.NewReaderSize(s.stdout, 1<<20)
	s.late = time.AfterFunc(syncLimit, func() { _ = s.cmd.Process.Kill() })
	p.t.Cleanup(func() { s.late.Stop(); _ = s.cmd.Process.Kill() }) // should the test have ended before it
	return s
}

// next reads a line; an empty one is the end.
func (s *reading) next() []byte {
	s.p.t.Helper()
	line, err := s.r.ReadBytes('\n')
	s.out.Write(line)
	if err != nil && !errors.Is(err, io.EOF) {
		s.p.t.Fatal(err)
	}
	return line
}

func isRecord(line []byte) bool { return bytes.HasPrefix(line, []byte(`{"type":"RECORD"`)) }

// notRecords are the lines of an output that are neither records nor states.
func notRecords(out []byte) string {
	var b strings.Builder
	for line := range bytes.Lines(out) {
		if !isRecord(line) && !bytes.HasPrefix(line, []byte(`{"type":"STATE"`)) {
			b.Write(line)
		}
	}
	return b.String()
}

// until reads up to that many records.
func (s *reading) until(records int) {
	s.p.t.Helper()
	for records > 0 {
		line := s.next()
		if len(line) == 0 {
			s.p.t.Fatalf("the connector ended %d records early: %s", records, notRecords(s.out.Bytes()))
		}
		if isRecord(line) {
			records--
		}
	}
}

// untilSaid reads up to a message with these words.
func (s *reading) untilSaid(words string) {
	s.p.t.Helper()
	for {
		line := s.next()
		if bytes.Contains(line, []byte(words)) {
			return
		}
		if len(line) == 0 {
			s.p.t.Fatalf("the connector ended before it said %q: %s", words, notRecords(s.out.Bytes()))
		}
	}
}

// rest reads what is left, and returns how the connector ended.
func (s *reading) rest() error {
	defer s.late.Stop()
	_, err := io.Copy(&s.out, s.r)
	if err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	err = s.cmd.Wait()
	if s.stderr.Len() > 0 {
		err = errors.Join(err, fmt.Errorf("it wrote to stderr: %s", s.stderr.Bytes()))
	}
	return err
}

// finish reads on to the end, well or not, and delivers what came.
func (s *reading) finish() error {
	s.p.t.Helper()
	err := s.rest()
	s.p.deliver(s.out.Bytes())
	return err
}

// toEnd reads on to the end, which must be a good one, by the protocol.
func (s *reading) toEnd() {
	s.p.t.Helper()
	if err := s.finish(); err != nil {
		s.p.t.Fatalf("the connector ended with %v: %s", err, notRecords(s.out.Bytes()))
	}
	if err := script.Validate(s.out.String(), string(read(s.p.t, s.p.catalog))); err != nil {
		s.p.t.Error(err)
	}
}

// kill ends the connector, and delivers what came.
func (s *reading) kill() {
	s.p.t.Helper()
	_ = s.cmd.Process.Kill()
	_ = s.finish()
}

// readToEnd runs a sync that is to succeed.
func (p *pipeline) readToEnd() {
	p.t.Helper()
	p.start().toEnd()
}

// readWithin runs a sync that is to succeed, and not to wait for what does not come.
func (p *pipeline) readWithin(limit time.Duration) {
	p.t.Helper()
	s := p.start()
	s.late.Reset(limit)
	s.toEnd()
}

// readFails runs a sync in which the stream of the table must fail, alone and permanently; its trace is returned.
func (p *pipeline) readFails() destination.Error {
	p.t.Helper()
	s := p.start()
	if err := s.finish(); err == nil {
		p.t.Fatalf("the connector ended well: %s", notRecords(s.out.Bytes()))
	}
	if len(p.last.Errors) != 1 {
		p.t.Fatalf("traces %+v", p.last.Errors)
	}
	e := p.last.Errors[0]
	if e.FailureType != "config_error" || e.Stream == nil || *e.Stream != p.stream(p.table) {
		p.t.Fatalf("trace %+v", e)
	}
	for stream, status := range p.last.Statuses {
		if (status == "COMPLETE") == (stream == *e.Stream) {
			p.t.Errorf("stream %s is %s", stream, status)
		}
	}
	return e
}

// readUntilKilled reads that many lines and kills the connector; false if it had ended before.
func (p *pipeline) readUntilKilled(lines int) bool {
	p.t.Helper()
	s := p.start()
	defer s.kill()
	var first time.Time // of a record
	for n := range lines {
		if n == lines/4 {
			// A slow consumer: the next boundary is due for a checkpoint, which falls into the copy. The interval begins with the
			// stream, which may be long after the process where others keep the machine busy.
			<-time.After(time.Until(first.Add(checkpoints)))
		}
		line := s.next()
		if len(line) == 0 {
			return false
		}
		if first.IsZero() && isRecord(line) {
			first = time.Now()
		}
	}
	return true
}

// copyHalf reads that many lines, again and again, until the copy is to be resumed by its key.
func (p *pipeline) copyHalf(lines int) {
	p.t.Helper()
	for range 30 {
		p.reset()
		p.readUntilKilled(lines)
		if strings.Contains(string(p.state), `"last_pk"`) {
			return
		}
	}
	p.t.Fatal("no kill left a copy to be resumed by its key")
}

// readSideBySide runs a sync of each at the same time.
func readSideBySide(t *testing.T, parts []*pipeline) {
	t.Helper()
	ended := make([]chan error, len(parts))
	running := make([]*reading, len(parts))
	for i, p := range parts {
		s, end := p.start(), make(chan error, 1)
		go func() { end <- s.rest() }()
		running[i], ended[i] = s, end
	}
	for i, p := range parts {
		if err := <-ended[i]; err != nil {
			t.Fatalf("the connector ended with %v: %s", err, notRecords(running[i].out.Bytes()))
		}
		p.deliver(running[i].out.Bytes())
	}
}
