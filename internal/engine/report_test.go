package engine

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/record"
)

func TestProgressOfAPartition(t *testing.T) {
	r := newRig(t, 5, nil)
	r.newShards("-80")
	part := r.add(testTable("users"), airbyte.FullRefresh, nil).In(in("-80"))
	for text, c := range map[string]struct {
		now, before record.Count
		expected    int64
		resumed     bool
	}{
		"Stream shop.users, shard -80: 500 records (1.5 MB) so far, 10 records/s since the last report. About 25% copied, roughly 2m30s remaining.": {
			now: record.Count{Copied: 500, Bytes: 1_500_000}, before: record.Count{Copied: 200}, expected: 2000,
		},
		// The records of a copy that started over, and changes, are not counted in the percentage.
		"Stream shop.users, shard -80: 900 records (0.0 MB) so far, 20 records/s since the last report. About 25% copied, roughly 2m30s remaining. Replication lag: 1m30s.": {
			now: record.Count{Copied: 600, Wasted: 100, Replicated: 300, Behind: 90 * time.Second}, before: record.Count{Copied: 300},
			expected: 2000,
		},
		"Stream shop.users, shard -80: 500 records (0.0 MB) so far, 10 records/s since the last report. The resumed copy takes at most another 2m30s.": {
			now: record.Count{Copied: 500}, before: record.Count{Copied: 200}, expected: 2000, resumed: true,
		},
		// The copy has finished, however many rows were expected.
		"Stream shop.users, shard -80: 530 records (0.0 MB) so far, 1 records/s since the last report. Replication lag: 0s.": {
			now: record.Count{Copied: 500, Replicated: 30}, before: record.Count{Copied: 500}, expected: 2000,
		},
		// The server's estimate was too low, or is unknown: no percentage rather than a wrong one.
		"Stream shop.users, shard -80: 500 records (0.0 MB) so far, 10 records/s since the last report.": {
			now: record.Count{Copied: 500}, before: record.Count{Copied: 200}, expected: 400,
		},
	} {
		part.Expected, part.Resumed = c.expected, c.resumed
		if got := (share{part: part, now: c.now, before: c.before, interval: 30 * time.Second}).String(); got != text {
			t.Errorf("got      %q\nexpected %q", got, text)
		}
	}
}

// Only streams with records since the last report are reported, and if there are very many, only those with the most.
func TestProgressIsToldOfThoseThatGaveTheMost(t *testing.T) {
	r := newRig(t, 5, nil)
	r.newShards("-80", "80-", "c0-")
	for i := range sharesNamed / 2 {
		st := r.add(testTable(fmt.Sprintf("t%d", i)), airbyte.FullRefresh, nil)
		st.In(in("-80")).Origin.Add(record.Count{Copied: int64(10 * i)})
		st.In(in("80-")).Origin.Add(record.Count{Replicated: int64(10*i + 3)})
		st.In(in("c0-")).Origin.Add(record.Count{Replicated: 1})
	}
	got := shares(r.streams, time.Second)
	if len(got) != sharesNamed+1 ||
		got[0] != "Stream shop.t4, shard 80-: 43 records (0.0 MB) so far, 43 records/s since the last report. Replication lag: 0s." ||
		got[1] != "Stream shop.t4, shard -80: 40 records (0.0 MB) so far, 40 records/s since the last report." ||
		got[sharesNamed] != "4 more streams (one shard each): 4 records since the last report." {
		t.Errorf("first %q", got)
	}
	r.streams[1].In(in("-80")).Origin.Add(record.Count{Copied: 5})
	if got := shares(r.streams, 5*time.Second); !slices.Equal(got, []string{"Stream shop.t1, shard -80: 15 records (0.0 MB) so far, 1 records/s since the last report."}) {
		t.Errorf("then %q", got)
	}
	if got := shares(r.streams, 5*time.Second); len(got) > 0 {
		t.Errorf("at last %q", got)
	}
}

// Rates are computed since the last report.
func TestReportsComeEveryHalfMinute(t *testing.T) {
	r := newRig(t, 5, nil)
	r.newShards("-80")
	part := r.add(testTable("users"), airbyte.FullRefresh, nil).In(in("-80"))
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		w := airbyte.NewWriter(&out)
		p := NewProgress(w, slog.New(airbyte.NewLogHandler(w, slog.LevelInfo)), nil)
		defer p.watch(r.streams)()
		part.Origin.Add(record.Count{Copied: 300})
		stop := p.Start()
		time.Sleep(progressInterval + time.Second)
		part.Origin.Add(record.Count{Copied: 60})
		time.Sleep(2 * progressInterval)
		stop()
	})
	parsed, err := destination.Parse(&out)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, l := range parsed.Logs {
		said = append(said, l.Message)
	}
	if want := []string{
		"Read 300 records (0.0 MB) in 30s, 10 records/s.",
		"Stream shop.users, shard -80: 300 records (0.0 MB) so far, 10 records/s since the last report.",
		"Read 360 records (0.0 MB) in 1m0s, 6 records/s.",
		"Stream shop.users, shard -80: 360 records (0.0 MB) so far, 2 records/s since the last report.",
		"Read 360 records (0.0 MB) in 1m30s, 4 records/s.",
	}; !slices.Equal(said, want) {
		t.Errorf("got %q", said)
	}
}
