package main

import "fmt"

// goal is something that the connector should reach.
type goal struct {
	what   string
	wanted string
	figure string // "" if it was not measured
	met    bool
}

// The limits of the goals.
const (
	wantedOnSandbox = 1.0 // times as fast as drain
	wantedOnReplay  = 2.0
	wantedCPU       = 0.8 // seconds per million narrow rows
	wantedEncode    = 200 // nanoseconds per row of 8 columns
	wantedPeak      = 96 << 20
	wantedSpec      = 0.030 // seconds
	wantedBinary    = 25_000_000
	wantedUnchanged = 2.0  // seconds
	wantedDiscover  = 10.0 // seconds
	// From 20 ms away.
	wantedUnchangedFar = 0.6 // seconds
	wantedCheckFar     = 0.4
	wantedFirstFar     = 0.8
	wantedTrips        = 12
	wantedBench        = 15 * 60
)

// judged are the workloads that goals are about.
var judged = []string{"copy-narrow", "copy-wide", "changes-narrow", "changes-wide"}

// goals judges the results.
func (r *results) goals() []goal {
	var list []goal
	for _, source := range []string{onSandbox, onReplay} {
		wanted := map[string]float64{onSandbox: wantedOnSandbox, onReplay: wantedOnReplay}[source]
		for _, name := range judged {
			if c := r.find(name, source); c != nil {
				ratio := c.ratio(byConnector)
				list = append(
					list,
					goal{c.Title + ", " + source + ": rows/s, times drain's", fmt.Sprintf("≥ %.1f", wanted), fmt.Sprintf("%.2f", ratio), ratio >= wanted},
				)
			}
		}
	}
	for _, name := range []string{"copy-narrow", "changes-narrow"} {
		for _, source := range []string{onSandbox, onReplay} {
			if c := r.find(name, source); c != nil {
				cpu := c.of(byConnector).cpu()
				list = append(
					list,
					goal{
						c.Title + ", " + source + ": CPU seconds per million rows",
						fmt.Sprintf("≤ %.1f", wantedCPU),
						fmt.Sprintf("%.2f", cpu),
						cpu <= wantedCPU,
					},
				)
			}
		}
	}
	if peak := r.peak(); peak > 0 {
		list = append(
			list,
			goal{"peak memory of the connector in any workload, at any concurrency", "< 96 MiB", fmt.Sprintf("%d MiB", peak>>20), peak < wantedPeak},
		)
	}
	return append(list, r.smallGoals()...)
}

// peak is the connector's highest peak.
func (r *results) peak() int64 {
	var peak int64
	for _, c := range r.Comparisons {
		for _, name := range []string{byConnector, byPipe} {
			if f := c.of(name); f != nil {
				peak = max(peak, f.Peak)
			}
		}
	}
	for _, c := range r.Concurrency {
		for _, f := range c.Figures {
			peak = max(peak, f.Peak)
		}
	}
	return peak
}

func (r *results) smallGoals() []goal {
	var list []goal
	if s := r.Small; s != nil {
		list = append(
			list,
			goal{
				"a narrow row in the encoder alone (BenchmarkNarrow; TestCommonTypesAllocateNothing)",
				"≤ 0.2 µs, 0 allocations",
				fmt.Sprintf("%.3f µs, %d", s.Encode/1e3, s.Allocs),
				s.Encode <= wantedEncode && s.Allocs == 0,
			},
			goal{"spec", "< 30 ms", fmt.Sprintf("%.1f ms", s.Spec*1e3), s.Spec < wantedSpec},
			goal{"binary", "< 25 MB", fmt.Sprintf("%.1f MB", float64(s.Binary)/1e6), s.Binary < wantedBinary},
		)
	}
	if f := r.Far; f != nil {
		list = append(list, f.goals()...)
	}
	if t := r.Tables; t != nil {
		list = append(
			list,
			goal{
				fmt.Sprintf("unchanged sync of %d tables in 2 shards", t.Count),
				"< 2 s",
				fmt.Sprintf("%.2f s", t.Seconds),
				t.Seconds < wantedUnchanged,
			},
		)
	}
	if t := r.Discover; t != nil {
		list = append(
			list,
			goal{fmt.Sprintf("discover of %d tables", t.Count), "< 10 s", fmt.Sprintf("%.2f s", t.Seconds), t.Seconds < wantedDiscover},
		)
	}
	if r.Took > 0 {
		list = append(list, goal{"`make bench` as a whole", "< 15 min", fmt.Sprintf("%.1f min", r.Took/60), r.Took < wantedBench})
	}
	return list
}

// goals are those of a server far away.
func (f *far) goals() []goal {
	var list []goal
	for _, g := range []struct {
		what              string
		near, far, wanted float64
	}{
		{"unchanged sync of 1 table", f.Near.Unchanged, f.Far.Unchanged, wantedUnchangedFar},
		{"check", f.Near.Check, f.Far.Check, wantedCheckFar},
		{"first record of a copy", f.Near.First, f.Far.First, wantedFirstFar},
	} {
		n := trips(g.near, g.far)
		list = append(list,
			goal{g.what + " from 20 ms away", fmt.Sprintf("≤ %.1f s", g.wanted), fmt.Sprintf("%.2f s", g.far), g.far <= g.wanted},
			goal{g.what + ": round trips in a row", fmt.Sprintf("≤ %d", wantedTrips), fmt.Sprintf("%.1f", n), n <= wantedTrips})
	}
	return list
}
