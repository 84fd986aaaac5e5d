package source

import (
	"strconv"
	"sync/atomic"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/row"
	"source-planetscale/internal/wire"
)

// change is one row change on its way to a record.
type change struct {
	row      wire.Row
	deleted  bool
	made     *moment // when it happened at the source; for a copied row when it was read
	read     *moment
	position string
	sequence *atomic.Int64
}

// moment is a time and its text, which is written once for all the records that share it.
type moment struct {
	time time.Time
	text []byte // with quotes
}

// timestamp is the form of timestamp_with_timezone.
const timestamp = `"2006-01-02T15:04:05.999999Z"`

func (m *moment) set(t time.Time) {
	if !t.Equal(m.time) {
		m.time, m.text = t, t.UTC().AppendFormat(m.text[:0], timestamp)
	}
}

// emit appends one change as a record.
func (s *stream) emit(b *airbyte.Batch, plan *row.Plan, c *change) error {
	if c.deleted && !s.gives.deletedAt {
		s.withheld.Add(1)
		return nil
	}
	record, changes, err := plan.Append(b.Open(s.prefix), c.row, nil)
	if err != nil {
		return err
	}
	s.records.Add(1)
	return b.Close(s.appendMeta(record, c), s.nulled.add(changes))
}

// appendMeta appends our own columns. The three of change data capture are given in incremental syncs only, so that two
// full refreshes of an unchanged table are equal.
func (s *stream) appendMeta(dst []byte, c *change) []byte {
	if s.incremental {
		if s.gives.cursor {
			dst = strconv.AppendInt(append(dst, `,"`+columnCursor+`":`...), s.nextCursor(c.read.time), 10)
		}
		if s.gives.updatedAt {
			dst = append(append(dst, `,"`+columnUpdatedAt+`":`...), c.made.text...)
		}
		if s.gives.deletedAt {
			dst = append(dst, `,"`+columnDeletedAt+`":`...)
			if c.deleted {
				dst = append(dst, c.made.text...)
			} else {
				dst = append(dst, "null"...)
			}
		}
	}
	if s.gives.metadata {
		dst = append(dst, `,"`+columnMetadata+`":{"vgtid_position":"`...)
		dst = append(dst, c.position...)
		dst = strconv.AppendInt(append(dst, `","extracted_at":`...), c.read.time.UnixNano(), 10)
		dst = strconv.AppendInt(append(dst, `,"sequence_number":`...), c.sequence.Add(1), 10)
		dst = append(dst, '}')
	}
	return dst
}
