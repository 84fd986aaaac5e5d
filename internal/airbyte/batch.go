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
	counts map[StreamDescriptor]int64
	head   []byte // `","emitted_at":1763860000000,"data":{`, made once per SetTime
}

// NewBatch returns an empty batch.
func NewBatch() *Batch {
	b := &Batch{counts: map[StreamDescriptor]int64{}}
	b.SetTime(time.Now())
	return b
}

// Change is one entry of a record's meta.changes: a field that could not be given as it is.
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

// NewRecordPrefix makes the prefix of a stream.
func NewRecordPrefix(d StreamDescriptor) (*RecordPrefix, error) {
	name, err := json.Marshal(d.Name)
	if err != nil {
		return nil, fmt.Errorf("the name of stream %s cannot be written as JSON: %w", d, err)
	}
	namespace, err := json.Marshal(d.Namespace)
	if err != nil {
		return nil, fmt.Errorf("the namespace of stream %s cannot be written as JSON: %w", d, err)
	}
	text := append([]byte(`{"type":"RECORD","record":{"namespace":`), namespace...)
	text = append(append(text, `,"stream":`...), name...)
	return &RecordPrefix{stream: d, text: text}, nil
}

// SetTime sets emitted_at of the records that follow.
func (b *Batch) SetTime(t time.Time) {
	b.head = strconv.AppendInt(append(b.head[:0], `,"emitted_at":`...), t.UnixMilli(), 10)
	b.head = append(b.head, `,"data":{`...)
}

// Record appends one record. data appends the members of the data object, without braces, to its argument and returns the
// result; after an error the batch is as it was.
func (b *Batch) Record(p *RecordPrefix, data func(dst []byte) ([]byte, []Change, error)) error {
	start := len(b.buf)
	buf := append(append(b.buf, p.text...), b.head...)
	buf, changes, err := data(buf)
	if err != nil {
		b.buf = buf[:start]
		return err
	}
	buf = append(buf, '}')
	if len(changes) > 0 {
		list, err := json.Marshal(changes)
		if err != nil {
			b.buf = buf[:start]
			return fmt.Errorf("meta.changes of stream %s cannot be written as JSON: %w", p.stream, err)
		}
		buf = append(append(append(buf, `,"meta":{"changes":`...), list...), '}')
	}
	buf = append(buf, "}}\n"...)
	b.buf = buf
	b.counts[p.stream]++
	return nil
}

// Size returns the bytes collected.
func (b *Batch) Size() int { return len(b.buf) }

// maxKept is the largest buffer that a batch keeps for reuse, so that one huge row does not stay in memory for ever.
const maxKept = 4 << 20

func (b *Batch) reset() {
	if cap(b.buf) > maxKept {
		b.buf = nil
	}
	b.buf = b.buf[:0]
	clear(b.counts)
}
