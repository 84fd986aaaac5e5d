package reader

import (
	"sync"

	"source-planetscale/internal/gtid"
)

// Targets are where reading of shards ends: the shards' positions when the sync began, unless the target was moved since.
type Targets struct {
	mu      sync.Mutex
	byShard map[gtid.Shard]target
}

// target is where reading of one shard ends.
type target struct {
	at    gtid.Position
	moved bool
	// doubtful reports that the columns there could not be determined with certainty.
	doubtful bool
}

// NewTargets returns an empty set.
func NewTargets() *Targets { return &Targets{byShard: map[gtid.Shard]target{}} }

func (t *Targets) get(shard gtid.Shard) (target, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	found, known := t.byShard[shard]
	return found, known
}

func (t *Targets) update(shard gtid.Shard, change func(*target)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.byShard[shard]
	change(&at)
	t.byShard[shard] = at
}

// Of is a shard's target, zero if it is not known.
func (t *Targets) Of(shard gtid.Shard) gtid.Position {
	found, _ := t.get(shard)
	return found.at
}

// Known reports whether a shard's position was queried.
func (t *Targets) Known(shard gtid.Shard) bool {
	_, known := t.get(shard)
	return known
}

// Set sets a shard's target, at which the columns of its tables are known.
func (t *Targets) Set(shard gtid.Shard, at gtid.Position) {
	t.update(shard, func(here *target) { here.at, here.doubtful = at, false })
}

// Move sets a shard's target to a position at which the columns are not known.
func (t *Targets) Move(shard gtid.Shard, at gtid.Position) {
	t.update(shard, func(here *target) { here.at, here.moved = at, true })
}

// Doubt records that the columns at a shard's target could not be determined with certainty.
func (t *Targets) Doubt(shard gtid.Shard) {
	t.update(shard, func(here *target) { here.doubtful = true })
}

// Sure reports whether the shard's columns at its target are those that the sync looked up.
func (t *Targets) Sure(shard gtid.Shard) bool {
	found, _ := t.get(shard)
	return !found.moved && !found.doubtful
}

// All returns a copy of the targets, the caller's own.
func (t *Targets) All() map[gtid.Shard]gtid.Position {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make(map[gtid.Shard]gtid.Position, len(t.byShard))
	for shard, found := range t.byShard {
		all[shard] = found.at
	}
	return all
}
