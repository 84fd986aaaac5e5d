package source

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	topodatapb "vitess.io/vitess/go/vt/proto/topodata"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
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
	moved := map[string]gtid.Position{}
	for _, g := range j.ShardGtids {
		p, err := gtid.Parse(g.Gtid)
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

// carryOver brings the streams' states from shards that were split or merged to those that exist now, one generation after the
// other: what replaced a shard may have been replaced itself.
func (s *syncer) carryOver(ctx context.Context) error {
	for {
		for _, st := range s.streams {
			addGeneration(st, s.exist)
		}
		former := s.unread()
		if len(former) == 0 {
			break
		}
		group, groupCtx := errgroup.WithContext(ctx)
		for shard, streams := range former {
			group.Go(func() error { return s.readToJournal(groupCtx, shard, streams) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	for _, st := range s.streams {
		if err := s.arriveIn(st); err != nil {
			return err
		}
	}
	return nil
}

// unread finds the former shards whose changes the streams still lack, up to the journal.
func (s *syncer) unread() map[string][]*stream {
	former := map[string][]*stream{}
	for _, st := range s.streams {
		if st.hasFailed() || st.lost.Load() {
			continue
		}
		for _, shard := range st.formers(s.exist) {
			former[shard] = append(former[shard], st)
			st.open++
		}
	}
	return former
}

// formers are the shards that exist no more and of which the stream has something, but not all up to the journal.
func (s *stream) formers(existing []string) []string {
	var names []string
	for shard, saved := range s.state.Shards {
		if s.incremental && begun(saved) && saved.Moved == nil && !slices.Contains(existing, shard) {
			names = append(names, shard)
		}
	}
	return names
}

// begun tells whether rows of the shard were given.
func begun(saved *state.Shard) bool {
	from, _ := saved.Replay()
	return !from.IsZero()
}

// arriveIn gives the stream a state for every shard that exists now, and none for any other.
func (s *syncer) arriveIn(st *stream) error {
	if st.hasFailed() {
		return nil
	}
	if !st.lost.Load() {
		replaceShards(st, s.exist)
		if shard := st.strayFormer(s.shards, s.exist); shard != "" {
			if err := s.loseShard([]*stream{st}, shard, errNoJournal); err != nil {
				return err
			}
		}
	}
	starting := s.cfg.startingPositions
	if st.lost.Load() {
		st.state.Shards, starting = map[string]*state.Shard{}, nil
	}
	maps.DeleteFunc(st.state.Shards, func(shard string, _ *state.Shard) bool { return !slices.Contains(s.exist, shard) })
	st.begin(s.shards, starting)
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
		r := newReader(s, shard, s.stopOf(shard))
		r.toJournal = true
		for _, st := range group {
			at, layout := st.state.Shards[shard].Replay()
			r.at = at
			r.add(st, gtid.Position{}, layout)
		}
		s.log.Info(fmt.Sprintf("Reading what is left of the former shard %s: %s.", shard, r))
		err := s.read(ctx, r)
		switch {
		case errors.Is(err, airbyte.ErrWrite):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !errors.Is(err, errJournal):
			if r.answered && vstream.IsNoTablet(err) {
				err = errors.Join(errUnstreamable, err)
			}
			if err := s.loseShard(r.streams(), shard, err); err != nil {
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

// errNoJournal says that a former shard leads nowhere: it was read past its journal, as by a copy that began while the traffic
// was switched (vtgate copies from shards that no longer serve), or its journal does not name what replaced it.
var errNoJournal = errors.New("no journal comes")

// errUnstreamable says that the former shard's tablets are there, but do not stream from the position. Whether its binary logs
// were purged cannot be asked: vtgate queries no shard that does not serve.
var errUnstreamable = errors.New("tablets that say where they stand do not stream from the position")

// journalPatience is how long a replica may lag behind the journal that its primary has written.
const journalPatience = 2 * time.Minute

// checkJournal ends the reading of a former shard which stands past its journal: the journal is written before the new shards
// serve (Vitess' SwitchTraffic), so before the shard was found to be a former one, and peeked. The shard itself goes on for as
// long as Vitess writes changes back to it.
func (r *reader) checkJournal() error {
	if !r.toJournal || r.stop.IsZero() || !r.at.Contains(r.stop) {
		return nil
	}
	if r.passed.IsZero() {
		r.passed = time.Now()
	}
	if r.sync.cfg.tabletType() != topodatapb.TabletType_PRIMARY && time.Since(r.passed) < journalPatience {
		return nil
	}
	return errNoJournal
}

// whyNoWay says why a former shard does not lead to those that replaced it; "" for errors that may pass.
func whyNoWay(cause error) string {
	switch {
	case errors.Is(cause, errNoJournal):
		return "nothing in it tells where the new shards go on after the saved position, as when a copy of it began while the traffic was switched"
	case errors.Is(cause, errUnstreamable):
		return "does not stream from the saved position, as when its binary logs were purged since the last sync"
	case vstream.KindOf(cause) == vstream.NoShard:
		return "no longer exists, and with it the changes since the last sync"
	case vstream.KindOf(cause) == vstream.Purged:
		return "has purged the binary logs since the last sync"
	}
	return ""
}

// loseShard deals with an old shard that cannot be read any more, as with a position whose binary logs are gone.
func (s *syncer) loseShard(streams []*stream, shard string, cause error) error {
	for _, st := range streams {
		f := classifyStream(cause, st.descriptor.String(), shard)
		if why := whyNoWay(cause); why != "" {
			if s.cfg.InvalidPositionBehavior == resync {
				s.log.Warn(fmt.Sprintf("Stream %s is read afresh: its shard %s was split or merged and %s. Rows deleted meanwhile stay at the destination unless it is refreshed.", st.descriptor, shard, why))
				st.lost.Store(true)
				continue
			}
			f = classify(configErrorf("Stream %s cannot go on: its shard %s was split or merged and %s. Clear the stream's data and sync again, or set invalid_cdc_cursor_position_behavior to \"Re-sync data\"; sync before the old shards are removed.", st.descriptor, shard, why))
		}
		if err := s.failStream(st, f); err != nil {
			return err
		}
	}
	return nil
}
