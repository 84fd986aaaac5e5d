package partition

import (
	"maps"
	"slices"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/lineage"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// The saved state of a stream, over all its shards.

// Saved is the stream's state of each shard. It is read-only, and only for whoever reads the stream.
func (s *Stream) Saved() lineage.Shards { return s.state.Shards }

// Put writes the stream's state in the middle of the sync. Its cursor is larger than those of the records that follow until the next
// state: an attempt after a kill, on a machine whose clock is behind, must produce larger ones than those.
func (s *Stream) Put(tx *airbyte.Tx) error {
	if s.Incremental() {
		s.state.Cursor = max(s.Records.Cursor(), time.Now().UnixMicro()) + s.ahead.Microseconds()
	}
	return put(tx, s)
}

func put(tx *airbyte.Tx, s *Stream) error {
	data, err := s.state.MarshalJSON()
	if err != nil {
		return failure.System("", "The state of stream %s cannot be saved: %s", s.Descriptor, err).Because(err).Of(s.Descriptor.Name)
	}
	tx.Put(airbyte.StreamState{Stream: s.Descriptor, State: data})
	s.Records.Promise(s.state.Cursor, s.ahead/2)
	return nil
}

// KeepAlive writes the stream's last state with a later cursor: the same state must not be written twice, and records follow it whose
// cursors may not be larger.
func (s *Stream) KeepAlive(tx *airbyte.Tx) error {
	s.state.Cursor = s.Records.Cursors(1, time.Now()) + 1 + s.ahead.Microseconds()
	return put(tx, s)
}

// Begin gives a state to the shards that were never read: a copy, or the position at which the user wants replication to start.
func (s *Stream) Begin(_ *airbyte.Tx, shards []gtid.Shard, starting map[gtid.Shard]gtid.Position) {
	for _, shard := range shards {
		if s.state.Shards[shard] != nil {
			continue
		}
		s.state.Shards[shard] = &state.Shard{Copy: &state.Copy{}}
		if at, ok := starting[shard]; ok && s.Incremental() {
			s.state.Shards[shard] = &state.Shard{Position: at, Layout: table.Layout{Unknown: true}}
		}
	}
}

// KeepOne drops the shards of a reference table except for the one that is read: each has all its rows.
func KeepOne(_ *airbyte.Tx, s *Stream, one gtid.Shard) {
	maps.DeleteFunc(s.state.Shards, func(shard gtid.Shard, saved *state.Shard) bool { return shard != one && saved.Moved == nil })
}

// Reset drops all shards: the stream is copied again.
func (s *Stream) Reset(*airbyte.Tx) { s.state.Shards = map[gtid.Shard]*state.Shard{} }

// Descend gives a state to the shards that replaced those which were read up to their journals, and no longer exist themselves.
func (s *Stream) Descend(_ *airbyte.Tx, wanted, existing []gtid.Shard, reference bool) {
	lineage.Descend(s.state.Shards, wanted, existing, s.Incremental(), reference)
}

// Arrive leaves the stream with the shards that exist now. stray is one that does not exist, and whose rows are in a wanted shard that
// nothing led to.
func (s *Stream) Arrive(_ *airbyte.Tx, wanted, existing []gtid.Shard, reference bool) (stray gtid.Shard, found bool) {
	lineage.Inherit(s.state.Shards, existing, s.Incremental(), reference)
	if s.Incremental() {
		stray, found = lineage.Stray(s.state.Shards, wanted, existing)
	}
	maps.DeleteFunc(s.state.Shards, func(shard gtid.Shard, _ *state.Shard) bool { return !slices.Contains(existing, shard) })
	return stray, found
}

// Open records that another partition of the stream is read.
func (s *Stream) Open(*airbyte.Tx) { s.open++ }

// Close records that one of them has ended, and reports whether it was the last one: then the stream's final state is written.
func (s *Stream) Close(tx *airbyte.Tx) (last bool, err error) {
	s.open--
	if s.open > 0 || s.Failed() {
		return s.open == 0, nil
	}
	if s.Incremental() {
		s.state.Cursor = s.Records.Cursor()
	}
	return true, put(tx, s)
}

// IsOpen reports whether the stream is still being read.
func (s *Stream) IsOpen(*airbyte.Tx) bool { return s.open > 0 }
