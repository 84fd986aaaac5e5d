package lineage

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/state"
)

// Shards is the state of a stream in each shard.
type Shards = map[gtid.Shard]*state.Shard

// Resharded reports whether the stream was read from shards that were split or merged since.
func Resharded(shards Shards, existing []gtid.Shard) bool {
	for shard := range shards {
		if !slices.Contains(existing, shard) {
			return true
		}
	}
	return false
}

// Ancestors are the shards that no longer exist and whose changes the stream still lacks up to their journal, sorted.
func Ancestors(shards Shards, existing []gtid.Shard) []gtid.Shard {
	var names []gtid.Shard
	for shard, saved := range shards {
		if saved.Begun() && saved.Moved == nil && !slices.Contains(existing, shard) {
			names = append(names, shard)
		}
	}
	slices.SortFunc(names, ByName)
	return names
}

// Descend gives a state to the shards that replaced those which were read up to their journals, if they no longer exist themselves: next
// they must be read up to their own journals. A shard has to wait for others if only some of its rows come from those that were read, for
// as long as there are others to be read: they may lead to it as well, and their changes come before its own. One without rows of a
// wanted shard is not read.
func Descend(shards Shards, wanted, existing []gtid.Shard, incremental, reference bool) {
	for {
		from := descendants(shards, existing)
		maps.DeleteFunc(from, func(shard gtid.Shard, _ []gtid.Shard) bool { return !Related(shard, wanted) })
		whole := maps.Clone(from)
		maps.DeleteFunc(whole, func(shard gtid.Shard, leading []gtid.Shard) bool { return !reference && !hold(leading, shard) })
		if len(whole) > 0 {
			from = whole
		} else if len(from) == 0 || len(Ancestors(shards, existing)) > 0 {
			return
		}
		next := Shards{}
		for shard := range from {
			next[shard] = inherited(shards, existing, shard, incremental, reference)
		}
		maps.Copy(shards, next)
	}
}

// descendants are the shards without a state that no longer exist, each with the shards, sorted, that lead to it: a journal names all
// targets of its workflow (Vitess' createJournals), also those that got none of its shard's rows.
func descendants(shards Shards, existing []gtid.Shard) map[gtid.Shard][]gtid.Shard {
	from := map[gtid.Shard][]gtid.Shard{}
	for _, shard := range slices.SortedFunc(maps.Keys(shards), ByName) {
		if slices.Contains(existing, shard) {
			continue
		}
		for descendant := range shards[shard].Moved {
			if shards[descendant] == nil && Overlap(shard, descendant) && !slices.Contains(existing, descendant) {
				from[descendant] = append(from[descendant], shard)
			}
		}
	}
	return from
}

// Inherit derives the existing shards' states from those of the shards that they replaced, which have all reached their journal, were not
// begun, or are of a full refresh. A reference table has all its rows in each shard.
func Inherit(shards Shards, existing []gtid.Shard, incremental, reference bool) {
	for _, shard := range existing {
		if shards[shard] != nil {
			continue
		}
		if s := inherited(shards, existing, shard, incremental, reference); s != nil {
			shards[shard] = s
		}
	}
}

// Stray returns a shard that no longer exists, of which the stream has a state, and whose rows are in a wanted shard that nothing led to,
// if there is one.
func Stray(shards Shards, wanted, existing []gtid.Shard) (gtid.Shard, bool) {
	for _, former := range slices.SortedFunc(maps.Keys(shards), ByName) {
		if !shards[former].Begun() || slices.Contains(existing, former) {
			continue
		}
		if slices.ContainsFunc(wanted, func(shard gtid.Shard) bool { return shards[shard] == nil && Overlap(shard, former) }) {
			return former, true
		}
	}
	return gtid.Shard{}, false
}

// inherited returns the state of a new shard from those old ones that lead to it, or were not begun; nil if there are none. If they do
// not hold all its rows, because some shards were not read, it is copied.
func inherited(shards Shards, existing []gtid.Shard, shard gtid.Shard, incremental, reference bool) *state.Shard {
	var names []gtid.Shard
	var before []*state.Shard
	for _, name := range slices.SortedFunc(maps.Keys(shards), ByName) {
		saved := shards[name]
		_, leads := saved.Moved[shard]
		if !slices.Contains(existing, name) && Overlap(name, shard) && (leads || saved.Moved == nil) {
			names, before = append(names, name), append(before, saved)
		}
	}
	if len(before) == 0 {
		return nil
	}
	if !incremental {
		return &state.Shard{Copy: &state.Copy{}} // a snapshot of the new shard
	}
	whole := reference || hold(names, shard)
	at, led, copied, layout := gtid.Position{}, false, whole, before[0].Layout
	for _, b := range before {
		layout = layout.Join(b.Layout)
		if p, ok := b.Moved[shard]; ok {
			// They only differ if traffic went back and forth, and one journal is older than another: the changes of its shard in between
			// are in the new shard after it.
			if led {
				p = at.Intersect(p)
			}
			at, led = p, true
		}
		copied = copied && b.Copy == nil
	}
	copied = copied && !at.IsZero()
	switch b := before[0]; {
	case copied:
		return &state.Shard{Position: at, Layout: layout}
	case whole && len(before) == 1 && b.Copy.LastPK != nil:
		return &state.Shard{Position: at, Layout: layout, Copy: &state.Copy{Oldest: at, Layout: layout, LastPK: b.Copy.LastPK}}
	default:
		return &state.Shard{Copy: &state.Copy{Oldest: at, Layout: layout, Restarted: !at.IsZero()}}
	}
}

// ByName orders shards.
func ByName(a, b gtid.Shard) int {
	return cmp.Or(strings.Compare(a.Keyspace, b.Keyspace), strings.Compare(a.Name, b.Name))
}
