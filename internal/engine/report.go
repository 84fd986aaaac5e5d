package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"source-planetscale/internal/lineage"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/record"
)

// barWidth is the width of the bar on a terminal, in characters.
const barWidth = 30

// total is the progress of all syncs.
type total struct {
	records int64
	// copied is how many of the expected rows of copies have been read. expected is 0 if the server does not report how large its tables
	// are.
	copied, expected int64
	bytes            int64
	elapsed          time.Duration
	// behind is the age of the change read last in the shard that is farthest behind; 0 if none was read.
	behind time.Duration
	shard  string
}

func (t total) perSecond(records int64) float64 {
	return float64(records) / max(t.elapsed.Seconds(), 0.001)
}

// share is the fraction of the copies that is done, and whether it is known: it is not if the estimates were too low.
func (t total) share() (float64, bool) {
	if t.copied >= t.expected {
		return 0, false
	}
	return float64(t.copied) / float64(t.expected), true
}

func (t total) String() string {
	text := fmt.Sprintf("Read %d records (%.1f MB) in %s, %.0f records/s.", t.records, float64(t.bytes)/1e6, t.elapsed.Round(time.Second), t.perSecond(t.records))
	if share, ok := t.share(); ok && t.copied > 0 {
		left := time.Duration(float64(t.expected-t.copied) / t.perSecond(t.copied) * float64(time.Second))
		text += fmt.Sprintf(" About %.0f%% copied, roughly %s remaining.", 100*share, left.Round(time.Second))
	}
	if t.behind > 0 {
		text += fmt.Sprintf(" Replication lag: %s (shard %s).", t.behind.Round(time.Second), t.shard)
	}
	return text
}

// bar is the same for a terminal's line.
func (t total) bar() string {
	text := fmt.Sprintf("%d records  %.1f MB  %.0f/s", t.records, float64(t.bytes)/1e6, t.perSecond(t.records))
	if share, ok := t.share(); ok {
		full := int(share * barWidth)
		text = fmt.Sprintf("[%s%s] %3.0f %%  %s", strings.Repeat("#", full), strings.Repeat("-", barWidth-full), 100*share, text)
	}
	return text
}

// sharesNamed is how many partitions are reported individually every progressInterval, those with the most records first.
const sharesNamed = 10

// share is the progress of a partition, and its records since the last report.
type share struct {
	part        *partition.Partition
	now, before record.Count
	interval    time.Duration // since the last report
}

// shares reports the progress of the partitions that had records since the last report. Only the reporting goroutine calls it.
func shares(streams []*partition.Stream, interval time.Duration) []string {
	var active []share
	for _, st := range streams {
		for p := range st.Partitions() {
			s := share{part: p, interval: interval}
			if s.now, s.before = p.Report(); s.gave() > 0 {
				active = append(active, s)
			}
		}
	}
	slices.SortStableFunc(active, func(a, b share) int {
		return cmp.Or(cmp.Compare(b.gave(), a.gave()), lineage.ByName(a.part.Shard, b.part.Shard))
	})
	var sentences []string
	for _, s := range active[:min(sharesNamed, len(active))] {
		sentences = append(sentences, s.String())
	}
	if more := active[len(sentences):]; len(more) > 0 {
		gave := int64(0)
		for _, s := range more {
			gave += s.gave()
		}
		sentences = append(sentences, fmt.Sprintf("%d more streams (one shard each): %d records since the last report.", len(more), gave))
	}
	return sentences
}

func (s share) gave() int64 { return s.now.Records() - s.before.Records() }

func (s share) String() string {
	p := s.part
	text := fmt.Sprintf("Stream %s, shard %s: %d records (%.1f MB) so far, %.0f records/s since the last report.",
		p.Stream.Descriptor, p.Shard.Name, s.now.Records(), float64(s.now.Bytes)/1e6, float64(s.gave())/s.interval.Seconds())
	gave, copied := s.now.Copied-s.before.Copied, s.now.Copied-s.now.Wasted
	// If the server's estimate was too low, it says nothing about what remains.
	if gave > 0 && copied < p.Expected {
		left := time.Duration(float64(p.Expected-copied) / float64(gave) * float64(s.interval)).Round(time.Second)
		if p.Resumed {
			text += fmt.Sprintf(" The resumed copy takes at most another %s.", left)
		} else {
			text += fmt.Sprintf(" About %.0f%% copied, roughly %s remaining.", 100*float64(copied)/float64(p.Expected), left)
		}
	}
	if s.now.Replicated > s.before.Replicated {
		text += fmt.Sprintf(" Replication lag: %s.", s.now.Behind.Round(time.Second))
	}
	return text
}
