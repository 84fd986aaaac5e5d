package source

import "context"

// copiesPerShard is how many copies may run on one shard: each costs it a lock, a long snapshot and a connection.
const copiesPerShard = 2

// slots limits the copies that run at the same time.
type slots struct {
	all    chan struct{}
	shards map[string]chan struct{}
}

func newSlots(concurrency int, shards []string) *slots {
	s := &slots{all: make(chan struct{}, concurrency), shards: map[string]chan struct{}{}}
	for _, shard := range shards {
		s.shards[shard] = make(chan struct{}, copiesPerShard)
	}
	return s
}

// acquire takes a place on the shard first, so that nobody holds one of the few common places while waiting for it.
func (s *slots) acquire(ctx context.Context, shard string) error {
	select {
	case s.shards[shard] <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case s.all <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-s.shards[shard]
		return context.Cause(ctx)
	}
}

func (s *slots) release(shard string) {
	<-s.all
	<-s.shards[shard]
}
