package engine

import (
	"context"
	"sync"

	"source-planetscale/internal/gtid"
)

// copiesPerShard is how many copies may run on one shard: each costs it a lock, a long snapshot and a connection.
const copiesPerShard = 2

// Slots limits the copies that run at the same time in the process.
type Slots struct {
	all    chan struct{}
	mu     sync.Mutex
	shards map[gtid.Shard]chan struct{}
}

// NewSlots has slots for that many copies.
func NewSlots(concurrency int) *Slots {
	return &Slots{all: make(chan struct{}, concurrency), shards: map[gtid.Shard]chan struct{}{}}
}

func (s *Slots) of(shard gtid.Shard) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	places := s.shards[shard]
	if places == nil {
		places = make(chan struct{}, copiesPerShard)
		s.shards[shard] = places
	}
	return places
}

// acquire takes a slot on the shard first, so that nobody holds one of the few common slots while waiting for it.
func (s *Slots) acquire(ctx context.Context, shard gtid.Shard) error {
	places := s.of(shard)
	select {
	case places <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case s.all <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-places
		return context.Cause(ctx)
	}
}

func (s *Slots) release(shard gtid.Shard) {
	<-s.all
	<-s.of(shard)
}
