package source

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// sharesSaid is how many streams in a shard are told of one by one every progressInterval, those first that gave the most.
const sharesSaid = 10

// shareProgress is how far a stream is in one shard, and what it gave there since the last report.
type shareProgress struct {
	stream *stream
	shard  string

	records, bytes int64 // so far
	// copied of the expected rows the copy has given. The latter is 0 where that is not known.
	copied, expected int64
	resumed          bool // the expected rows are those of the whole table, of which the copy gives a part
	behind           time.Duration

	interval time.Duration // since the last report
	// The records since then.
	gaveCopied, gaveReplicated int64
}

// sharesProgress says how far the streams are in those shards where they gave records since the last report.
func (s *syncer) sharesProgress(interval time.Duration) []string {
	var active []shareProgress
	for _, st := range s.streams {
		for shard, t := range st.counted() {
			p := t.report()
			if p.stream, p.shard, p.interval = st, shard, interval; p.gave() > 0 {
				active = append(active, p)
			}
		}
	}
	slices.SortStableFunc(active, func(a, b shareProgress) int {
		return cmp.Or(cmp.Compare(b.gave(), a.gave()), strings.Compare(a.shard, b.shard))
	})
	var sentences []string
	for _, p := range active[:min(sharesSaid, len(active))] {
		sentences = append(sentences, p.String())
	}
	if more := active[len(sentences):]; len(more) > 0 {
		gave := int64(0)
		for _, p := range more {
			gave += p.gave()
		}
		sentences = append(sentences, fmt.Sprintf("%d more streams, each in one shard, have given %d records since the last report.", len(more), gave))
	}
	return sentences
}

// report is what the tally has, and has more than when it was last called. Only the goroutine that reports calls it.
func (t *tally) report() shareProgress {
	copied, replicated := t.copied.Load(), t.replicated.Load()
	p := shareProgress{
		records: copied + replicated, bytes: t.bytes.Load(),
		copied: copied - t.wasted.Load(), expected: t.expected, resumed: t.resumed,
		behind:     time.Duration(t.behind.Load()),
		gaveCopied: copied - t.said.copied, gaveReplicated: replicated - t.said.replicated,
	}
	t.said.copied, t.said.replicated = copied, replicated
	return p
}

func (p shareProgress) gave() int64 { return p.gaveCopied + p.gaveReplicated }

func (p shareProgress) String() string {
	text := fmt.Sprintf("Stream %s, shard %s, has given %d records (%.1f MB) so far, %.0f records/s since the last report.",
		p.stream.descriptor, p.shard, p.records, float64(p.bytes)/1e6, float64(p.gave())/p.interval.Seconds())
	// Where the server's estimate was too low it says nothing of what is left.
	if p.gaveCopied > 0 && p.copied < p.expected {
		left := time.Duration(float64(p.expected-p.copied) / float64(p.gaveCopied) * float64(p.interval)).Round(time.Second)
		if p.resumed {
			text += fmt.Sprintf(" Its copy, which was resumed, takes at most about %s more.", left)
		} else {
			text += fmt.Sprintf(" About %.0f %% of its copy is done, %s left.", 100*float64(p.copied)/float64(p.expected), left)
		}
	}
	if p.gaveReplicated > 0 {
		text += fmt.Sprintf(" Its changes are %s behind the source.", p.behind.Round(time.Second))
	}
	return text
}
