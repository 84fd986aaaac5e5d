package airbyte

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

var users = StreamDescriptor{Namespace: "shop", Name: "users"}

func record(t *testing.T, b *Batch, data string, changes ...Change) {
	t.Helper()
	prefix, err := NewRecordPrefix(users)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(append(b.Open(prefix), data...), changes); err != nil {
		t.Fatal(err)
	}
}

func states(list ...string) func(*Tx) error {
	return func(tx *Tx) error {
		for _, s := range list {
			tx.Put(StreamState{Stream: users, State: json.RawMessage(s)})
		}
		return nil
	}
}

func TestCommitWritesRecordsBeforeTheirState(t *testing.T) {
	var out bytes.Buffer
	w, b := NewWriter(&out), NewBatch()
	b.SetTime(time.UnixMilli(1700000000123))
	record(t, b, `"id":1`)
	record(t, b, `"id":2`, Change{Field: "at", Change: "NULLED", Reason: "SOURCE_SERIALIZATION_ERROR"})
	if err := w.Commit(b, states(`{"v":1}`)); err != nil {
		t.Fatal(err)
	}
	want := `{"type":"RECORD","record":{"namespace":"shop","stream":"users","emitted_at":1700000000123,"data":{"id":1}}}
{"type":"RECORD","record":{"namespace":"shop","stream":"users","emitted_at":1700000000123,"data":{"id":2},"meta":{"changes":[{"field":"at","change":"NULLED","reason":"SOURCE_SERIALIZATION_ERROR"}]}}}
{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"users","namespace":"shop"},"stream_state":{"v":1}},"sourceStats":{"recordCount":2.0}}}
`
	if out.String() != want {
		t.Errorf("printed\n%s\nexpected\n%s", out.String(), want)
	}
	if b.Size() != 0 {
		t.Errorf("the batch still has %d bytes after its commit", b.Size())
	}
}

