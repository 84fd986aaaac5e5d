package engine

import (
	"context"
	"errors"
	"sync"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/vstream"
)

// A replica may have transactions of its own, which the shard's primary does not know. Another replica never reaches a position that
// contains them, and refuses to stream from one. Nothing is lost without them, because they are not changes of the shard. So they are
// removed from targets, from saved positions, and from the position that a stream is requested from.

// primary is what the primary of a shard knows; zero if nothing was found out.
type primary struct {
	server   string // its UUID
	executed gtid.Position
}

// primaryKnows is what the shard's primary has executed, if replicas are read; zero if it need not be queried, or may not be, as with a
// password for replicas only. It must be queried after the replica, so that it includes all that the replica received from it.
func (s *Sync) primaryKnows(ctx context.Context, shard gtid.Shard) (primary, error) {
	if s.cfg.Primary() {
		return primary{}, nil
	}
	server, executed, err := s.server.Primary.Executed(ctx, shard)
	if errors.Is(err, schema.ErrRefused) {
		return primary{}, nil
	}
	if err != nil {
		return primary{}, err
	}
	at, err := gtid.Parse(executed)
	return primary{server, at}, err
}

// common is the position without what the primary does not know; unchanged if the primary has nothing of it, as it may belong to another
// one.
func (k primary) common(at gtid.Position) gtid.Position {
	if both := at.Intersect(k.executed); !both.IsZero() {
		return both
	}
	return at
}

// forgot reports whether the primary no longer has what it wrote itself, which is no replica's own: it was restored.
func (k primary) forgot(at gtid.Position) bool { return !k.executed.Contains(at.Of(k.server)) }

// where queries the current positions of shards.
func (s *Sync) where(ctx context.Context, shards ...gtid.Shard) (map[gtid.Shard]gtid.Position, error) {
	now, err := s.client.Peek(ctx, shards...)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	err = schema.EachShard(ctx, shards, func(ctx context.Context, shard gtid.Shard) error {
		known, err := s.primaryKnows(ctx, shard)
		mu.Lock()
		defer mu.Unlock()
		now[shard] = known.common(now[shard])
		return err
	})
	return now, err
}

// open opens a stream from a position that every replica has, and after transactions that only one may have.
func (s *Sync) open(ctx context.Context, req vstream.Request, own gtid.Position) (*vstream.Stream, error) {
	if !req.Position.IsZero() {
		known, err := s.primaryKnows(ctx, req.Shard)
		if err != nil {
			return nil, err
		}
		req.Position = known.common(req.Position).Union(own)
	}
	return s.client.Open(ctx, req)
}

// forgetStray removes from a partition's saved positions what the shard's primary does not know.
func (j *judgement) forgetStray(ctx context.Context, p *partition.Partition) error {
	known, asked := j.primaries[p.Shard]
	if !asked {
		var err error
		if known, err = j.primaryKnows(ctx, p.Shard); err != nil {
			return err
		}
		j.primaries[p.Shard] = known
	}
	return j.change(func(tx *airbyte.Tx) error {
		p.Confine(tx, func(at gtid.Position) gtid.Position {
			if known.forgot(at) {
				return at // to be judged
			}
			return known.common(at)
		})
		return nil
	})
}
