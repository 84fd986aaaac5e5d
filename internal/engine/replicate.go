package engine

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/reader"
)

// replicateAll replicates streams that are past their copy: in one VStream if their positions can be compared, one the
// start for all, else in one per group of equal positions.
func (s *Sync) replicateAll(ctx context.Context, shard gtid.Shard, parts []*partition.Partition) error {
	if oldest(parts).IsZero() {
		return s.replicateGroups(ctx, shard, parts)
	}
	return s.replicate(ctx, shard, parts)
}

func (s *Sync) replicateGroups(ctx context.Context, shard gtid.Shard, parts []*partition.Partition) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, g := range byPosition(parts, func(p *partition.Partition) gtid.Position { return p.Saved().Position }) {
		group.Go(func() error { return s.replicate(ctx, shard, g) })
	}
	return group.Wait()
}

// byPosition groups partitions by a position of theirs.
func byPosition(parts []*partition.Partition, of func(*partition.Partition) gtid.Position) map[string][]*partition.Partition {
	groups := map[string][]*partition.Partition{}
	for _, p := range parts {
		at := of(p).String()
		groups[at] = append(groups[at], p)
	}
	return groups
}

func (s *Sync) replicate(ctx context.Context, shard gtid.Shard, parts []*partition.Partition) error {
	r := reader.Replicate(s.env, shard, oldest(parts), parts)
	s.shared.Log.Info(fmt.Sprintf("Replicating %d streams of shard %s: %s.", len(parts), shard.Name, r))
	outcome, err := s.read(ctx, r)
	v, left := failure.In(err), r.Partitions()
	switch {
	case err == nil && outcome == reader.Unnamed:
		return s.replicateGroups(ctx, shard, left)
	case err == nil && outcome == reader.Replaced:
		err = r.Retired()
	case v != nil && v.Action == failure.Split && len(left) > 1:
		// The table whose rows are too large, which the error does not name, is searched for: the others go on.
		half := len(left) / 2
		if err := s.replicate(ctx, shard, left[:half]); err != nil {
			return err
		}
		return s.replicate(ctx, shard, left[half:])
	}
	return s.settle(ctx, left, err)
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
