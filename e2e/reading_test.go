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

// syncLimit is how long a sync may take. The longest waits are for the tablets of a shard that no longer exists.
const syncLimit = 10 * time.Minute

// checkpoints is a little more than the interval between checkpoints that pipelines configure.
const checkpoints = 1100 * time.Millisecond

// reading is a sync whose output is read step by step: between two steps the connector waits for its reader, and the server for the
// connector.
type reading struct {
	p      *pipeline
	cmd    *exec.Cmd
	stdout io.ReadCloser
	r      *bufio.Reader // of stdout
	out    bytes.Buffer  // what has been read
	stderr bytes.Buffer
	late   *time.Timer
}

// start starts a sync from the state.
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
	p.t.Cleanup(func() { s.late.Stop(); _ = s.cmd.Process.Kill() }) // in case the test ends before the process
	return s
}

// next reads a line; an empty one means the end.
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

// notRecords returns the lines of an output that are neither records nor states.
func notRecords(out []byte) string {
	var b strings.Builder
	for line := range bytes.Lines(out) {
		if !isRecord(line) && !bytes.HasPrefix(line, []byte(`{"type":"STATE"`)) {
			b.Write(line)
		}
	}
	return b.String()
}

// until reads up to this many records.
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

// untilSaid reads up to a message that contains these words.
func (s *reading) untilSaid(words string) {
	s.p.t.Helper()
	for {
		line := s.next()
		if bytes.Contains(line, []byte(words)) {
			return
		}
		if len(line) == 0 {
			s.p.t.Fatalf("the connector ended before the message %q: %s", words, notRecords(s.out.Bytes()))
		}
	}
}

// rest reads the remaining output, and returns how the connector ended.
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

// finish reads to the end, successful or not, and delivers the output.
func (s *reading) finish() error {
	s.p.t.Helper()
	err := s.rest()
	s.p.deliver(s.out.Bytes())
	return err
}

// toEnd reads to the end; the sync must succeed and follow the protocol.
func (s *reading) toEnd() {
	s.p.t.Helper()
	if err := s.finish(); err != nil {
		s.p.t.Fatalf("the connector ended with %v: %s", err, notRecords(s.out.Bytes()))
	}
	if err := script.Validate(s.out.String(), string(read(s.p.t, s.p.catalog))); err != nil {
		s.p.t.Error(err)
	}
}

// kill kills the connector, and delivers the output so far.
func (s *reading) kill() {
	s.p.t.Helper()
	_ = s.cmd.Process.Kill()
	_ = s.finish()
}

// readToEnd runs a sync that must succeed.
func (p *pipeline) readToEnd() {
	p.t.Helper()
	p.start().toEnd()
}

// readWithin runs a sync that must succeed within limit, without waiting for something that does not arrive.
func (p *pipeline) readWithin(limit time.Duration) {
	p.t.Helper()
	s := p.start()
	s.late.Reset(limit)
	s.toEnd()
}

// readFails runs a sync in which only the stream of the table must fail, permanently; its trace is returned.
func (p *pipeline) readFails() destination.Error {
	p.t.Helper()
	s := p.start()
	if err := s.finish(); err == nil {
		p.t.Fatalf("the connector succeeded: %s", notRecords(s.out.Bytes()))
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

// readUntilKilled reads this many lines and kills the connector; it returns false if it had ended before.
func (p *pipeline) readUntilKilled(lines int) bool {
	p.t.Helper()
	s := p.start()
	defer s.kill()
	var first time.Time // time of the first record
	for n := range lines {
		if n == lines/4 {
			// A slow consumer: a checkpoint is due at the next boundary, which is in the copy. The interval starts with the
			// stream, which may start long after the process on a busy machine.
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

// copyHalf reads this many lines and kills the connector, repeatedly, until the copy can be resumed by its key.
func (p *pipeline) copyHalf(lines int) {
	p.t.Helper()
	for range 30 {
		p.reset()
		p.readUntilKilled(lines)
		if strings.Contains(string(p.state), `"last_pk"`) {
			return
		}
	}
	p.t.Fatal("after no kill could the copy be resumed by its key")
}

// readSideBySide runs a sync of each pipeline at the same time.
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
