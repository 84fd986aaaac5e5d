// Package lineage handles shards that replaced one another: which of them hold the same rows, which ones a name stands for, and what
// state a new shard inherits from those that it replaced. It does no I/O.
package lineage

import (
	"slices"
	"strings"

	"source-planetscale/internal/gtid"

	"vitess.io/vitess/go/vt/key"
	topodatapb "vitess.io/vitess/go/vt/proto/topodata"
)

// Overlap reports whether two shards hold rows of the same key range.
func Overlap(a, b gtid.Shard) bool {
	x, errX := key.ParseShardingSpec(a.Name)
	y, errY := key.ParseShardingSpec(b.Name)
	return a.Keyspace == b.Keyspace && errX == nil && errY == nil && len(x) == 1 && len(y) == 1 && key.KeyRangeIntersect(x[0], y[0])
}

// Related reports whether some existing shard is the named one, or holds rows of its key range.
func Related(shard gtid.Shard, existing []gtid.Shard) bool {
	return slices.ContainsFunc(existing, func(s gtid.Shard) bool { return s == shard || Overlap(s, shard) })
}

// Cover returns the existing shards that together hold exactly the rows of a shard that was split, ordered by their key ranges; nil if
// there are none.
func Cover(shard gtid.Shard, existing []gtid.Shard) []gtid.Shard {
	whole, err := key.ParseShardingSpec(shard.Name)
	if err != nil || len(whole) != 1 {
		return nil
	}
	var parts []gtid.Shard
	sum := whole[0]
	for _, name := range slices.SortedFunc(slices.Values(existing), byRange) {
		part, err := key.ParseShardingSpec(name.Name)
		if name.Keyspace != shard.Keyspace || err != nil || len(part) != 1 || !key.KeyRangeContainsKeyRange(whole[0], part[0]) {
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

// hold reports whether shards that overlap with another one together hold all its rows.
func hold(shards []gtid.Shard, shard gtid.Shard) bool {
	whole, err := key.ParseShardingSpec(shard.Name)
	if err != nil || len(whole) != 1 {
		return false
	}
	var held *topodatapb.KeyRange // from the shard's first row on
	for _, name := range slices.SortedFunc(slices.Values(shards), byRange) {
		part, err := key.ParseShardingSpec(name.Name)
		switch {
		case err != nil || len(part) != 1:
		case held == nil && key.KeyRangeStartCompare(part[0], whole[0]) <= 0:
			held = part[0]
		case held == nil || key.KeyRangeEndCompare(held, part[0]) >= 0:
		case key.KeyRangeContiguous(held, part[0]) || key.KeyRangeIntersect(held, part[0]):
			held = key.NewKeyRange(held.Start, part[0].End)
		}
	}
	return held != nil && key.KeyRangeContainsKeyRange(held, whole[0])
}

func byRange(a, b gtid.Shard) int {
	x, errX := key.ParseShardingSpec(a.Name)
	y, errY := key.ParseShardingSpec(b.Name)
	if errX != nil || errY != nil || len(x) != 1 || len(y) != 1 {
		return strings.Compare(a.Name, b.Name)
	}
	return key.KeyRangeCompare(x[0], y[0])
}
