package engine

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/plan"
	"source-planetscale/internal/reader"
	"source-planetscale/internal/vstream"
)

// replication replicates one shard.
type replication struct {
	*Sync
	shard gtid.Shard
}

// streamsPerShard is how many may replicate one shard at a time: each is a dump of its binary log.
const streamsPerShard = 2

// all replicates streams whose copy is complete: those whose columns were changed each by itself, the others in one VStream if one of
// their positions is contained in all others, else in one per group of equal positions.
func (s *replication) all(ctx context.Context, parts []*partition.Partition) error {
	var same, older []*partition.Partition
	for _, p := range parts {
		if p.Saved().Layout.Differs() {
			older = append(older, p)
		} else {
			same = append(same, p)
		}
	}
	group, ctx := newGroup(ctx)
	group.SetLimit(streamsPerShard)
	for _, g := range sharing(same) {
		group.Go(func() error { return s.read(ctx, g, &search{s.retrier, attemptsOfASearch}) })
	}
	for _, p := range older {
		group.Go(func() error { return s.follow(ctx, p) })
	}
	return group.Wait()
}

// sharing groups the partitions that one VStream can read.
func sharing(parts []*partition.Partition) [][]*partition.Partition {
	switch {
	case len(parts) == 0:
		return nil
	case !oldest(parts).IsZero():
		return [][]*partition.Partition{parts}
	}
	groups := byPosition(parts, func(p *partition.Partition) gtid.Position { return p.Saved().Position })
	return slices.Collect(maps.Values(groups))
}

// byPosition groups partitions by one of their positions.
func byPosition(parts []*partition.Partition, of func(*partition.Partition) gtid.Position) map[string][]*partition.Partition {
	groups := map[string][]*partition.Partition{}
	for _, p := range parts {
		at := of(p).String()
		groups[at] = append(groups[at], p)
	}
	return groups
}

// named names the tables of partitions.
func named(parts []*partition.Partition) string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.Name()
	}
	return plan.Enumerate(names, 3)
}

// search is the search for the one of many tables that breaks their stream.
type search struct {
	retrier Retrier
	left    int // streams that it may still open
}

// attemptsOfASearch is how many streams may be opened: two for each of a few faulty tables among thousands.
const attemptsOfASearch = 128

func (s *replication) read(ctx context.Context, parts []*partition.Partition, by *search) error {
	var apart setApart
	r := reader.Replicate(apart.envOf(s.Sync), s.shard, oldest(parts), parts)
	s.shared.Log.Info(fmt.Sprintf("Replicating %s from shard %s: %s.", plan.Number(len(parts), "stream"), s.shard.Name, named(parts)))
	outcome, err := s.Sync.read(ctx, s.shard, r, by.retrier)
	if err := s.conclude(ctx, r, outcome, err, by); err != nil {
		return err
	}
	for _, p := range apart.parts {
		if err := s.follow(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// conclude handles what a reader has left, after that outcome or error.
func (s *replication) conclude(ctx context.Context, r *reader.Reader, outcome reader.Outcome, err error, by *search) error {
	read, again := r.Left()
	left, v := slices.Concat(read, again), failure.In(err)
	switch {
	case err == nil:
		return s.readAgain(ctx, r, outcome)
	case ctx.Err() != nil || v == nil:
	case len(read) > 1 && by.may(v):
		return s.searchHalves(ctx, left, v, by)
	case len(left) == 1 && isOfColumns(left[0], v):
		return s.follow(ctx, left[0])
	case v.Action == failure.Resync:
		return s.leave(ctx, read, again, v)
	}
	return s.settle(ctx, left, err)
}

// leave ends the partitions whose positions are no longer usable, or copies them again; the others, which the stream has not reached, are
// read from their own.
func (s *replication) leave(ctx context.Context, lost, further []*partition.Partition, v *failure.Verdict) error {
	group, ctx := newGroup(ctx)
	group.Go(func() error {
		if s.cfg.Resyncs() {
			return s.copyAgain(ctx, lost, v)
		}
		return s.settle(ctx, lost, v)
	})
	group.Go(func() error { return s.all(ctx, further) }) // they become fewer each time: the stream began at the position of another
	return group.Wait()
}

// readAgain ends the partitions that were read, and reads others again from their own positions.
func (s *replication) readAgain(ctx context.Context, r *reader.Reader, outcome reader.Outcome) error {
	read, again := r.Left()
	var err error
	if outcome == reader.Replaced {
		err = r.Retired()
	}
	if err := s.settle(ctx, read, err); err != nil || again == nil {
		return err
	}
	s.shared.Log.Info(fmt.Sprintf("%d streams of shard %s are read again from their own positions, because the shared VStream did not stop exactly there.", len(again), s.shard.Name))
	return s.all(ctx, again) // the oldest of them is at its own position: they become fewer each time
}

// copyAgain copies partitions from their first row, because their positions are no longer usable.
func (s *replication) copyAgain(ctx context.Context, parts []*partition.Partition, v *failure.Verdict) error {
	err := s.change(func(tx *airbyte.Tx) error {
		for _, p := range parts {
			p.Forget(tx)
		}
		return nil
	})
	if err != nil {
		return err
	}
	group, ctx := newGroup(ctx)
	for _, p := range parts {
		s.shared.Log.Warn(fmt.Sprintf("Stream %s is copied again from shard %s: %s. Rows deleted in the meantime stay at the destination until it is refreshed.", p.Stream.Descriptor, p.Shard.Name, v.What))
		group.Go(func() error { return s.copy(ctx, p) })
	}
	return group.Wait()
}

// halves divides the partitions of a stream that failed like this.
func (by *search) halves(parts []*partition.Partition, v *failure.Verdict, log *slog.Logger) (one, other []*partition.Partition) {
	if v.Action == failure.Retry {
		by.retrier = NewRetrier(1, time.Second, log) // all of them together have been retried for long
	}
	by.left -= 2
	half := len(parts) / 2
	return parts[:half], parts[half:]
}

// searchHalves searches for the table that breaks the stream if the error does not name it: the others continue.
func (s *replication) searchHalves(ctx context.Context, parts []*partition.Partition, v *failure.Verdict, by *search) error {
	one, other := by.halves(parts, v, s.shared.Log)
	for _, g := range slices.Concat(sharing(one), sharing(other)) { // the oldest of all may be in the other half
		if err := s.read(ctx, g, by); err != nil {
			return err
		}
	}
	return nil
}

// may reports whether it may look for the table that made a stream fail like this.
func (by *search) may(v *failure.Verdict) bool { return by.left > 0 && oneOfThem(v) }

// oneOfThem reports whether a stream of several tables may have failed because of one of them: for a row that is too large, or for any
// reason that the server repeats each time.
func oneOfThem(v *failure.Verdict) bool {
	if v == nil {
		return false
	}
	again := v.Action == failure.Retry && (vstream.IsUnexplained(v) || v.Table != "")
	return again || v.Action == failure.Split || v.Action == failure.Reopen
}

// oldest returns the position among the partitions' that all others contain, zero if there is none.
func oldest(parts []*partition.Partition) gtid.Position {
	at := parts[0].Saved().Position
	for _, p := range parts {
		if q := p.Saved().Position; at.Contains(q) {
			at = q
		}
	}
	for _, p := range parts {
		if !p.Saved().Position.Contains(at) {
			return gtid.Position{}
		}
	}
	return at
}
