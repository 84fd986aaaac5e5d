package airbyte

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// ErrWrite reports that stdout is closed: nothing more can be reported to anybody.
var ErrWrite = errors.New("the messages cannot be written")

// Writer prints messages. It is safe for concurrent use; its mutex is the only lock between streams.
//
// The first write error is kept and returned by every later call: a closed stdout means that the platform cancelled the sync, and nothing
// written after a lost record may reach it.
type Writer struct {
	mu    sync.Mutex
	w     io.Writer
	err   error
	since map[StreamDescriptor]int64  // records written since the stream's last STATE
	last  map[StreamDescriptor]string // the last STATE written
	bytes int64
	spoke time.Time // when the last record or state was written
}

// NewWriter returns a writer that prints to w.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: w, since: map[StreamDescriptor]int64{}, last: map[StreamDescriptor]string{}, spoke: time.Now()}
}

// StreamState is one stream's state, as Commit prints it.
type StreamState struct {
	Stream StreamDescriptor
	State  json.RawMessage
}

// Tx is a commit in progress. Only Commit creates one, so that whoever has it has exclusive use of the writer.
type Tx struct{ states []StreamState }

// Put adds a state to be written after the commit's records.
func (tx *Tx) Put(s StreamState) { tx.states = append(tx.states, s) }

// Bytes is the size of the states put so far.
func (tx *Tx) Bytes() int {
	n := 0
	for _, s := range tx.states {
		n += len(s.State)
	}
	return n
}

// Commit writes the batch's records and then, before anybody else can write, the states that cover them. It is the only way to write a
// state, so that no state can precede its records.
//
// change may be nil. It is called with the writer locked, which orders it among all commits: code that needs a Tx to change what
// concurrent streams share need not lock anything else. A state equal to the stream's last one is not repeated. If change fails, the
// records are written all the same, without a state: what it has changed before may be saved by another commit. The batch is empty
// afterwards.
func (w *Writer) Commit(b *Batch, change func(*Tx) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	b.settle()
	for stream, n := range b.counts {
		w.since[stream] += n
	}
	var failed error
	if change != nil {
		failed = w.append(b, change)
	}
	defer b.Clear()
	if b.Size() > 0 {
		w.spoke = time.Now()
	}
	for _, buf := range b.before {
		if err := w.write(buf); err != nil {
			return err
		}
	}
	return cmp.Or(w.write(b.buf), failed)
}

// append puts the states of a change after the batch's records.
func (w *Writer) append(b *Batch, change func(*Tx) error) (err error) {
	var tx Tx
	if err := change(&tx); err != nil {
		return err
	}
	for _, s := range tx.states {
		if b.buf, err = w.appendState(b.buf, s); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) appendState(dst []byte, s StreamState) ([]byte, error) {
	if last, ok := w.last[s.Stream]; ok && last == string(s.State) && w.since[s.Stream] == 0 {
		return dst, nil
	}
	m, err := json.Marshal(message{Type: "STATE", State: &stateMessage{
		Type:        "STREAM",
		Stream:      streamState{Descriptor: s.Stream, State: s.State},
		SourceStats: &sourceStats{RecordCount: decimal(w.since[s.Stream])},
	}})
	if err != nil {
		return dst, fmt.Errorf("the state of stream %s cannot be written as JSON: %w", s.Stream, err)
	}
	w.last[s.Stream] = string(s.State)
	w.since[s.Stream] = 0
	return append(append(dst, m...), '\n'), nil
}

// write requires w.mu to be held.
func (w *Writer) write(line []byte) error {
	if w.err != nil || len(line) == 0 {
		return w.err
	}
	n, err := w.w.Write(line)
	w.bytes += int64(n)
	if err != nil {
		w.err = fmt.Errorf("%w: %w", ErrWrite, err)
	}
	return w.err
}

func (w *Writer) print(m message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("a %s message cannot be written as JSON: %w", m.Type, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.write(append(line, '\n'))
}

// Bytes returns the bytes written so far.
func (w *Writer) Bytes() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bytes
}

// Silent returns how long neither a record nor a state has been written.
func (w *Writer) Silent() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.spoke)
}

// Spec prints a ConnectorSpecification on one line.
func (w *Writer) Spec(spec json.RawMessage) error { return w.print(message{Type: "SPEC", Spec: spec}) }

// Succeeded prints CONNECTION_STATUS SUCCEEDED with a sentence about the connection.
func (w *Writer) Succeeded(what string) error {
	return w.print(message{Type: "CONNECTION_STATUS", ConnectionStatus: &connectionStatus{Status: "SUCCEEDED", Message: what}})
}

// Failed prints CONNECTION_STATUS FAILED with a sentence for a person.
func (w *Writer) Failed(reason string) error {
	return w.print(message{Type: "CONNECTION_STATUS", ConnectionStatus: &connectionStatus{Status: "FAILED", Message: reason}})
}

// Catalog prints the catalog.
func (w *Writer) Catalog(c *Catalog) error { return w.print(message{Type: "CATALOG", Catalog: c}) }

// Error prints an ERROR trace.
func (w *Writer) Error(e *TraceError) error { return w.trace(trace{Type: "ERROR", Error: e}) }

// Estimate prints an ESTIMATE trace of one stream.
func (w *Writer) Estimate(d StreamDescriptor, rows, bytes int64) error {
	return w.trace(
		trace{Type: "ESTIMATE", Estimate: &Estimate{Name: d.Name, Namespace: d.Namespace, Type: "STREAM", Rows: rows, Bytes: bytes}},
	)
}

// Status prints a STREAM_STATUS trace.
func (w *Writer) Status(d StreamDescriptor, s Status) error {
	return w.trace(trace{Type: "STREAM_STATUS", StreamStatus: &streamStatus{Descriptor: d, Status: s}})
}

func (w *Writer) trace(t trace) error {
	t.EmittedAt = time.Now().UnixMilli()
	return w.print(message{Type: "TRACE", Trace: &t})
}

// Log prints a LOG message. Levels are FATAL, ERROR, WARN, INFO, DEBUG and TRACE.
func (w *Writer) Log(level, text string) error {
	return w.print(message{Type: "LOG", Log: &logMessage{Level: level, Message: text}})
}
