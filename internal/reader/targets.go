package reader

import (
	"maps"
	"sync"

	"source-planetscale/internal/gtid"
)

// Targets are where the reading of shards ends: where they were when the sync began, unless that was moved since.
type Targets struct {
	mu    sync.Mutex
	at    map[gtid.Shard]gtid.Position
	moved map[gtid.Shard]bool
	// doubtful are the shards whose columns at the target could not be told for sure.
	doubtful map[gtid.Shard]bool
}

// NewTargets has none.
func NewTargets() *Targets {
	return &Targets{at: map[gtid.Shard]gtid.Position{}, moved: map[gtid.Shard]bool{}, doubtful: map[gtid.Shard]bool{}}
}

// Of is a shard's target, zero if it is not known.
func (t *Targets) Of(shard gtid.Shard) gtid.Position {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.at[shard]
}

// Known reports whether a shard was asked where it is.
func (t *Targets) Known(shard gtid.Shard) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, known := t.at[shard]
	return known
}

// Set sets a shard's target, at which the columns of its tables are known.
func (t *Targets) Set(shard gtid.Shard, at gtid.Position) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at[shard] = at
	delete(t.doubtful, shard)
}

// Move sets a shard's target to a position at which the columns are not known.
func (t *Targets) Move(shard gtid.Shard, at gtid.Position) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at[shard], t.moved[shard] = at, true
}

// Doubt notes that the columns at a shard's target could not be told for sure.
func (t *Targets) Doubt(shard gtid.Shard) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.doubtful[shard] = true
}

// Doubtful reports whether that is so.
func (t *Targets) Doubtful(shard gtid.Shard) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.doubtful[shard]
}

// Moved reports whether the target was moved.
func (t *Targets) Moved(shard gtid.Shard) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.moved[shard]
}

// All returns a copy of the targets, the caller's own.
func (t *Targets) All() map[gtid.Shard]gtid.Position {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.at)
}
