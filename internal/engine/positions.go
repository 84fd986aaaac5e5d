package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/plan"
	"source-planetscale/internal/reader"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/state"
)

// judgement collects what is known about saved positions.
type judgement struct {
	*Sync
	known map[string]string // by shard and position: why it cannot be used, "" if it can
	// whole are positions since which shards still have all their binary logs, and so also those since any later one.
	whole map[gtid.Shard]gtid.Position
	// primaries are what the shards' primaries know, as far as they were queried.
	primaries map[gtid.Shard]primary
	// aheadUntil is how long to wait for primaries that lack transactions of saved positions; zero until one does.
	aheadUntil time.Time
}

func newJudgement(s *Sync) *judgement {
	return &judgement{Sync: s, known: map[string]string{}, whole: map[gtid.Shard]gtid.Position{}, primaries: map[gtid.Shard]primary{}}
}

// check finds out, before anything is streamed, whether every shard still has the changes since the saved positions. VStream itself does
// not report it: from a purged position, or one with transactions that the server never had, it sends heartbeats forever. Streams that
// cannot be resumed are moved from s.streams to refused, or start over if the user chose so.
func (j *judgement) check(ctx context.Context, refused failures) error {
	s := j.Sync
	if err := j.askAll(ctx); err != nil {
		return err
	}
	var usable []*partition.Stream
	for _, st := range s.streams {
		lost, err := j.lost(ctx, st)
		if err != nil {
			return err
		}
		again, refusal := j.withLoss(st, lost)
		switch {
		case refusal != nil:
			refused[st.Descriptor] = refusal
			continue
		case again:
			if err := s.change(func(tx *airbyte.Tx) error {
				st.Reset(tx)
				s.begin(tx, st, nil)
				return nil
			}); err != nil {
				return err
			}
		}
		usable = append(usable, st)
	}
	s.streams = usable
	return nil
}

// withLoss decides about a stream with a saved position that cannot be used, nil for none: it is refused, or copied again.
func (j *judgement) withLoss(st *partition.Stream, lost *plan.Loss) (again bool, refusal *failure.Verdict) {
	parts := j.source().Of(&plan.Stream{Incremental: st.Incremental(), Saved: st.Saved(), Lost: lost})
	switch {
	case plan.Has(parts, plan.Refuse):
		return false, failure.Config("clear the stream's data and sync again, or set "+failure.Option("If changes since the last sync cannot be read", "invalid_cdc_cursor_position_behavior")+
			" to \"Re-sync data\"; sync more often than the binary logs are kept",
			"Stream %s cannot resume from its saved position: shard %s %s", st.Descriptor, lost.Shard.Name, lost.Why)
	case plan.Has(parts, plan.StartOver):
		j.shared.Log.Warn(fmt.Sprintf("Stream %s is copied again: shard %s %s. Rows deleted in the meantime stay at the destination until it is refreshed.", st.Descriptor, lost.Shard.Name, lost.Why))
		return true, nil
	}
	return false, nil
}

// askAll queries the shards about all the streams' positions, in parallel, each about the oldest first, which mostly covers the later
// ones.
func (j *judgement) askAll(ctx context.Context) error {
	at, asked := map[gtid.Shard][]gtid.Position{}, map[string]bool{}
	for _, st := range j.streams {
		for _, shard := range j.wanted {
			if !st.Incremental() || !j.targets.Known(shard) {
				continue
			}
			if err := j.forgetStray(ctx, st.In(shard)); err != nil {
				return err
			}
			for _, p := range positionsOf(st.Saved()[shard]) {
				if key := about(shard, p); !asked[key] {
					asked[key] = true
					at[shard] = append(at[shard], p)
				}
			}
		}
	}
	var mu sync.Mutex
	return schema.EachShard(ctx, slices.Collect(maps.Keys(at)), func(ctx context.Context, shard gtid.Shard) error {
		slices.SortStableFunc(at[shard], func(a, b gtid.Position) int {
			switch {
			case b.Contains(a):
				return -1
			case a.Contains(b):
				return 1
			}
			return 0
		})
		one := newJudgement(j.Sync)
		one.aheadUntil, one.primaries = j.aheadUntil, j.primaries
		for _, p := range at[shard] {
			why, err := one.why(ctx, shard, p)
			if err != nil {
				return err
			}
			one.known[about(shard, p)] = why
		}
		mu.Lock()
		defer mu.Unlock()
		maps.Copy(j.known, one.known)
		maps.Copy(j.whole, one.whole)
		return nil
	})
}

