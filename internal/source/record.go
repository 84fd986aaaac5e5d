package source

import (
	"strconv"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/wire"
)

// moment is a time and its text, which is written once for all the records that share it.
type moment struct {
	time time.Time
	text []byte // with quotes
}

// timestamp is the form of timestamp_with_timezone.
const timestamp = `"2006-01-02T15:04:05.999999Z"`

func (m *moment) set(t time.Time) {
	m.time, m.text = t, t.UTC().AppendFormat(m.text[:0], timestamp)
}

// encode appends the records of the run's rows to a batch. It may be done again after an error, into another batch.
func (u *run) encode(b *airbyte.Batch, rows [][]byte) error {
	u.records, u.withheld, u.nulled = 0, 0, u.nulled[:0]
	before := b.Size()
	defer func() { u.bytes = int64(b.Size() - before) }()
	w := writing{batch: b, cursor: newCounter(u.cursor), sequence: u.sequence}
	w.times = u.appendTimes(w.space[:0], false)
	var change wire.Change
	for _, row := range rows[u.from:u.to] {
		if err := change.Read(row); err != nil {
			return u.unreadable(err)
		}
		if err := u.emit(&w, &change); err != nil {
			return err
		}
	}
	return nil
}

// writing is where the encoding of a run stands.
type writing struct {
	batch *airbyte.Batch
	// The numbers of the last record.
	cursor   counter
	sequence int64
	times    []byte // appendTimes of every row that was not deleted, in space
	space    [100]byte
}

// counter is a positive number as text, which is faster to count up than to write.
type counter struct {
	digits [20]byte
	from   int
}

func newCounter(n int64) counter {
	var c counter
	var space [20]byte
	text := strconv.AppendInt(space[:0], n, 10)
	c.from = len(c.digits) - len(text)
	copy(c.digits[c.from:], text)
	return c
}

func (c *counter) text() []byte { return c.digits[c.from:] }

func (c *counter) increment() {
	for i := len(c.digits) - 1; i >= c.from; i-- {
		if c.digits[i] < '9' {
			c.digits[i]++
			return
		}
		c.digits[i] = '0'
	}
	c.from--
	c.digits[c.from] = '1'
}

// emit gives one row change: a row as it is now, the before-image of a deleted one, or both when the key changed.
func (u *run) emit(w *writing, change *wire.Change) error {
	if change.Partial {
		return u.table.failf(airbyte.ConfigError, nil, "The server logs only parts of the rows of %s; set binlog_row_image=FULL and binlog_row_value_options='' on shard %s, then clear the stream.", u.table.stream.descriptor, u.reader.shard)
	}
	if change.Before.Exists && (!change.After.Exists || u.plan.KeyChanged(change.Before, change.After)) {
		if err := u.record(w, change.Before, true); err != nil {
			return err
		}
	}
	if !change.After.Exists {
		return nil
	}
	return u.record(w, change.After, false)
}

// record gives a row, or the row that was deleted.
func (u *run) record(w *writing, r wire.Row, deleted bool) error {
	s := u.table.stream
	if deleted && !s.gives.deletedAt {
		u.withheld++
		return nil
	}
	record, changes, err := u.plan.Append(w.batch.Open(s.prefix), r, nil)
	if err != nil {
		return u.unreadable(err)
	}
	u.records++
	u.nulled = append(u.nulled, changes...)
	w.cursor.increment()
	w.sequence++
	return w.batch.Close(u.appendMeta(record, deleted, w), metaChanges(changes))
}

// unreadable fails the stream: it must not be tried again, since the reader is past the row already.
func (u *run) unreadable(err error) error {
	return u.table.failf(airbyte.SystemError, err, "A row of %s in shard %s cannot be read: %s.", u.table.stream.descriptor, u.reader.shard, err)
}

// appendMeta appends our own columns. The three of change data capture are given in incremental syncs only, so that two
// full refreshes of an unchanged table are equal.
func (u *run) appendMeta(dst []byte, deleted bool, w *writing) []byte {
	s := u.table.stream
	if s.incremental && s.gives.cursor {
		dst = append(append(dst, `,"`+columnCursor+`":`...), w.cursor.text()...)
	}
	if deleted {
		dst = u.appendTimes(dst, true)
	} else {
		dst = append(dst, w.times...)
	}
	if s.gives.metadata {
		dst = append(dst, `,"`+columnMetadata+`":{"vgtid_position":"`...)
		dst = append(dst, u.position...)
		dst = strconv.AppendInt(append(dst, `","extracted_at":`...), u.read.time.UnixNano(), 10)
		dst = strconv.AppendInt(append(dst, `,"sequence_number":`...), w.sequence, 10)
		dst = append(dst, '}')
	}
	return dst
}

// appendTimes appends when the row was changed, and when deleted.
func (u *run) appendTimes(dst []byte, deleted bool) []byte {
	s := u.table.stream
	if s.incremental && s.gives.updatedAt {
		dst = append(append(dst, `,"`+columnUpdatedAt+`":`...), u.made.text...)
	}
	if !s.incremental || !s.gives.deletedAt {
		return dst
	}
	dst = append(dst, `,"`+columnDeletedAt+`":`...)
	if deleted {
		return append(dst, u.made.text...)
	}
	return append(dst, "null"...)
}
