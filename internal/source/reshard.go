package source

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"vitess.io/vitess/go/vt/key"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/state"
	"source-planetscale/internal/vstream"
)

// When shards are split or merged, Vitess writes a journal into the binary log of every old shard: it says where the new
// shards' logs go on. A position of an old shard is carried over by reading that shard up to its journal. That works as
// long as the old shard exists.

// errJournal ends a reader at the journal of its shard.
var errJournal = errors.New("the shard was split or merged")

// journal ends the reader when its shard was split or merged: here all changes of the old shard have been given.
func (r *reader) journal(ctx context.Context, j *binlogdatapb.Journal) error {
	if j.GetMigrationType() != binlogdatapb.MigrationType_SHARDS || r.copying {
		return nil // the next position, of other shards, ends a copy
	}
	moved := map[string]vstream.Position{}
	for _, g := range j.ShardGtids {
		p, err := vstream.ParsePosition(g.Gtid)
		if err != nil {
			return err
		}
		moved[g.Shard] = p
	}
	if err := r.checkDrift(ctx); err != nil {
		return err
	}
	r.sync.log.Info(fmt.Sprintf("Shard %s was replaced by the shards %s.", r.shard, strings.Join(slices.Sorted(maps.Keys(moved)), ", ")))
	err := r.commit(ctx, func() ([]airbyte.StreamState, error) {
		var states []airbyte.StreamState
		for _, st := range r.streams() {
			shard := st.state.Shards[r.shard]
			r.journalAgain = r.journalAgain || shard.Moved != nil
			shard.Moved = moved
			shard.Layout = r.tables[st.table.Name].layout
			s, err := st.snapshot()
			if err != nil {
				return nil, err
			}
			states = append(states, s)
		}
		return states, nil
	})
	return errors.Join(err, errJournal)
}

// replaced is how replication ends at a journal: well, since the next sync goes on with the shards that replaced this one. If
// it already did in an earlier sync and the shard is still there, it would do so for ever.
func (r *reader) replaced() error {
	if !r.journalAgain {
		return nil
	}
	return because(airbyte.TransientError, nil, "Shard %s was split or merged, as a journal in it says, but it is still the one that serves. If that was taken back (ReverseTraffic), the changes since then cannot be read: clear the data of the streams.", r.shard)
}

