package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/lineage"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// rawStates are states of streams, as the platform passed them in.
type rawStates = map[airbyte.StreamDescriptor]json.RawMessage

// legacyStates are the streams' states in the document of the former connector, if there is one.
func legacyStates(in *airbyte.State) (rawStates, error) {
	if in.Legacy == nil {
		return nil, nil
	}
	states, err := state.ParseLegacy(in.Legacy)
	if err != nil {
		return nil, failure.Config("clear the connection's data and sync again", "The saved state cannot be used: %s", err).Because(err)
	}
	return states, nil
}

// savedStates finds each stream's state: its own or, if there is none, the one in the former connector's document. damaged are the errors
// of those that cannot be used, by table.
func (e *Engine) savedStates(catalog *airbyte.ConfiguredCatalog, own, legacy rawStates) (saved map[airbyte.StreamDescriptor]*state.Stream,
	damaged map[string]error,
) {
	saved, damaged = map[airbyte.StreamDescriptor]*state.Stream{}, map[string]error{}
	for i := range catalog.Streams {
		c := &catalog.Streams[i]
		d := c.Stream.Descriptor()
		if d.Namespace != "" && d.Namespace != e.cfg.Database {
			continue // it cannot be read, whatever its state is
		}
		s, err := e.savedState(c, own[d], legacy[d])
		if err != nil {
			damaged[d.Name] = failure.Config("clear the stream's data and sync again", "The saved state of stream %s cannot be used: %s", d, err).Because(err)
		} else if s != nil {
			saved[d] = s
		}
	}
	return saved, damaged
}

// savedState is the state of a stream that can be used, nil for none.
func (e *Engine) savedState(c *airbyte.ConfiguredStream, own, legacy json.RawMessage) (*state.Stream, error) {
	switch {
	case own != nil && !state.IsFormer(own):
		return e.ownState(c, own)
	case c.SyncMode == airbyte.FullRefresh: // the former connector saved states of those, too, and never used them
		return nil, nil
	case own != nil:
		return state.ParseFormer(own, e.cfg.Database)
	case legacy != nil:
		return state.ParseFormer(legacy, e.cfg.Database)
	}
	return nil, nil
}

// ownState is a state that this source wrote, nil if it belongs to another way of reading the stream.
func (e *Engine) ownState(c *airbyte.ConfiguredStream, data json.RawMessage) (*state.Stream, error) {
	s, err := state.Parse(data, e.cfg.Database)
	switch {
	case err != nil:
		return nil, err
	case usable(s, c):
		return s, nil
	case s.FullRefresh != (c.SyncMode == airbyte.FullRefresh):
		e.shared.Log.Warn(fmt.Sprintf("Stream %s: the saved state was written in the other sync mode and is not used; the table is copied from the beginning.", c.Stream.Descriptor()))
	}
	return nil, nil
}

// leftToSave are those states in the former connector's document that a later sync needs: with a position, or damaged, so that their
// streams are not silently copied again. The platform deletes the whole document with the first state of ours.
func leftToSave(own, legacy rawStates, saved map[airbyte.StreamDescriptor]*state.Stream, damaged map[string]error) rawStates {
	left := rawStates{}
	for d, data := range legacy {
		s := saved[d]
		begun := s != nil && slices.ContainsFunc(slices.Collect(maps.Values(s.Shards)), (*state.Shard).Begun)
		if own[d] == nil && (begun || damaged[d.Name] != nil) {
			left[d] = data
		}
	}
	return left
}

// unsent is the reason why VStream sends nothing for a table, nil if it does.
func unsent(name string) *table.Exclusion {
	e := table.Excluded(name, func(string) bool { return false })
	if e == nil || !e.Unsent {
		return nil
	}
	return e
}

// usable reports whether a state belongs to this way of reading the stream. A full refresh that is complete is read again,
// except by a retry of the same job.
func usable(s *state.Stream, c *airbyte.ConfiguredStream) bool {
	if s.FullRefresh != (c.SyncMode == airbyte.FullRefresh) {
		return false
	}
	if !s.FullRefresh || c.SyncID != 0 && s.SyncID == c.SyncID {
		return true
	}
	return slices.ContainsFunc(slices.Collect(maps.Values(s.Shards)), func(shard *state.Shard) bool { return shard.Copy != nil })
}

// streamsOf prepares the configured streams. Those that cannot be read are returned as failures; the others continue.
func (s *survey) streamsOf(catalog *airbyte.ConfiguredCatalog, tables map[string]*table.Table, unsteady map[string]error,
	saved map[airbyte.StreamDescriptor]*state.Stream,
) failures {
	refused := failures{}
	for i := range catalog.Streams {
		c := &catalog.Streams[i]
		d := c.Stream.Descriptor()
		st, err := s.streamOf(c, tables[d.Name], saved[d])
		if unsteady[d.Name] != nil {
			err = unsteady[d.Name]
		}
		if err != nil {
			refused[d] = failure.Judge(err)
			continue
		}
		s.warn(st)
		s.streams = append(s.streams, st)
	}
	return refused
}

// clockTolerance is how far a saved cursor may be ahead of the clock without a warning: a state from the middle of a sync is.
const clockTolerance = 10 * time.Minute

