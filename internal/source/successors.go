package source

import (
	"maps"
	"slices"
	"strings"

	"vitess.io/vitess/go/vt/key"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/state"
)

// addGeneration gives a state to the shards that replaced those which were read to their journals, and exist no more themselves.
func addGeneration(st *stream, existing []string) {
	next := map[string]*state.Shard{}
	for shard, saved := range st.state.Shards {
		if slices.Contains(existing, shard) {
			continue
		}
		for successor := range saved.Moved {
			if st.state.Shards[successor] == nil && !slices.Contains(existing, successor) {
				next[successor] = succeed(st.state.Shards, existing, successor, st.incremental)
			}
		}
	}
	maps.Copy(st.state.Shards, next)
}

// replaceShards makes the new shards' states of the old ones', which have all reached their journal, were not begun, or are
// of a full refresh.
func replaceShards(st *stream, existing []string) {
	for _, shard := range existing {
		if st.state.Shards[shard] != nil {
			continue
		}
		if successor := succeed(st.state.Shards, existing, shard, st.incremental); successor != nil {
			st.state.Shards[shard] = successor
		}
	}
}

// strayFormer finds a former shard of which the stream has something, and rows of which are in a shard that nothing led to.
func (s *stream) strayFormer(shards, existing []string) string {
	for former, saved := range s.state.Shards {
		if !s.incremental || !begun(saved) || slices.Contains(existing, former) {
			continue
		}
		if slices.ContainsFunc(shards, func(shard string) bool { return s.state.Shards[shard] == nil && overlap(shard, former) }) {
			return former
		}
	}
	return ""
}

// succeed returns the state of a new shard after those old ones that lead to it, or were not begun; nil if there are none.
func succeed(shards map[string]*state.Shard, existing []string, shard string, incremental bool) *state.Shard {
	var before []*state.Shard
	for name, saved := range shards {
		_, leads := saved.Moved[shard]
		if !slices.Contains(existing, name) && overlap(name, shard) && (leads || saved.Moved == nil) {
			before = append(before, saved)
		}
	}
	if len(before) == 0 {
		return nil
	}
	if !incremental {
		return &state.Shard{Copy: &state.Copy{}} // a snapshot of the new shard
	}
	at, copied, layout := gtid.Position{}, true, before[0].Layout
	for _, b := range before {
		layout = layout.Join(b.Layout)
		if p, ok := b.Moved[shard]; ok {
			at = p
		}
		copied = copied && b.Copy == nil
	}
	switch b := before[0]; {
	case copied:
		return &state.Shard{Position: at, Layout: layout}
	case len(before) == 1 && b.Copy.LastPK != nil:
		return &state.Shard{Position: at, Layout: layout, Copy: &state.Copy{Oldest: at, Layout: layout, LastPK: b.Copy.LastPK}}
	default:
		return &state.Shard{Copy: &state.Copy{Oldest: at, Layout: layout, Restarted: !at.IsZero()}}
	}
}

// overlap tells whether two shards hold rows of the same key range.
func overlap(a, b string) bool {
	x, errX := key.ParseShardingSpec(a)
	y, errY := key.ParseShardingSpec(b)
	return errX == nil && errY == nil && len(x) == 1 && len(y) == 1 && key.KeyRangeIntersect(x[0], y[0])
}

// covering returns the existing shards that together hold exactly the rows of a shard that was split, nil if they do not.
func covering(shard string, existing []string) []string {
	whole, err := key.ParseShardingSpec(shard)
	if err != nil || len(whole) != 1 {
		return nil
	}
	var parts []string
	sum := whole[0]
	for _, name := range slices.SortedFunc(slices.Values(existing), byRange) {
		part, err := key.ParseShardingSpec(name)
		if err != nil || len(part) != 1 || !key.KeyRangeContainsKeyRange(whole[0], part[0]) {
			continue
		}
		if len(parts) == 0 {
			sum = part[0]
		} else if joined, ok := key.KeyRangeAdd(sum, part[0]); ok {
			sum = joined
		}
		parts = append(parts, name)
	}
	if len(parts) == 0 || !key.KeyRangeEqual(sum, whole[0]) {
		return nil
	}
	return parts
}

func byRange(a, b string) int {
	x, errX := key.ParseShardingSpec(a)
	y, errY := key.ParseShardingSpec(b)
	if errX != nil || errY != nil || len(x) != 1 || len(y) != 1 {
		return strings.Compare(a, b)
	}
	return key.KeyRangeCompare(x[0], y[0])
}
