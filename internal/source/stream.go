package source

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// The columns that discover adds to each table's own.
const (
	columnCursor    = "_ab_cdc_cursor"
	columnUpdatedAt = "_ab_cdc_updated_at"
	columnDeletedAt = "_ab_cdc_deleted_at"
	columnMetadata  = "_planetscale_metadata"
)

// stream is one configured stream in the course of a sync, shared by the readers of its shards.
type stream struct {
	descriptor  airbyte.StreamDescriptor
	table       *table.Table
	incremental bool
	prefix      *airbyte.RecordPrefix
	// columns are the table's columns to give, in the table's order; configured, what the catalog asks for.
	columns    []string
	configured map[string]bool
	gives      ourColumns

	// state and open are changed only while the writer is locked, inside Writer.Commit.
	state *state.Stream
	open  int // shards still being read

	// lost is set when a former shard is gone, and the stream is to be read afresh for that.
	lost atomic.Bool

	changed bool // the table has other columns than when the state was saved

	cursor   atomic.Int64 // the last _ab_cdc_cursor given
	running  atomic.Bool  // the status RUNNING was written
	tallies  sync.Map     // by shard, the *tally of what was given
	withheld atomic.Int64 // deletes not given, because the catalog has no column for them
	nulled   changeCounts
	missing  sync.Map // configured columns of which it was said that the table does not have them
	failed   atomic.Pointer[failure]
}

// ourColumns tells which of our own columns the catalog asks for.
type ourColumns struct{ cursor, updatedAt, deletedAt, metadata bool }

// newStream prepares a configured stream over its table; saved is the stream's state, nil for none.
func newStream(c *airbyte.ConfiguredStream, t *table.Table, saved *state.Stream) (*stream, error) {
	properties, err := c.Stream.Properties()
	if err != nil {
		return nil, because(airbyte.ConfigError, err, "The catalog's entry of stream %s is damaged; refresh the source's schema.", c.Stream.Descriptor())
	}
	prefix, err := airbyte.NewRecordPrefix(c.Stream.Descriptor())
	if err != nil {
		return nil, err
	}
	t = withKeyOf(t, c)
	s := &stream{
		descriptor: c.Stream.Descriptor(), table: t, incremental: c.SyncMode == airbyte.Incremental,
		prefix: prefix, configured: properties, state: saved,
	}
	s.gives = ourColumns{properties[columnCursor], properties[columnUpdatedAt], properties[columnDeletedAt], properties[columnMetadata]}
	for _, column := range t.Columns {
		if properties[column.Name] && !isOurs(column.Name) {
			s.columns = append(s.columns, column.Name)
		}
	}
	if len(s.columns) == 0 {
		return nil, configErrorf("Table %s has none of the columns that the catalog names; refresh the source's schema.", s.descriptor)
	}
	if s.state == nil {
		s.state = &state.Stream{Shards: map[string]*state.Shard{}}
	}
	s.state.FullRefresh, s.state.SyncID = !s.incremental, c.SyncID
	if s.incremental {
		s.state.SyncID = 0
	}
	s.adopt(t.Columns)
	s.cursor.Store(s.state.Cursor)
	return s, nil
}

// withKeyOf returns the table with the key that the destination knows: the catalog's columns (discover put the vindex's
// there, which are dear to look up) after MySQL's own.
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

// adopt makes the table's columns of today the state's.
func (s *stream) adopt(now []table.Column) {
	was := s.state.Columns
	for _, shard := range s.state.Shards {
		if !shard.Position.IsZero() || shard.Moved != nil {
			shard.Layout.Adopt(now, was)
		}
		if c := shard.Copy; c != nil && !c.Oldest.IsZero() {
			c.Layout.Adopt(now, was)
		}
	}
	s.changed = len(was) > 0 && (len(now) != len(was) || !table.Extends(now, was))
	s.state.Columns = now
}

func isOurs(column string) bool {
	return slices.Contains([]string{columnCursor, columnUpdatedAt, columnDeletedAt, columnMetadata}, column)
}

// selected are the columns that a copy selects: those to give and those of the key, by which it can be resumed.
func (s *stream) selected() []string {
	selected := slices.Clone(s.columns)
	for _, c := range s.table.Key {
		if !slices.Contains(selected, c) {
			selected = append(selected, c)
		}
	}
	return selected
}

// warnMissing says which configured columns the table does not have, unless that was said before.
func (s *stream) warnMissing(log *slog.Logger, t *table.Table) {
	var missing []string
	for name := range s.configured {
		if t.Column(name) != nil || isOurs(name) {
			continue
		}
		if _, said := s.missing.LoadOrStore(name, true); !said {
			missing = append(missing, name)
		}
	}
	if slices.Sort(missing); len(missing) > 0 {
		log.Warn(fmt.Sprintf("Stream %s: the table no longer has the columns %s, which are left out; refresh the source's schema.", s.descriptor, strings.Join(missing, ", ")))
	}
}

// cursors sets the _ab_cdc_cursor of the next n records aside and returns the number before the first: the clock in
// microseconds, but always more than the last one, so that of two records of a key the later one wins at the destination
// whatever the clock does.
func (s *stream) cursors(n int, now time.Time) int64 {
	for {
		last := s.cursor.Load()
		before := max(last, now.UnixMicro()-1)
		if s.cursor.CompareAndSwap(last, before+int64(n)) {
			return before
		}
	}
}

// snapshot returns the stream's state for a STATE message. It is called inside Writer.Commit.
func (s *stream) snapshot() (airbyte.StreamState, error) {
	if s.incremental {
		s.state.Cursor = s.cursor.Load()
	}
	data, err := s.state.MarshalJSON()
	if err != nil {
		return airbyte.StreamState{}, fmt.Errorf("the state of stream %s: %w", s.descriptor, err)
	}
	return airbyte.StreamState{Stream: s.descriptor, State: data}, nil
}

// hasFailed tells whether any shard of the stream failed.
func (s *stream) hasFailed() bool { return s.failed.Load() != nil }
