// Package record turns rows into RECORD lines, in the order in which the rows arrived, on as many goroutines as useful: queue.go is the
// queue, run.go handles the rows of one table, columns.go our own columns (_ab_cdc_…). It does no I/O: the lines go into an
// airbyte.Batch.
package record

import (
	"sync/atomic"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/row"
)

// Stream is what the records of one configured stream share, in all its shards.
type Stream struct {
	Descriptor  airbyte.StreamDescriptor
	Incremental bool
	// Types determine what the types of columns leave open.
	Types row.Options
	// Dropped counts the deletes that were not sent because the catalog has no column for them.
	Dropped atomic.Int64
	// Nulled are the values that could not be sent as they are.
	Nulled Changes

	prefix   *airbyte.RecordPrefix
	varying  []*ownColumn // our own columns to send
	same     []*ownColumn // those of them that are the same in all rows of a run that were not deleted
	deletes  bool         // the catalog has a column for deletes
	position bool         // a column shows the position
	cursor   atomic.Int64
	promised atomic.Int64  // the cursor of the last state
	limit    atomic.Int64  // up to which cursors follow the clock; 0 before a state is written
	sequence *atomic.Int64 // of all records of the process, for _planetscale_metadata; it has gaps
}

// NewStream prepares a stream. properties are the columns that the catalog selects; sequence is shared by all streams.
func NewStream(d airbyte.StreamDescriptor, incremental bool, properties map[string]bool, sequence *atomic.Int64) (*Stream, error) {
	prefix, err := airbyte.NewRecordPrefix(d)
	if err != nil {
		return nil, err
	}
	s := &Stream{Descriptor: d, Incremental: incremental, prefix: prefix, sequence: sequence}
	for i := range ownColumns {
		c := &ownColumns[i]
		if properties[c.name] && (incremental || c.always) {
			if c.same {
				s.same = append(s.same, c)
			} else {
				s.varying = append(s.varying, c)
			}
		}
	}
	s.deletes, s.position = properties[ColumnDeletedAt], properties[ColumnMetadata]
	return s, nil
}

// Cursor is the last _ab_cdc_cursor used.
func (s *Stream) Cursor() int64 { return s.cursor.Load() }

// SetCursor continues from a saved cursor.
func (s *Stream) SetCursor(last int64) {
	s.cursor.Store(last)
	s.promised.Store(last)
}

// Promise is called with the cursor of a state that is written: an attempt after a kill continues from it. Until the next one, cursors
// follow the clock up to a distance from it, and then count, wherever the clock jumps.
func (s *Stream) Promise(cursor int64, distance time.Duration) {
	s.promised.Store(cursor)
	s.limit.Store(cursor - distance.Microseconds())
}

// Promised reports whether the last state has a cursor that is not smaller than any used since.
func (s *Stream) Promised() bool { return s.Cursor() <= s.promised.Load() }

// Cursors reserves the _ab_cdc_cursor values of the next n records and returns the number before the first: the clock in microseconds,
// but always more than the last one, so that of two records with the same key the later one wins at the destination, whatever the clock
// does.
func (s *Stream) Cursors(n int, now time.Time) int64 {
	for {
		last := s.cursor.Load()
		before := now.UnixMicro() - 1
		if limit := s.limit.Load(); limit > 0 {
			before = min(before, limit)
		}
		before = max(last, before)
		if s.cursor.CompareAndSwap(last, before+int64(n)) {
			return before
		}
	}
}

// ShowsPosition reports whether the stream's records show the position that they belong to.
func (s *Stream) ShowsPosition() bool { return s.position }

// Origin is where rows come from: a stream in a shard. The queue identifies them by it.
type Origin struct {
	Stream *Stream
	Shard  gtid.Shard
	Counters
}
