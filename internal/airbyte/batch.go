package airbyte

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Batch collects RECORD lines until Writer.Commit prints them. One goroutine owns a batch; it is reused after a commit.
type Batch struct {
	buf    []byte
	before [][]byte // the parts before buf, and their size in bytes
	size   int
	spare  [][]byte // empty buffers for later
	counts map[StreamDescriptor]int64
	time   []byte // `,"emitted_at":1763860000000,"data":{`

	// The stream of the last record, what its records begin with, and how many records it has that counts does not include yet.
	prefix  *RecordPrefix
	begin   []byte
	pending int64
}

// NewBatch returns an empty batch.
func NewBatch() *Batch {
	b := &Batch{counts: map[StreamDescriptor]int64{}}
	b.SetTime(time.Now())
	return b
}

// Change is one entry of a record's meta.changes: a field that could not be sent as it is.
type Change struct {
	Field  string `json:"field"`
	Change string `json:"change"`
	Reason string `json:"reason"`
}

// RecordPrefix is the part of a stream's RECORD lines that never changes.
type RecordPrefix struct {
	stream StreamDescriptor
	text   []byte
}

// NewRecordPrefix creates the prefix of a stream.
func NewRecordPrefix(d StreamDescriptor) (*RecordPrefix, error) {
	name, err := json.Marshal(d.Name)
	if err != nil {
		return nil, fmt.Errorf("the name of stream %s cannot be written as JSON: %w", d, err)
	}
	namespace, err := json.Marshal(d.Namespace)
	if err != nil {
		return nil, fmt.Errorf("the namespace of stream %s cannot be written as JSON: %w", d, err)
	}
	text := []byte(`{"type":"RECORD","record":{`)
	if d.Namespace != "" {
		text = append(append(append(text, `"namespace":`...), namespace...), ',')
	}
	text = append(append(text, `"stream":`...), name...)
	return &RecordPrefix{stream: d, text: text}, nil
}

// SetTime sets emitted_at of the records that follow.
func (b *Batch) SetTime(t time.Time) {
	b.time = strconv.AppendInt(append(b.time[:0], `,"emitted_at":`...), t.UnixMilli(), 10)
	b.time = append(b.time, `,"data":{`...)
	b.use(b.prefix)
}

// use prepares the beginning of a stream's records.
func (b *Batch) use(p *RecordPrefix) {
	b.settle()
	if b.prefix = p; p != nil {
		b.begin = append(append(b.begin[:0], p.text...), b.time...)
	}
}

func (b *Batch) settle() {
	if b.pending > 0 {
		b.counts[b.prefix.stream] += b.pending
		b.pending = 0
	}
}

// Open begins a record and returns the batch's bytes, to which the caller appends the members of the data object, without
// braces. The record belongs to the batch once it is closed.
func (b *Batch) Open(p *RecordPrefix) []byte {
	if p != b.prefix {
		b.use(p)
	}
	return append(b.buf, b.begin...)
}

// Close ends the record that Open began; buf is what Open returned and the caller appended to, or the last piece of that, with the others
// in front. changes become its meta.changes. After an error, the batch is unchanged.
func (b *Batch) Close(buf []byte, changes []Change, front ...[]byte) error {
	if len(changes) == 0 {
		buf = append(buf, "}}}\n"...)
	} else {
		list, err := json.Marshal(changes)
		if err != nil {
			return fmt.Errorf("meta.changes of stream %s cannot be written as JSON: %w", b.prefix.stream, err)
		}
		buf = append(append(append(buf, `},"meta":{"changes":`...), list...), "}}}\n"...)
	}
	for _, piece := range front {
		b.before, b.size = append(b.before, piece), b.size+len(piece)
	}
	b.buf = buf
	b.pending++
	return nil
}

// Take moves another batch's records to the end of b's, without copying them; the other batch is empty afterwards.
func (b *Batch) Take(from *Batch) {
	from.settle()
	for stream, n := range from.counts {
		b.counts[stream] += n
	}
	clear(from.counts)
	b.shelve()
	b.before, b.size = append(b.before, from.before...), b.size+from.size
	clear(from.before)
	from.before, from.size = from.before[:0], 0
	from.buf, b.buf = b.buf, from.buf
	b.shelve()
}

// shelve puts the bytes of buf before those that follow, in another buffer.
func (b *Batch) shelve() {
	if len(b.buf) == 0 {
		return
	}
	b.before, b.size, b.buf = append(b.before, b.buf), b.size+len(b.buf), nil
	if last := len(b.spare) - 1; last >= 0 {
		b.buf, b.spare = b.spare[last], b.spare[:last]
	}
}

// Size returns the bytes collected.
func (b *Batch) Size() int { return b.size + len(b.buf) }

// maxKept is how many bytes a batch keeps for reuse, so that a huge row does not stay in memory permanently.
const maxKept = 4 << 20

// Clear discards what was collected.
func (b *Batch) Clear() {
	all := append(append(b.spare, b.before...), b.buf)
	clear(b.before) // otherwise they would be kept anyway, as below
	b.spare, b.before, b.size, b.pending = all[:0], b.before[:0], 0, 0
	kept := 0
	for _, buf := range all {
		if size := cap(buf); size > 0 && kept+size <= maxKept {
			b.spare, kept = append(b.spare, buf[:0]), kept+size
		}
	}
	clear(all[len(b.spare):])
	b.buf = nil
	if last := len(b.spare) - 1; last >= 0 {
		b.buf, b.spare = b.spare[last], b.spare[:last]
	}
	clear(b.counts)
}