func TestStateCountsTheRecordsSinceTheLastOne(t *testing.T) {
	var out bytes.Buffer
	w, b := NewWriter(&out), NewBatch()
	record(t, b, `"id":1`)
	if err := w.Commit(b, nil); err != nil {
		t.Fatal(err)
	}
	record(t, b, `"id":2`)
	for _, s := range []string{`{"v":1}`, `{"v":2}`} {
		if err := w.Commit(b, states(s)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{`{"v":1}},"sourceStats":{"recordCount":2.0}`, `{"v":2}},"sourceStats":{"recordCount":0.0}`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no state with %s in\n%s", want, out.String())
		}
	}
}

func TestEqualStateIsNotRepeatedUnlessItCoversRecords(t *testing.T) {
	var out bytes.Buffer
	w, b := NewWriter(&out), NewBatch()
	commit := func() int {
		if err := w.Commit(b, states(`{"v":1}`)); err != nil {
			t.Fatal(err)
		}
		return strings.Count(out.String(), `"STATE"`)
	}
	commit()
	if n := commit(); n != 1 {
		t.Errorf("%d states after the same one twice, expected 1", n)
	}
	record(t, b, `"id":1`)
	if n := commit(); n != 2 {
		t.Errorf("%d states after a record, expected 2", n)
	}
}

type brokenPipe struct{ writes int }

var errPipe = errors.New("broken pipe")

func (p *brokenPipe) Write([]byte) (int, error) {
	p.writes++
	return 0, errPipe
}

func TestFirstWriteErrorIsFinal(t *testing.T) {
	pipe := &brokenPipe{}
	w, b := NewWriter(pipe), NewBatch()
	record(t, b, `"id":1`)
	if err := w.Commit(b, nil); !errors.Is(err, errPipe) {
		t.Errorf("the first commit returned %v", err)
	}
	called := false
	err := w.Commit(b, func(*Tx) error { called = true; return nil })
	if !errors.Is(err, errPipe) || called || pipe.writes != 1 {
		t.Errorf("after a write error: error %v, state function called: %v, writes: %d", err, called, pipe.writes)
	}
	if err := w.Status(users, Complete); !errors.Is(err, errPipe) {
		t.Errorf("a status after a write error returned %v", err)
	}
}

func TestARecordThatIsNotClosedDoesNotBelongToTheBatch(t *testing.T) {
	var out bytes.Buffer
	w, b := NewWriter(&out), NewBatch()
	record(t, b, `"id":1`)
	before := b.Size()
	prefix, _ := NewRecordPrefix(users)
	_ = append(b.Open(prefix), "half"...)
	if b.Size() != before {
		t.Errorf("the batch grew from %d to %d bytes", before, b.Size())
	}
	if err := w.Commit(b, states(`{}`)); err != nil || !strings.Contains(out.String(), `"recordCount":1.0`) ||
		strings.Contains(out.String(), "half") {
		t.Errorf("commit: %v, %s", err, out.String())
	}
}

// A batch may contain records of several streams, and its time may be changed between them.
func TestRecordsOfSeveralStreams(t *testing.T) {
	var out bytes.Buffer
	w, b := NewWriter(&out), NewBatch()
	orders := StreamDescriptor{Namespace: "shop", Name: "orders"}
	first, _ := NewRecordPrefix(users)
	second, _ := NewRecordPrefix(orders)
	b.SetTime(time.UnixMilli(1))
	for i, p := range []*RecordPrefix{first, second, second, first, second} {
		if i == 2 {
			b.SetTime(time.UnixMilli(2))
		}
		if err := b.Close(b.Open(p), nil); err != nil {
			t.Fatal(err)
		}
	}
	state := func(d StreamDescriptor) StreamState { return StreamState{Stream: d, State: json.RawMessage(`{}`)} }
	if err := w.Commit(b, func(tx *Tx) error { tx.Put(state(users)); tx.Put(state(orders)); return nil }); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for i, want := range []string{`"users","emitted_at":1,`, `"orders","emitted_at":1,`, `"orders","emitted_at":2,`, `"users","emitted_at":2,`, `"orders","emitted_at":2,`, `"recordCount":2.0`, `"recordCount":3.0`} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d is %s, expected %s in it", i, lines[i], want)
		}
	}
}

func TestParseState(t *testing.T) {
	stream := `{"type":"STREAM","stream":{"stream_descriptor":{"name":"users","namespace":"shop"},"stream_state":{"v":1}}}`
	for _, c := range []struct {
		in, state, legacy, problem string
	}{
		{in: ``},
		{in: `null`},
		{in: `[]`},
		{in: `{}`},
		{in: `[{"type":"LEGACY","data":{}}]`},
		{in: `[` + stream + `]`, state: `{"v":1}`},
		{in: stream, state: `{"v":1}`},
		{in: `[{"type":"STREAM","stream":{"stream_descriptor":{"name":"users","namespace":"shop"},"stream_state":null}}]`},
		{in: `{"streams":{}}`, legacy: `{"streams":{}}`},
		{in: `[{"type":"LEGACY","data":{"streams":{}}}]`, legacy: `{"streams":{}}`},
		{in: `{"data":{"streams":{}}}`, legacy: `{"streams":{}}`},
		{in: `[{"type":"GLOBAL","global":{}}]`, problem: "GLOBAL"},
		{in: `[{"type":"STREAM"}]`, problem: "stream_descriptor"},
		{in: `[{"type":"ODD"}]`, problem: "ODD"},
		{in: `[{"a":1},{"b":1}]`, problem: "two legacy states"},
		{in: `[`, problem: "not valid JSON"},
		{in: `7`, problem: "not a list"},
	} {
		s, err := ParseState([]byte(c.in))
		switch {
		case c.problem != "":
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%s: error %v, expected one about %q", c.in, err, c.problem)
			}
		case err != nil:
			t.Errorf("%s: %v", c.in, err)
		case string(s.Streams[users]) != c.state || string(s.Legacy) != c.legacy:
			t.Errorf("%s: state %s, legacy %s", c.in, s.Streams[users], s.Legacy)
		}
	}
}