// carryOver brings the streams' states from shards that were split or merged to those that exist now.
func (s *syncer) carryOver(ctx context.Context) error {
	old := map[string][]*stream{}
	for _, st := range s.streams {
		for shard, saved := range st.state.Shards {
			if slices.Contains(s.exist, shard) {
				continue
			}
			if from, _ := saved.Replay(); saved.Moved == nil && !from.IsZero() && st.incremental {
				old[shard] = append(old[shard], st)
				st.open++
			}
		}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for shard, streams := range old {
		group.Go(func() error { return s.readToJournal(groupCtx, shard, streams) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, st := range s.streams {
		if st.lost.Load() {
			st.state.Shards = map[string]*state.Shard{}
		}
		if !st.hasFailed() {
			replaceShards(st, s.exist)
			st.begin(s.shards, s.cfg.startingPositions)
		}
	}
	return nil
}

// readToJournal gives the changes that the streams still lack of an old shard, each position in a stream of its own: an old
// shard is read once.
func (s *syncer) readToJournal(ctx context.Context, shard string, streams []*stream) error {
	groups := map[string][]*stream{}
	for _, st := range streams {
		at, _ := st.state.Shards[shard].Replay()
		groups[at.String()] = append(groups[at.String()], st)
	}
	for _, group := range groups {
		r := newReader(s, shard, vstream.Position{})
		r.toJournal = true
		for _, st := range group {
			at, layout := st.state.Shards[shard].Replay()
			r.at = at
			r.add(st, vstream.Position{}, layout)
		}
		s.log.Info(fmt.Sprintf("Reading what is left of the former shard %s: %s.", shard, r))
		err := s.read(ctx, r)
		switch {
		case errors.Is(err, airbyte.ErrWrite):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.Is(err, errJournal):
			if err := s.loseShard(r, err); err != nil {
				return err
			}
		}
		for _, st := range r.streams() {
			if err := s.finish(st); err != nil {
				return err
			}
		}
	}
	return nil
}

// loseShard deals with an old shard that cannot be read any more, as with a position whose binary logs are gone.
func (s *syncer) loseShard(r *reader, cause error) error {
	for _, st := range r.streams() {
		f := classifyStream(cause, st.descriptor.String(), r.shard)
		if vstream.KindOf(cause) == vstream.NoShard {
			if s.cfg.InvalidPositionBehavior == resync {
				s.log.Warn(fmt.Sprintf("Stream %s is read afresh: its former shard %s no longer exists. Rows deleted meanwhile stay at the destination unless it is refreshed.", st.descriptor, r.shard))
				st.lost.Store(true)
				continue
			}
			f = classify(configErrorf("Stream %s cannot go on: its shard %s was split or merged and no longer exists, and with it the changes since the last sync. Clear the stream's data and sync again, or set invalid_cdc_cursor_position_behavior to \"Re-sync data\"; sync before the old shards are removed.", st.descriptor, r.shard))
		}
		if err := s.failStream(st, f); err != nil {
			return err
		}
	}
	return nil
}

// replaceShards makes the new shards' states of the old ones', which have all reached their journal, were not begun, or are
// of a full refresh.
func replaceShards(st *stream, existing []string) {
	for _, shard := range existing {
		if st.state.Shards[shard] != nil {
			continue
		}
		if successor := succeed(st.state.Shards, existing, shard, st.incremental); successor != nil {
			st.state.Shards[shard] = successor
		}
	}
	maps.DeleteFunc(st.state.Shards, func(shard string, _ *state.Shard) bool { return !slices.Contains(existing, shard) })
}

// succeed returns the state of a new shard after those old ones that held its rows, nil if there are none.
func succeed(shards map[string]*state.Shard, existing []string, shard string, incremental bool) *state.Shard {
	var before []*state.Shard
	for name, saved := range shards {
		if !slices.Contains(existing, name) && overlap(name, shard) {
			before = append(before, saved)
		}
	}
	if len(before) == 0 {
		return nil
	}
	if !incremental {
		return &state.Shard{Copy: &state.Copy{}} // a snapshot of the new shard
	}
	at, copied, layout := vstream.Position{}, true, before[0].Layout
	for _, b := range before {
		layout = layout.Join(b.Layout)
		if p, ok := b.Moved[shard]; ok {
			at = p
		}
		copied = copied && b.Copy == nil
	}
	switch b := before[0]; {
	case copied:
		return &state.Shard{Position: at, Layout: layout}
	case len(before) == 1 && b.Copy.LastPK != nil:
		return &state.Shard{Position: at, Layout: layout, Copy: &state.Copy{Oldest: at, Layout: layout, LastPK: b.Copy.LastPK}}
	default:
		return &state.Shard{Copy: &state.Copy{Oldest: at, Layout: layout, Restarted: !at.IsZero()}}
	}
}

// overlap tells whether two shards hold rows of the same key range.
func overlap(a, b string) bool {
	x, errX := key.ParseShardingSpec(a)
	y, errY := key.ParseShardingSpec(b)
	return errX == nil && errY == nil && len(x) == 1 && len(y) == 1 && key.KeyRangeIntersect(x[0], y[0])
}

// covering returns the existing shards that together hold exactly the rows of a shard that was split, nil if they do not.
func covering(shard string, existing []string) []string {
	whole, err := key.ParseShardingSpec(shard)
	if err != nil || len(whole) != 1 {
		return nil
	}
	var parts []string
	sum := whole[0]
	for _, name := range slices.SortedFunc(slices.Values(existing), byRange) {
		part, err := key.ParseShardingSpec(name)
		if err != nil || len(part) != 1 || !key.KeyRangeContainsKeyRange(whole[0], part[0]) {
			continue
		}
		if len(parts) == 0 {
			sum = part[0]
		} else if joined, ok := key.KeyRangeAdd(sum, part[0]); ok {
			sum = joined
		}
		parts = append(parts, name)
	}
	if len(parts) == 0 || !key.KeyRangeEqual(sum, whole[0]) {
		return nil
	}
	return parts
}

func byRange(a, b string) int {
	x, errX := key.ParseShardingSpec(a)
	y, errY := key.ParseShardingSpec(b)
	if errX != nil || errY != nil || len(x) != 1 || len(y) != 1 {
		return strings.Compare(a, b)
	}
	return key.KeyRangeCompare(x[0], y[0])
}
