package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/lineage"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/plan"
	"source-planetscale/internal/reader"
)

// ancestors are the shards of a stream that no longer exist, and have to be read up to their journals.
func (s *Sync) ancestors(st *partition.Stream) []gtid.Shard {
	if !st.Incremental() {
		return nil
	}
	return lineage.Ancestors(st.Saved(), s.existing)
}

// carryOver brings the streams' states from shards that were split or merged to those that exist now, one generation after another: what
// replaced a shard may have been replaced itself.
func (s *Sync) carryOver(ctx context.Context) error {
	c := &crossing{Sync: s, lost: map[*partition.Stream]bool{}}
	crossed := map[*partition.Stream]bool{}
	for _, st := range s.streams {
		crossed[st] = lineage.Resharded(st.Saved(), s.existing)
	}
	j := newJudgement(s)
	for {
		unread, err := c.unread()
		if err != nil {
			return err
		}
		if len(unread) == 0 {
			break
		}
		group, groupCtx := newGroup(ctx)
		for shard, parts := range unread {
			group.Go(func() error { return c.readToJournal(groupCtx, shard, parts) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	for _, st := range s.streams {
		if err := c.arrive(st); err != nil {
			return err
		}
		if crossed[st] {
			if err := c.check(ctx, j, st); err != nil {
				return err
			}
		}
		if err := c.prepare(st); err != nil {
			return err
		}
	}
	return nil
}

// check finds out whether the shards that replaced others still have the changes since the journals.
func (c *crossing) check(ctx context.Context, j *judgement, st *partition.Stream) error {
	if st.Failed() || c.lost[st] {
		return nil
	}
	lost, err := j.lost(ctx, st)
	if err != nil {
		return err
	}
	again, refusal := j.withLoss(st, lost)
	if refusal != nil {
		return c.fail(st, refusal)
	}
	return c.change(func(*airbyte.Tx) error {
		c.lost[st] = again
		return nil
	})
}

// crossing is the path of the streams from former shards to existing ones.
type crossing struct {
	*Sync
	// lost are the streams that lost a former shard and have to be copied again for that reason. It changes only under a Tx.
	lost map[*partition.Stream]bool
}

// unread finds the former shards whose changes, up to the journal, the streams still lack.
func (c *crossing) unread() (map[gtid.Shard][]*partition.Partition, error) {
	unread := map[gtid.Shard][]*partition.Partition{}
	source := c.source()
	err := c.change(func(tx *airbyte.Tx) error {
		for _, st := range c.streams {
			if st.Failed() || c.lost[st] {
				continue
			}
			st.Descend(tx, c.wanted, c.existing, c.references[st.Table.Name])
			for _, part := range source.Of(&plan.Stream{Incremental: st.Incremental(), Saved: st.Saved()}) {
				if part.Step == plan.ReadToJournal {
					unread[part.Shard] = append(unread[part.Shard], st.In(part.Shard))
					st.Open(tx)
				}
			}
		}
		return nil
	})
	return unread, err
}

// arrive gives the stream a state for every shard that exists now, and none for any other.
func (c *crossing) arrive(st *partition.Stream) error {
	if st.Failed() {
		return nil
	}
	var stray gtid.Shard
	var found bool
	if err := c.change(func(tx *airbyte.Tx) error {
		if !c.lost[st] {
			stray, found = st.Arrive(tx, c.wanted, c.existing, c.references[st.Table.Name])
		}
		return nil
	}); err != nil {
		return err
	}
	if found {
		return c.lose(st, stray, reader.NoJournal())
	}
	return nil
}

// prepare plans the stream for what is to be read of the shards that exist now.
func (c *crossing) prepare(st *partition.Stream) error {
	if st.Failed() {
		return nil
	}
	return c.change(func(tx *airbyte.Tx) error {
		starting := c.cfg.StartingPositions()
		if c.lost[st] {
			st.Reset(tx)
			starting = nil
		}
		c.begin(tx, st, starting)
		return nil
	})
}

// readToJournal reads the changes of an old shard that the streams still lack, each position in a stream of its own: an old shard is read
// once.
func (c *crossing) readToJournal(ctx context.Context, shard gtid.Shard, parts []*partition.Partition) error {
	for _, group := range byReplay(parts) {
		if err := c.readFormer(ctx, shard, group, &search{c.retrier, attemptsOfASearch}); err != nil {
			return err
		}
	}
	return nil
}

// byReplay groups partitions by the position from which their changes are read.
func byReplay(parts []*partition.Partition) map[string][]*partition.Partition {
	return byPosition(parts, func(p *partition.Partition) gtid.Position {
		at, _ := p.Saved().Replay()
		return at
	})
}

// readFormer reads an old shard from the common position of the partitions.
func (c *crossing) readFormer(ctx context.Context, shard gtid.Shard, parts []*partition.Partition, by *search) error {
	var apart setApart
	var same []*partition.Partition
	for _, p := range parts {
		if _, layout := p.Saved().Replay(); layout.Differs() {
			apart.parts = append(apart.parts, p)
		} else {
			same = append(same, p)
		}
	}
	c.shared.Log.Info(fmt.Sprintf("Reading the remaining changes of the former shard %s: %s.", shard.Name, named(parts)))
	if same != nil {
		r := reader.Former(apart.envOf(c.Sync), shard, same)
		_, err := c.read(ctx, shard, r, by.retrier)
		switch left, v := r.Partitions(), failure.In(err); {
		case len(left) == 1 && isOfColumns(left[0], v):
			apart.parts = append(apart.parts, left[0])
		case len(left) > 1 && ctx.Err() == nil && by.may(v):
			one, other := by.halves(left, v, c.shared.Log)
			for _, half := range slices.Concat(slices.Collect(maps.Values(byReplay(one))), slices.Collect(maps.Values(byReplay(other)))) {
				if err := c.readFormer(ctx, shard, half, by); err != nil {
					return err
				}
			}
		default:
			if err := c.passed(ctx, shard, left, err); err != nil {
				return err
			}
		}
	}
	for _, p := range apart.parts {
		err := (&replication{c.Sync, shard}).followed(ctx, p, true)
		if v := failure.In(err); v != nil && v.Action == failure.Resync && v.Table == p.Name() { // for this one alone, because of its columns
			err = reader.Lost("has changes made before its columns were changed, which cannot be read: " + v.Cause.Error()).Because(v.Cause)
		}
		if err := c.passed(ctx, shard, []*partition.Partition{p}, err); err != nil {
			return err
		}
	}
	return nil
}

// passed records whether partitions of an old shard were read to its journal.
func (c *crossing) passed(ctx context.Context, shard gtid.Shard, parts []*partition.Partition, err error) error {
	switch {
	case errors.Is(err, airbyte.ErrWrite):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	for _, p := range parts {
		if err != nil {
			if err := c.lose(p.Stream, shard, failure.Judge(err)); err != nil {
				return err
			}
		}
		if err := c.finish(p.Stream); err != nil {
			return err
		}
	}
	return nil
}

// lose handles a former shard of a stream that cannot be read up to its journal.
func (c *crossing) lose(st *partition.Stream, shard gtid.Shard, v *failure.Verdict) error {
	if v.Action == failure.Resync && c.cfg.Resyncs() {
		c.shared.Log.Warn(fmt.Sprintf("Stream %s is copied again: its shard %s was split or merged and %s. Rows deleted in the meantime stay at the destination until it is refreshed.", st.Descriptor, shard.Name, v.What))
		return c.change(func(*airbyte.Tx) error {
			c.lost[st] = true
			return nil
		})
	}
	if v.Action == failure.Resync {
		v = failure.Config("clear the stream's data and sync again, or set "+failure.Option("If changes since the last sync cannot be read", "invalid_cdc_cursor_position_behavior")+
			" to \"Re-sync data\"; sync before the old shards are removed",
			"Stream %s cannot resume: its shard %s was split or merged and %s", st.Descriptor, shard.Name, v.What).Because(v.Cause)
	}
	return c.fail(st, v)
}
