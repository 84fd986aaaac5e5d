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
	n := numbers{u.cursor, u.sequence}
	var change wire.Change
	for _, row := range rows[u.from:u.to] {
		if err := change.Read(row); err != nil {
			return u.unreadable(err)
		}
		if err := u.emit(b, &change, &n); err != nil {
			return err
		}
	}
	return nil
}

// numbers are the last ones given to a record.
type numbers struct{ cursor, sequence int64 }

// emit gives one row change: a row as it is now, the before-image of a deleted one, or both when the key changed.
func (u *run) emit(b *airbyte.Batch, change *wire.Change, n *numbers) error {
	if change.Partial {
		return u.table.failf(airbyte.ConfigError, nil, "The server logs only parts of the rows of %s; set binlog_row_image=FULL and binlog_row_value_options='' on shard %s, then clear the stream.", u.table.stream.descriptor, u.reader.shard)
	}
	if change.Before.Exists && (!change.After.Exists || u.plan.KeyChanged(change.Before, change.After)) {
		if err := u.record(b, change.Before, true, n); err != nil {
			return err
		}
	}
	if !change.After.Exists {
		return nil
	}
	return u.record(b, change.After, false, n)
}

// record gives a row, or the row that was deleted.
func (u *run) record(b *airbyte.Batch, r wire.Row, deleted bool, n *numbers) error {
	s := u.table.stream
	if deleted && !s.gives.deletedAt {
		u.withheld++
		return nil
	}
	record, changes, err := u.plan.Append(b.Open(s.prefix), r, nil)
	if err != nil {
		return u.unreadable(err)
	}
	u.records++
	u.nulled = append(u.nulled, changes...)
	n.cursor++
	n.sequence++
	return b.Close(u.appendMeta(record, deleted, n), metaChanges(changes))
}

// unreadable fails the stream: it must not be tried again, since the reader is past the row already.
func (u *run) unreadable(err error) error {
	return u.table.failf(airbyte.SystemError, err, "A row of %s in shard %s cannot be read: %s.", u.table.stream.descriptor, u.reader.shard, err)
}

// appendMeta appends our own columns. The three of change data capture are given in incremental syncs only, so that two
// full refreshes of an unchanged table are equal.
func (u *run) appendMeta(dst []byte, deleted bool, n *numbers) []byte {
	s := u.table.stream
	if s.incremental {
		if s.gives.cursor {
			dst = strconv.AppendInt(append(dst, `,"`+columnCursor+`":`...), n.cursor, 10)
		}
		if s.gives.updatedAt {
			dst = append(append(dst, `,"`+columnUpdatedAt+`":`...), u.made.text...)
		}
		if s.gives.deletedAt {
			dst = append(dst, `,"`+columnDeletedAt+`":`...)
			if deleted {
				dst = append(dst, u.made.text...)
			} else {
				dst = append(dst, "null"...)
			}
		}
	}
	if s.gives.metadata {
		dst = append(dst, `,"`+columnMetadata+`":{"vgtid_position":"`...)
		dst = append(dst, u.position...)
		dst = strconv.AppendInt(append(dst, `","extracted_at":`...), u.read.time.UnixNano(), 10)
		dst = strconv.AppendInt(append(dst, `,"sequence_number":`...), n.sequence, 10)
		dst = append(dst, '}')
	}
	return dst
}
