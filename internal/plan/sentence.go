package plan

import (
	"fmt"
	"slices"
	"strings"

	"source-planetscale/internal/gtid"
)

// shardsNamed is how many shards the log names for each step.
const shardsNamed = 16

// Sentence says what is done with a stream.
func Sentence(stream string, parts []Part) string {
	var list []string
	for _, done := range []struct {
		step Step
		text string
	}{
		{Copy, "will be copied from"},
		{ResumeCopy, "will resume its copy from"},
		{Replicate, "will be replicated from"},
		{Nothing, "is up to date in"},
	} {
		var shards []gtid.Shard
		for _, p := range parts {
			if p.Step == done.step {
				shards = append(shards, p.Shard)
			}
		}
		if len(shards) > 0 {
			list = append(list, done.text+" "+NameShards(shards))
		}
	}
	return fmt.Sprintf("Stream %s %s.", stream, strings.Join(list, ", and "))
}

// Number is a number of things of one kind.
func Number(n int, kind string) string {
	if n != 1 {
		kind += "s"
	}
	return fmt.Sprintf("%d %s", n, kind)
}

// NameShards lists shards, but if there are very many only the first ones.
func NameShards(shards []gtid.Shard) string {
	if len(shards) == 1 {
		return "shard " + shards[0].Name
	}
	return "shards " + Enumerate(gtid.Names(shards), shardsNamed)
}

// Enumerate lists names, but if there are very many only the first ones.
func Enumerate(names []string, most int) string {
	if len(names) > most {
		names = append(slices.Clone(names[:most]), fmt.Sprintf("and %d more", len(names)-most))
	}
	return strings.Join(names, ", ")
}