func TestParseConfiguredCatalogRefusesWhatCannotBeRead(t *testing.T) {
	for in, problem := range map[string]string{
		`{"streams":[]}`:                        "names no stream",
		`{}`:                                    "names no stream",
		`[`:                                     "not a ConfiguredAirbyteCatalog",
		`{"streams":[{"name":"a"}]}`:            "has no name",
		`{"streams":[{"stream":{"name":"a"}}]}`: "sync mode",
		`{"streams":[{"stream":{"name":"a"},"sync_mode":"incremental"},{"stream":{"name":"a"},"sync_mode":"full_refresh"}]}`: "twice",
	} {
		if _, err := ParseConfiguredCatalog([]byte(in)); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: error %v, expected one about %q", in, err, problem)
		}
	}
}

func TestRecordsOfAnotherBatchComeInTheirPlace(t *testing.T) {
	var out bytes.Buffer
	w, b, other := NewWriter(&out), NewBatch(), NewBatch()
	for round := range 3 { // buffers are reused
		out.Reset()
		record(t, b, `"id":1`)
		record(t, other, `"id":2`)
		record(t, other, `"id":3`)
		b.Take(other)
		if other.Size() != 0 {
			t.Errorf("the other batch still has %d bytes", other.Size())
		}
		record(t, b, `"id":4`)
		record(t, other, `"id":5`)
		b.Take(other)
		b.Take(other) // empty
		record(t, other, `"id":99`)
		other.Clear()
		size := b.Size()
		if err := w.Commit(b, states(`{"round":`+string(rune('0'+round))+`}`)); err != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.Lines(out.String()) {
			if _, id, ok := strings.Cut(line, `"id":`); ok {
				got = append(got, id[:1])
				size -= len(line)
			}
		}
		if strings.Join(got, "") != "12345" || !strings.Contains(out.String(), `"recordCount":5.0`) || size != 0 {
			t.Errorf("printed\n%s of another size by %d", out.String(), size)
		}
	}
}

func TestALargeBufferIsNotKept(t *testing.T) {
	w, b, other := NewWriter(&bytes.Buffer{}), NewBatch(), NewBatch()
	record(t, other, `"text":"`+strings.Repeat("x", maxKept)+`"`)
	b.Take(other)
	if err := w.Commit(b, nil); err != nil {
		t.Fatal(err)
	}
	kept := cap(b.buf) + cap(other.buf)
	for _, buf := range append(b.spare[:cap(b.spare)], b.before[:cap(b.before)]...) {
		kept += cap(buf)
	}
	if kept > maxKept {
		t.Errorf("%d bytes are kept", kept)
	}
}

// If a change of the state fails halfway, another commit may save what it changed before: the records it covers must have been written.
func TestRecordsAreWrittenWhereTheirChangeFails(t *testing.T) {
	var out bytes.Buffer
	w, b := NewWriter(&out), NewBatch()
	record(t, b, `"id":1`)
	err := w.Commit(b, func(tx *Tx) error {
		tx.Put(StreamState{Stream: users, State: json.RawMessage(`{}`)})
		return errPipe
	})
	if !errors.Is(err, errPipe) {
		t.Errorf("error %v", err)
	}
	if got := out.String(); !strings.Contains(got, `"id":1`) || strings.Contains(got, "STATE") || b.Size() != 0 {
		t.Errorf("printed %s; %d bytes are left", got, b.Size())
	}
	if err := w.Commit(b, states(`{}`)); err != nil || strings.Count(out.String(), `"id":1`) != 1 || !strings.Contains(out.String(), `"recordCount":1.0`) {
		t.Errorf("error %v, printed %s", err, out.String())
	}
}