// lost finds the first shard whose saved position cannot be used, nil if there is none.
func (j *judgement) lost(ctx context.Context, st *partition.Stream) (*plan.Loss, error) {
	if !st.Incremental() {
		return nil, nil
	}
	for _, shard := range slices.Concat(j.wanted, j.ancestors(st)) {
		if !j.targets.Known(shard) {
			continue // a former shard that could not be queried
		}
		if err := j.forgetStray(ctx, st.In(shard)); err != nil {
			return nil, err
		}
		for _, p := range positionsOf(st.Saved()[shard]) {
			key := about(shard, p)
			why, ok := j.known[key]
			if !ok {
				var err error
				if why, err = j.why(ctx, shard, p); err != nil {
					return nil, err
				}
				j.known[key] = why
			}
			if why != "" {
				return &plan.Loss{Shard: shard, Why: why}, nil
			}
		}
	}
	return nil, nil
}

// about is the key under which the result for a position is kept.
func about(shard gtid.Shard, p gtid.Position) string { return shard.String() + " " + p.String() }

// positionsOf are the positions that a shard will be streamed from.
func positionsOf(saved *state.Shard) []gtid.Position {
	switch {
	case saved == nil:
		return nil // it replaces a shard that was split or merged
	case saved.Copy == nil:
		return []gtid.Position{saved.Position}
	case saved.Copy.LastPK != nil && saved.Copy.Restarted:
		return []gtid.Position{saved.Position, saved.Copy.Oldest}
	case saved.Copy.LastPK != nil:
		return []gtid.Position{saved.Position}
	case !saved.Copy.Oldest.IsZero():
		return []gtid.Position{saved.Copy.Oldest}
	}
	return nil
}

func (j *judgement) why(ctx context.Context, shard gtid.Shard, p gtid.Position) (string, error) {
	target := j.targets.Of(shard)
	if j.primaries[shard].forgot(p) { // whatever its replicas have
		return j.whyForgotten(ctx, func(ctx context.Context) (bool, error) {
			known, err := j.primaryKnows(ctx, shard)
			return !known.forgot(p), err
		})
	}
	switch {
	case p.Equal(target):
		return "", nil
	case p.Contains(target):
		return j.whyAhead(ctx, shard, p)
	case !target.Contains(p):
		return "never had some of its transactions (another server, or changes lost in a failover)", nil
	}
	purged, err := j.purged(ctx, shard, p)
	switch {
	case err != nil && refusedOnly(err) == nil:
		j.shared.Log.Info(fmt.Sprintf("Shard %s does not say which binary logs it has purged; the sync continues without knowing.", shard.Name))
		return "", nil
	case err != nil:
		return "", err
	case purged:
		return "has purged the binary logs since then", nil
	}
	return "", nil
}

// purged reports whether a shard no longer has the logs since a position: of replicas, one made from a backup has none from before it, and
// vtgate streams from those that still have them.
func (j *judgement) purged(ctx context.Context, shard gtid.Shard, p gtid.Position) (purged bool, err error) {
	if whole := j.whole[shard]; !whole.IsZero() && p.Contains(whole) {
		return false, nil
	}
	times := 1
	if !j.cfg.Primary() {
		times = reader.ReplicasAsked
	}
	for range times {
		if purged, err = j.server.Purged(ctx, shard, p.GTIDSet()); err != nil || !purged {
			break
		}
	}
	if err == nil && !purged {
		j.whole[shard] = p
	}
	return purged, err
}

const (
	// aheadPatience is how long primaries may lack what was streamed from them: a transaction is in the binary log before it is
	// committed, which waits for a replica if replication is semi-synchronous.
	aheadPatience = 10 * time.Second
	aheadPoll     = time.Second
)

// whyAhead judges a position that contains all that the shard has, and more. A replica may lag behind the tablet that was read last:
// there is nothing to stream yet. A primary was set back, for example to a backup, and will reuse the same GTIDs: the new transactions
// would be mistaken for those already read.
func (j *judgement) whyAhead(ctx context.Context, shard gtid.Shard, p gtid.Position) (string, error) {
	if !j.cfg.Primary() {
		j.shared.Log.Warn(fmt.Sprintf("Shard %s is behind a saved position, probably because this replica lags behind the one read last: there is nothing to read until it has caught up.", shard.Name))
		return "", nil
	}
	return j.whyForgotten(ctx, func(ctx context.Context) (bool, error) {
		now, err := Peek(ctx, j.client, []gtid.Shard{shard})
		return now[shard].Contains(p), err
	})
}

// whyForgotten judges a position of which the shard's primary lacks something, unless it has all of it soon.
func (j *judgement) whyForgotten(ctx context.Context, has func(context.Context) (bool, error)) (string, error) {
	if j.aheadUntil.IsZero() {
		j.aheadUntil = time.Now().Add(aheadPatience)
	}
	for {
		all, err := has(ctx)
		switch {
		case err != nil:
			return "", err
		case all:
			return "", nil
		case time.Now().After(j.aheadUntil):
			return "no longer has some of its transactions (its data was restored, from a backup for example)", nil
		}
		select {
		case <-time.After(aheadPoll):
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}
