package engine

import (
	"context"
	"errors"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/schema"
)

// common leaves out of a replica's position what the shard's primary does not know: transactions that were made on one replica alone.
// Another replica never reaches a position with them, and nothing is lost without them: they are no changes of the shard. The primary
// is asked after the replica, so that it knows all that the replica has of it.
func (s *Sync) common(ctx context.Context, shard gtid.Shard, at gtid.Position) (gtid.Position, error) {
	if s.cfg.Primary() || at.IsZero() {
		return at, nil
	}
	executed, err := s.server.Executed(ctx, shard)
	switch {
	case errors.Is(err, schema.ErrRefused): // as with a password for replicas alone
		return at, nil
	case err != nil:
		return at, err
	}
	known, err := gtid.Parse(executed)
	if err != nil {
		return at, err
	}
	if both := at.Intersect(known); !both.IsZero() {
		return both, nil
	}
	return at, nil // another server's altogether, as the judgement of positions says
}
