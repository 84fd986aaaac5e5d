// Package partition handles one stream in one shard, from the plan to the end: its saved state, the layout of its changes, its key, what
// it has sent. Everything that may happen to it is a method. Methods that change the saved state take an airbyte.Tx, so that it changes
// only while the writer is locked. It does no I/O.
package partition

import (
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/record"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// Stream is one configured stream during a sync: what its partitions share.
type Stream struct {
	Descriptor airbyte.StreamDescriptor
	// Table is the table as it was when the sync began, with the key that the destination knows.
	Table   *table.Table
	Records *record.Stream
	// Columns are the table's columns to send, in the table's order.
	Columns []string
	// Changed reports that the table's columns differ from those at the time the state was saved.
	Changed    bool
	ahead      time.Duration // distance of a state's cursor from the records that may follow it
	configured configured
	missing    sync.Map // columns already reported as missing from the table
	parts      sync.Map // *Partition by gtid.Shard
	failed     atomic.Pointer[failure.Verdict]
	running    atomic.Bool // its status RUNNING was written
	said

	// The rest changes only under a Tx.
	state *state.Stream
	open  int // partitions still being read, plus one for the plan
}

// configured is what the catalog says of a stream.
type configured struct {
	columns map[string]bool
	key     []string // by which the destination deduplicates; nil if it keeps all records, or those of one snapshot
}

// NewStream prepares a configured stream over its table. saved is the stream's state, nil for none; from now on it belongs to the stream.
// sequence is shared by all streams. ahead is how far a state's cursor has to be ahead of the records before it: about the time until the
// next state.
func NewStream(c *airbyte.ConfiguredStream, t *table.Table, saved *state.Stream, sequence *atomic.Int64,
	ahead time.Duration,
) (*Stream, error) {
	d := c.Stream.Descriptor()
	properties, err := c.Stream.Properties()
	if err != nil {
		return nil, failure.Config("refresh the source's schema", "The catalog's entry of stream %s is damaged", d).Because(err)
	}
	records, err := record.NewStream(d, c.SyncMode == airbyte.Incremental, properties, sequence)
	if err != nil {
		return nil, err
	}
	s := &Stream{
		ahead: ahead, Descriptor: d, Table: withKeyOf(t, c), Records: records, configured: configured{columns: properties},
		state: saved, open: 1,
	}
	for _, column := range t.Columns {
		if properties[column.Name] && !record.IsOwn(column.Name) {
			s.Columns = append(s.Columns, column.Name)
		}
	}
	if len(s.Columns) == 0 {
		return nil, failure.Config("refresh the source's schema", "Table %s has none of the columns that the catalog names", d)
	}
	if s.state == nil {
		s.state = &state.Stream{Shards: map[gtid.Shard]*state.Shard{}}
	}
	s.state.FullRefresh, s.state.SyncID = !s.Incremental(), c.SyncID
	if s.Incremental() {
		s.state.SyncID = 0
		s.configured.key = keyAtDestination(c)
	}
	s.adopt(t.Columns)
	s.Records.SetCursor(s.state.Cursor)
	return s, nil
}

// withKeyOf returns the table with the key that the destination knows: the catalog's columns (discover put the vindex's there, which are
// expensive to query) after MySQL's own.
func withKeyOf(t *table.Table, c *airbyte.ConfiguredStream) *table.Table {
	extended := *t
	extended.Key = slices.Clone(t.MySQLKey)
	for _, path := range slices.Concat(c.Stream.SourceDefinedPrimaryKey, c.PrimaryKey) {
		if len(path) == 1 && t.Column(path[0]) != nil && !slices.Contains(extended.Key, path[0]) {
			extended.Key = append(extended.Key, path[0])
		}
	}
	return &extended
}

// adopt makes the table's current columns those of the state. Nobody else has the stream yet.
func (s *Stream) adopt(now []table.Column) {
	was := s.state.Columns
	for _, shard := range s.state.Shards {
		if !shard.Position.IsZero() || shard.Moved != nil {
			shard.Layout.Adopt(now, was)
		}
		if c := shard.Copy; c != nil && !c.Oldest.IsZero() {
			c.Layout.Adopt(now, was)
		}
	}
	s.Changed = len(was) > 0 && (len(now) != len(was) || !table.Extends(now, was))
	s.altered.Store(s.Changed)
	s.state.Columns = now
}

// IdentifiedBy are the table's columns by which the destination finds the rows that it has; none if it keeps all records.
func (s *Stream) IdentifiedBy() []string { return s.configured.key }

// Incremental reports whether changes are requested, not snapshots.
func (s *Stream) Incremental() bool { return s.Records.Incremental }

// In returns the stream's partition of a shard.
func (s *Stream) In(shard gtid.Shard) *Partition {
	p, ok := s.parts.Load(shard)
	if !ok {
		p, _ = s.parts.LoadOrStore(shard, newPartition(s, shard))
	}
	return p.(*Partition)
}

// Partitions are those of all shards that were considered in this sync.
func (s *Stream) Partitions() iter.Seq[*Partition] {
	return func(yield func(*Partition) bool) {
		s.parts.Range(func(_, p any) bool { return yield(p.(*Partition)) })
	}
}

// Given is what the stream has sent in all shards.
func (s *Stream) Given() (records, bytes int64) {
	for p := range s.Partitions() {
		c := p.Origin.Count()
		records += c.Records()
		bytes += c.Bytes
	}
	return records, bytes
}

// WarnMissing reports which of the configured columns the table does not have, without those that it reported before.
func (s *Stream) WarnMissing(log *slog.Logger, t *table.Table) {
	var missing []string
	for name := range s.configured.columns {
		if t.Column(name) != nil || record.IsOwn(name) {
			continue
		}
		if _, said := s.missing.LoadOrStore(name, true); !said {
			missing = append(missing, name)
		}
	}
	if missing == nil {
		return
	}
	slices.Sort(missing)
	log.Warn(fmt.Sprintf("Stream %s: the table no longer has the columns %s, which are left out; refresh the source's schema.", s.Descriptor, strings.Join(missing, ", ")))
}

// Fail records why the stream fails, and reports whether it is the first reason.
func (s *Stream) Fail(v *failure.Verdict) bool { return s.failed.CompareAndSwap(nil, v) }

// Failed reports whether any partition of the stream failed.
func (s *Stream) Failed() bool { return s.failed.Load() != nil }

// said is what is logged once per stream.
type said struct{ altered, swapped atomic.Bool }

// Alters records that the table was altered, which may change rows without row events, and reports whether this is the first time.
func (s *said) Alters() bool { return !s.altered.Swap(true) }

// Swaps records that the table was swapped for what looks like a copy of it, and reports whether this is the first time.
func (s *said) Swaps() bool { return !s.swapped.Swap(true) }

// Run records that the stream has something to send, and reports whether that is new.
func (s *Stream) Run() bool { return !s.running.Swap(true) }
