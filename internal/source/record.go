package source

import (
	"strconv"
	"time"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/row"
)

// change is one row change on its way to a record.
type change struct {
	row      *querypb.Row
	deleted  bool
	time     time.Time // when it happened at the source; for a copied row when it was read
	read     time.Time
	position string
}

// timestamp is the form of timestamp_with_timezone.
const timestamp = "2006-01-02T15:04:05.999999Z"

// emit appends one change as a record.
func (s *stream) emit(b *airbyte.Batch, plan *row.Plan, c change, sequence int64) error {
	if c.deleted && !s.configured[columnDeletedAt] {
		s.withheld.Add(1)
		return nil
	}
	err := b.Record(s.prefix, func(dst []byte) ([]byte, []airbyte.Change, error) {
		dst, changes, err := plan.Append(dst, c.row, nil)
		if err != nil {
			return dst, nil, err
		}
		return s.appendMeta(dst, c, sequence), s.nulled.add(changes), nil
	})
	if err == nil {
		s.records.Add(1)
	}
	return err
}

// appendMeta appends our own columns. The three of change data capture are given in incremental syncs only, so that two
// full refreshes of an unchanged table are equal.
func (s *stream) appendMeta(dst []byte, c change, sequence int64) []byte {
	if s.incremental {
		if s.configured[columnCursor] {
			dst = strconv.AppendInt(append(dst, `,"`+columnCursor+`":`...), s.nextCursor(c.read), 10)
		}
		if s.configured[columnUpdatedAt] {
			dst = append(dst, `,"`+columnUpdatedAt+`":"`...)
			dst = append(c.time.AppendFormat(dst, timestamp), '"')
		}
		if s.configured[columnDeletedAt] {
			dst = append(dst, `,"`+columnDeletedAt+`":`...)
			if c.deleted {
				dst = append(c.time.AppendFormat(append(dst, '"'), timestamp), '"')
			} else {
				dst = append(dst, "null"...)
			}
		}
	}
	if s.configured[columnMetadata] {
		dst = append(dst, `,"`+columnMetadata+`":{"vgtid_position":"`...)
		dst = append(dst, c.position...)
		dst = strconv.AppendInt(append(dst, `","extracted_at":`...), c.read.UnixNano(), 10)
		dst = strconv.AppendInt(append(dst, `,"sequence_number":`...), sequence, 10)
		dst = append(dst, '}')
	}
	return dst
}

// partial tells whether the server logged less of the row than all of it, which would show as NULLs that are none.
func partial(c *binlogdatapb.RowChange) bool {
	return c.DataColumns != nil || c.JsonPartialValues != nil
}
