package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/lineage"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/reader"
	"source-planetscale/internal/schema"
)

// Rows that were written before a change of their table's columns are read in a stream of the table's own: it can neither name the
// columns nor share a stream with tables that would break along with it.

// follow reads a partition whose columns were changed: first the statements that changed them, then the rows.
func (s *replication) follow(ctx context.Context, p *partition.Partition) error {
	err := s.followed(ctx, p, false)
	if v := failure.In(err); v != nil && v.Action == failure.Resync && s.cfg.Resyncs() && ctx.Err() == nil {
		return s.copyAgain(ctx, []*partition.Partition{p}, v)
	}
	return s.settle(ctx, []*partition.Partition{p}, err)
}

// followed reads it; isFormer reports that the shard was split or merged.
func (s *replication) followed(ctx context.Context, p *partition.Partition, isFormer bool) error {
	s.shared.Log.Info(fmt.Sprintf("The columns of %s were changed in shard %s: its changes are read in a separate stream, each row with the columns that it was written with.", p.Stream.Descriptor, s.shard.Name))
	scout, err := s.scout(ctx, p, isFormer)
	if err != nil {
		return err
	}
	r := reader.Follow(s.env, p, scout, isFormer)
	outcome, err := s.Sync.read(ctx, s.shard, r, s.retrier)
	if err == nil && outcome == reader.Replaced && !isFormer {
		err = r.Retired()
	}
	return err
}

// scout finds out how the columns of a partition were changed since its saved position.
func (s *replication) scout(ctx context.Context, p *partition.Partition, isFormer bool) (*reader.Reader, error) {
	var definition string
	serving := s.shard
	if isFormer { // which does not answer
		serving = s.wanted[0]
	}
	err := s.retrier.Insist(ctx, "Asking how a table is defined", func(ctx context.Context) (err error) {
		definition, err = unlessRefused(ctx, func() (string, error) { return s.server.Statements.Definition(ctx, serving, p.Name()) })
		return err
	})
	if err != nil {
		return nil, err
	}
	scout := reader.Scout(s.env, p, definition, isFormer)
	shard := s.shard
	for {
		outcome, err := s.Sync.read(ctx, shard, scout, s.retrier)
		if err != nil || outcome != reader.Replaced {
			return scout, err
		}
		if !isFormer {
			return nil, reader.ReplacedMeanwhile(shard)
		}
		// The rows have to be converted to today's columns, which statements in the shards that replaced this one led to.
		var at gtid.Position
		if shard, at = s.onward(shard, scout.Moved()); at.IsZero() {
			return nil, reader.NoJournal()
		}
		scout = reader.ScoutOn(s.env, scout, shard, at, !slices.Contains(s.existing, shard))
	}
}

// onward is one of the shards that replaced another, and where it continues: one whose end is known to this sync, if possible one that
// serves, or leads to one that is read. A journal also names shards with rows of other shards only.
func (s *replication) onward(former gtid.Shard, moved map[gtid.Shard]gtid.Position) (gtid.Shard, gtid.Position) {
	var next gtid.Shard
	for _, shard := range slices.SortedFunc(maps.Keys(moved), lineage.ByName) {
		switch serves := slices.Contains(s.existing, shard); {
		case !lineage.Overlap(former, shard), serves && !s.targets.Known(shard):
		case serves:
			return shard, moved[shard]
		case next == gtid.Shard{}, lineage.Related(shard, s.wanted) && !lineage.Related(next, s.wanted):
			next = shard
		}
	}
	return next, moved[next]
}

// unlessRefused is the answer to a query, the zero value if the service does not allow it.
func unlessRefused[T any](ctx context.Context, ask func() (T, error)) (answer T, err error) {
	answer, err = ask()
	if errors.Is(err, schema.ErrRefused) && ctx.Err() == nil {
		var none T
		return none, nil
	}
	return answer, err
}

// setApart are the partitions of a reader whose columns turned out to have been changed.
type setApart struct{ parts []*partition.Partition }

// envOf is the sync's environment for a reader that sets partitions apart.
func (a *setApart) envOf(s *Sync) *reader.Env {
	env := *s.env
	env.End = func(ctx context.Context, p *partition.Partition, err error) error {
		if isOfColumns(p, failure.In(err)) {
			a.parts = append(a.parts, p)
			return nil
		}
		return s.end(ctx, p, err)
	}
	return &env
}

// isOfColumns reports whether reading a partition ended because its columns were changed, or may have been.
func isOfColumns(p *partition.Partition, v *failure.Verdict) bool {
	return v != nil && p.Stream.Incremental() && (v.Action == failure.Follow || v.Action == failure.Reopen)
}