// warn reports what is unusual about a stream that can be read.
func (s *survey) warn(st *partition.Stream) {
	st.WarnMissing(s.shared.Log, st.Table)
	if st.Incremental() && st.Changed {
		s.shared.Log.Warn(fmt.Sprintf("Stream %s: the table was altered since the last sync. ALTER TABLE emits no row events, so rows already in the destination keep their old values (none, in a column that was renamed, or added with a DEFAULT) until they change or the stream is refreshed.", st.Descriptor))
	}
	if ahead := time.UnixMicro(st.Records.Cursor()); ahead.After(time.Now().Add(clockTolerance)) {
		s.shared.Log.Warn(fmt.Sprintf("Stream %s: the last _ab_cdc_cursor is %s ahead of this machine's clock; cursors continue from there. Check the clock.", st.Descriptor, time.Until(ahead).Round(time.Second)))
	}
}

func (s *survey) streamOf(c *airbyte.ConfiguredStream, t *table.Table, saved *state.Stream) (*partition.Stream, error) {
	d := c.Stream.Descriptor()
	switch {
	case t == nil && unsent(d.Name) != nil:
		return nil, failure.Config("rename the table, or remove the stream from the connection",
			"Stream %s cannot be read: Vitess sends no changes of tables that are %s", d, unsent(d.Name).Whose)
	case t == nil:
		return nil, failure.Config("refresh the source's schema and remove it from the connection", "Stream %s does not exist in the database", d)
	}
	if saved != nil {
		if err := s.checkShards(d, saved); err != nil {
			return nil, err
		}
		dropUnread(s.Sync, d, saved)
		if err := partition.CheckSavedKey(c, t, saved); err != nil {
			return nil, err
		}
	}
	st, err := partition.NewStream(c, t, saved, s.shared.Sequence, 2*s.cfg.CheckpointInterval())
	if err != nil {
		return nil, err
	}
	warnings, err := partition.CheckKey(st, c, s.cfg.RowOptions())
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		s.shared.Log.Warn(fmt.Sprintf("Stream %s: %s.", d, w))
	}
	if !lineage.Resharded(st.Saved(), s.existing) {
		if err := s.checkStarting(st); err != nil {
			return nil, err
		}
		warnOfOther(s.Sync, st)
		return st, s.change(func(tx *airbyte.Tx) error {
			s.begin(tx, st, s.cfg.StartingPositions())
			return nil
		})
	}
	return st, nil
}

// checkShards refuses a state with shards that the keyspace does not have and that no split or merge of shards can explain.
func (s *survey) checkShards(d airbyte.StreamDescriptor, saved *state.Stream) error {
	for shard := range saved.Shards {
		if !lineage.Related(shard, s.existing) {
			return failure.Config("clear the stream's data and sync again",
				"The saved state of stream %s has the shard %q, but keyspace %s now has the shards %s", d, shard.Name, shard.Keyspace, strings.Join(gtid.Names(s.existing), ", "))
		}
	}
	return nil
}

// warnOfOther warns that a reference table is read from another shard than before.
func warnOfOther(s *Sync, st *partition.Stream) {
	if !s.references[st.Table.Name] || !st.Incremental() || st.Saved()[s.shardsOf(st)[0]] != nil {
		return
	}
	for _, shard := range slices.SortedFunc(maps.Keys(st.Saved()), lineage.ByName) {
		if st.Saved()[shard].Begun() {
			s.shared.Log.Warn(fmt.Sprintf("Stream %s is copied again: it is a reference table, and shard %s is no longer read. Rows deleted in the meantime stay at the destination until it is refreshed.", st.Descriptor, shard.Name))
			return
		}
	}
}

// dropUnread drops the shards that were split or merged and none of whose rows are read any more. Their positions in the shards that exist
// are in their journals, which are not read either.
func dropUnread(s *Sync, d airbyte.StreamDescriptor, saved *state.Stream) {
	for _, shard := range slices.SortedFunc(maps.Keys(saved.Shards), lineage.ByName) {
		if slices.Contains(s.existing, shard) || lineage.Related(shard, s.wanted) {
			continue
		}
		if !saved.FullRefresh && saved.Shards[shard].Begun() {
			s.shared.Log.Warn(fmt.Sprintf("Stream %s: shard %s, which is no longer read, was split or merged. If its rows are read again, they are copied; rows deleted in the meantime stay at the destination until it is refreshed.", d, shard.Name))
		}
		delete(saved.Shards, shard)
	}
}

// checkStarting refuses to copy a stream that was to start at a position of a shard that does not exist, for example after a split.
// Streams with a state do not need the option, which may have been right when they began.
func (s *survey) checkStarting(st *partition.Stream) error {
	starting := s.cfg.StartingPositions()
	for _, shard := range s.shardsOf(st) {
		if _, named := starting[shard]; named || st.Saved()[shard] != nil || !st.Incremental() {
			continue
		}
		for _, other := range slices.SortedFunc(maps.Keys(starting), lineage.ByName) {
			if !slices.Contains(s.existing, other) {
				return failure.Config(fmt.Sprintf("enter the positions that the command position prints, or remove %q from the option to copy the stream", other.Name),
					"Stream %s starts in shard %s, for which "+failure.Option("Starting positions", "starting_gtids")+" has no position; it has one for shard %q, but keyspace %s has the shards %s",
					st.Descriptor, shard.Name, other.Name, s.cfg.Database, strings.Join(gtid.Names(s.existing), ", "))
			}
		}
	}
	return nil
}
