package torture

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// sharded is the keyspace that has several shards, and whose shards are split and merged.
const sharded = "customer"

// divisions are the ways in which it is divided. It begins as the first.
var divisions = [][]string{{"-80", "80-"}, {"-"}, {"-40", "40-80", "80-"}, {"-80", "80-c0", "c0-"}, {"-40", "40-c0", "c0-"}}

// reshardOdds says in how many of the histories of that keyspace shards are split or merged: one in so many.
const reshardOdds = 7

// resharding is what a history does with the shards. It draws from numbers of its own, so that the histories of other seeds stay what they
// were.
type resharding struct {
	r       *rand.Rand
	planned bool     // it does something with them, if it has tables there
	left    int      // so many reshards are still to come
	wait    int      // so many moves until its next step
	next    []string // the shards that are being made: they follow those that serve
	former  []string // shards that no longer serve, and still exist
	undone  bool     // a reshard was switched, and is not complete
	serving map[string][]string
}

func newResharding(seed uint64, may bool) resharding {
	r := rand.New(rand.NewPCG(seed, 19))
	return resharding{
		r: r, planned: may && r.IntN(reshardOdds) == 0,
		serving: map[string][]string{"commerce": {"-"}, sharded: divisions[0]},
	}
}

// planReshards decides when shards are split or merged.
func (g *generator) planReshards() {
	has := slices.ContainsFunc(g.tables, func(t *table) bool { return t.keyspace == sharded })
	if s := &g.shards; has && s.planned {
		s.left, s.wait = 1+s.r.IntN(3), s.r.IntN(8)
	}
}

// followed are the moves that may come while new shards follow the serving ones: Vitess copies rows there, and no changes of columns.
var followed = map[string]bool{
	"insert": true, "update": true, "rekey": true, "delete": true, "transaction": true, "fill": true, "sync": true, "start": true,
	"interrupt": true, "judge": true, "replay": true, "clear": true, "discover": true, "idle": true, "hold": true,
}

// beforeMove makes the steps of a reshard that are due before the next move.
func (g *generator) beforeMove(move string) {
	s := &g.shards
	switch {
	case s.left == 0 && s.next == nil && !s.undone:
		return
	case s.wait > 0:
		s.wait--
	case s.next != nil:
		g.switchShards()
		s.wait = s.r.IntN(6)
	case s.undone && (s.left == 0 || s.r.IntN(3) > 0):
		if s.r.IntN(4) > 0 { // else there may be changes that nobody read
			g.judge()
		}
		g.complete()
		s.wait = s.r.IntN(4)
	default:
		g.reshard()
		s.wait = s.r.IntN(4)
	}
	if s.next != nil && !followed[move] {
		g.switchShards()
		s.wait = s.r.IntN(6)
	}
}

// endReshards makes the rest of a reshard that was planned.
func (g *generator) endReshards() {
	for g.shards.left > 0 || g.shards.next != nil {
		if g.shards.next == nil {
			g.reshard()
		}
		if g.shards.next != nil {
			g.switchShards()
		}
	}
}

// reshard makes new shards, in one of the moments that matter to a connector.
func (g *generator) reshard() {
	s := &g.shards
	s.left--
	now := s.serving[sharded]
	may := slices.DeleteFunc(slices.Clone(divisions), func(next []string) bool {
		return slices.Equal(next, now) || joins(now, next) && !g.unique()
	})
	if len(may) == 0 {
		return
	}
	next := may[s.r.IntN(len(may))]
	from, to := without(now, next), without(next, now)
	if slices.ContainsFunc(to, func(shard string) bool { return slices.Contains(s.former, shard) }) {
		g.judge()
		g.complete()
	}
	g.newIdentities()
	g.moment()
	g.at(sharded)
	g.add(Step{Verb: "reshard", Words: []string{strings.Join(from, ","), "to", strings.Join(to, ",")}})
	s.next, s.former = next, append(s.former, from...)
}

