package source

import (
	"fmt"
	"slices"
	"strings"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/state"
)

// step is what a sync does with a stream in one shard, in the log's words.
type step string

const (
	copies     step = "copied"
	copiesOn   step = "copied further"
	replicates step = "replicated"
	nothing    step = "up to date"
)

const (
	// plansSaid is how many streams the log names with their steps. There may be thousands.
	plansSaid = 100
	// shardsSaid is how many shards it names for each step.
	shardsSaid = 16
)

// stepOf decides what to do with what the stream has of a shard.
func (s *stream) stepOf(saved *state.Shard, stop gtid.Position) step {
	switch {
	case saved.Copy != nil && saved.Copy.LastPK != nil:
		return copiesOn
	case saved.Copy != nil:
		return copies
	case !s.incremental, saved.Position.Contains(stop): // the latter holds more on a replica that lags
		return nothing
	}
	return replicates
}

// streamPlan is the shards of a stream by step.
type streamPlan struct {
	stream *stream
	shards map[step][]string
}

// String is a sentence.
func (p streamPlan) String() string {
	var parts []string
	for _, do := range []step{copies, copiesOn, replicates, nothing} {
		if shards := p.shards[do]; len(shards) > 0 {
			parts = append(parts, string(do)+" in "+nameShards(shards))
		}
	}
	return fmt.Sprintf("Stream %s is %s.", p.stream.descriptor, strings.Join(parts, "; "))
}

func nameShards(shards []string) string {
	if len(shards) == 1 {
		return "shard " + shards[0]
	}
	return "shards " + enumerate(shards, shardsSaid)
}

// enumerate lists names, but of very many only the first.
func enumerate(names []string, most int) string {
	if len(names) > most {
		names = append(slices.Clone(names[:most]), fmt.Sprintf("and %d more", len(names)-most))
	}
	return strings.Join(names, ", ")
}

// sentences say what the sync does, stream by stream.
func (p *plan) sentences() []string {
	var sentences []string
	for _, st := range p.streams[:min(plansSaid, len(p.streams))] {
		sentences = append(sentences, st.String())
	}
	if more := len(p.streams) - plansSaid; more > 0 {
		sentences = append(sentences, fmt.Sprintf("%d more streams are read, too, and not named here.", more))
	}
	return sentences
}