// joins reports whether rows of several shards come together in one.
func joins(now, next []string) bool {
	return slices.ContainsFunc(next, func(shard string) bool { return len(Overlapping([]string{shard}, now)) > 1 })
}

// unique reports whether no two shards have rows of one key: Vitess does not join them.
func (g *generator) unique() bool {
	return !slices.ContainsFunc(g.tables, func(t *table) bool {
		return t.keyspace == sharded && len(t.key) > 0 && len(without(t.vindex, t.key)) > 0
	})
}

// merges reports whether the keyspace's tables are sharded by columns of their keys, if they have some, so that shards can be joined.
func (g *generator) merges() bool { return g.shards.planned && g.keyspace == sharded }

func without(list, others []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(shard string) bool { return slices.Contains(others, shard) })
}

// moment brings the connector to where the reshard meets it: as it is, between two syncs, in the middle of one that replicates, or of one
// that copies, or between two attempts of a copy.
func (g *generator) moment() {
	r := g.shards.r
	moment := r.IntN(5)
	if moment == 0 {
		return
	}
	g.stop()
	if moment == 1 {
		return
	}
	var own []*table
	for _, t := range g.tables {
		if t.keyspace == sharded {
			own = append(own, t)
		}
	}
	t := own[r.IntN(len(own))]
	g.at(sharded)
	g.fill(t)
	if moment == 2 {
		g.add(Step{Verb: "sync"})
		g.add(Step{Verb: "sql", SQL: []string{g.update(t)}})
	} else {
		g.add(Step{Verb: "clear", Words: []string{t.name}})
	}
	g.start()
	if moment > 3 {
		g.add(Step{Verb: "pause", Words: []string{"1100"}})
		g.add(Step{Verb: "state"})
		g.add(Step{Verb: "kill"})
		g.reading = false
	}
}

// newIdentities: the tables of new shards have other identities, which hide what happened to the former ones without being sent.
func (g *generator) newIdentities() {
	for _, t := range g.tables {
		if t.keyspace == sharded {
			g.explains(t)
		}
	}
}

// switchShards makes the new shards serve, now and then while the connector's streams are held.
func (g *generator) switchShards() {
	s := &g.shards
	g.newIdentities()
	g.at(sharded)
	step := Step{Verb: "switch"}
	if held := s.r.IntN(32); g.reading && held < 8 {
		step.Words = []string{fmt.Sprintf("held=%d", 1000*(1+held))}
	}
	g.add(step)
	s.serving[sharded], s.next, s.undone = s.next, nil, true
}

// complete removes the former shards.
func (g *generator) complete() {
	g.at(sharded)
	g.add(Step{Verb: "complete"})
	g.shards.undone, g.shards.former = false, nil
}

// Parts are the serving shards that together hold the rows of a shard: itself, or those that it was split into; nil if there are none.
func Parts(shard string, serving []string) []string {
	var parts []string
	from, to := keyRange(shard)
	for _, s := range serving {
		if first, last := keyRange(s); first == from && last <= to {
			parts, from = append(parts, s), last
		}
	}
	if from != to {
		return nil
	}
	return parts
}

// Overlapping are the serving shards that hold rows of these.
func Overlapping(shards, serving []string) []string {
	var list []string
	for _, s := range serving {
		from, to := keyRange(s)
		if slices.ContainsFunc(shards, func(shard string) bool {
			first, last := keyRange(shard)
			return first < to && from < last
		}) {
			list = append(list, s)
		}
	}
	return list
}

// keyRange is a shard's first keyspace ID and the one after its last, in their first byte.
func keyRange(shard string) (from, to int) {
	first, last, _ := strings.Cut(shard, "-")
	to = 256
	_, _ = fmt.Sscanf(first, "%x", &from)
	_, _ = fmt.Sscanf(last, "%x", &to)
	return from, to
}
