package source

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/state"
)

func TestProgressIsASentenceForAPerson(t *testing.T) {
	for _, c := range []struct {
		p         progress
		text, bar string
	}{
		{
			progress{records: 500, copied: 500, expected: 2000, bytes: 1_500_000, elapsed: 10 * time.Second},
			"Read 500 records (1.5 MB) in 10s, 50 records/s. About 25 % of the copies are done, 30s left.",
			"[#######-----------------------]  25 %  500 records  1.5 MB  50/s",
		},
		{
			progress{records: 500, bytes: 1_500_000, elapsed: 10 * time.Second, behind: 90 * time.Second, shard: "-80"},
			"Read 500 records (1.5 MB) in 10s, 50 records/s. The change read last in shard -80 was made 1m30s ago; none is farther behind.",
			"500 records  1.5 MB  50/s",
		},
		// Changes are read beside the copies, which they are no part of.
		{
			progress{records: 5000, copied: 500, expected: 1000, elapsed: 10 * time.Second},
			"Read 5000 records (0.0 MB) in 10s, 500 records/s. About 50 % of the copies are done, 10s left.",
			"[###############---------------]  50 %  5000 records  0.0 MB  500/s",
		},
		// The server's estimate was too low: no share rather than a wrong one.
		{progress{records: 30, copied: 20, expected: 20, elapsed: time.Second}, "Read 30 records (0.0 MB) in 1s, 30 records/s.", "30 records  0.0 MB  30/s"},
		{progress{expected: 20}, "Read 0 records (0.0 MB) in 0s, 0 records/s.", "[------------------------------]   0 %  0 records  0.0 MB  0/s"},
	} {
		if got := c.p.String(); got != c.text {
			t.Errorf("got %q, expected %q", got, c.text)
		}
		if got := c.p.bar(); got != c.bar {
			t.Errorf("got %q, expected %q", got, c.bar)
		}
	}
}

func TestProgressTellsTheShardFarthestBehind(t *testing.T) {
	s := &syncer{w: airbyte.NewWriter(io.Discard)}
	for shard, age := range map[string]time.Duration{"-40": 3 * time.Second, "40-80": 90 * time.Second, "80-": 10 * time.Second} {
		s.lastChange.Store(shard, time.Now().Add(-age))
	}
	if p := s.progress(time.Second); p.shard != "40-80" || p.behind < 90*time.Second {
		t.Errorf("%+v", p)
	}
}

func TestProgressCountsCopiesApart(t *testing.T) {
	s := &syncer{w: airbyte.NewWriter(io.Discard), streams: []*stream{{}, {}, {}}}
	for i, c := range []struct {
		copied, replicated, wasted, expected int64
		resumed                              bool
	}{
		{copied: 50, replicated: 9, wasted: 10, expected: 100},
		{copied: 500, expected: 100},
		{copied: 7000, expected: 9000, resumed: true}, // of which nobody knows how much is left
	} {
		tally := s.streams[i].tally("-")
		tally.copied.Store(c.copied)
		tally.replicated.Store(c.replicated)
		tally.wasted.Store(c.wasted)
		tally.expected, tally.resumed = c.expected, c.resumed
	}
	p := s.progress(time.Second)
	if p.records != 7559 || p.copied != 140 || p.expected != 200 {
		t.Errorf("%+v", p)
	}
}

func TestStatesGetRarerWhereTheyAreMuchOfTheOutput(t *testing.T) {
	r := newReader(&syncer{cfg: &Config{CheckpointIntervalSeconds: 60}}, "-", at(1))
	for i, c := range []struct {
		records, states int64
		want            time.Duration
	}{
		{1000, 200, 2 * time.Minute},
		{1000, 200, 4 * time.Minute},
		{10_000, 200, time.Minute},
		{0, 0, time.Minute},
	} {
		r.saved.interval = r.pace(c.records, c.states)
		if r.saved.interval != c.want {
			t.Errorf("step %d: %s, expected %s", i, r.saved.interval, c.want)
		}
	}
	r.saved.interval = 50 * time.Minute
	if got := r.pace(0, 1); got != time.Hour {
		t.Errorf("%s is longer than the platform waits for a sign of life", got)
	}
}

// The platform ends a source that says nothing for three hours, as one whose copies wait for their locks.
func TestSilentSyncGivesAStateEveryHour(t *testing.T) {
	for _, mode := range []airbyte.SyncMode{airbyte.Incremental, airbyte.FullRefresh} {
		t.Run(string(mode), func(t *testing.T) {
			r := newRig(t, 6, nil)
			done := r.add(testTable("done"), mode, nil)
			users := r.add(testTable("users"), mode, nil)
			users.state.Shards["-"] = &state.Shard{Position: at(5), Copy: &state.Copy{Oldest: at(5), LastPK: pk("users", "1").Lastpk}}
			users.open = 1
			synctest.Test(t, func(t *testing.T) {
				r.sync.w = airbyte.NewWriter(&r.out)
				end := make(chan struct{})
				go r.sync.report(end, time.Now())
				time.Sleep(30 * time.Minute)
				if err := r.sync.commit(airbyte.NewBatch(), func() ([]airbyte.StreamState, error) {
					s, err := done.snapshot()
					return []airbyte.StreamState{s}, err
				}); err != nil {
					t.Error(err)
				}
				time.Sleep(2*time.Hour + time.Minute)
				close(end)
			})
			out, err := destination.Parse(bytes.NewReader(r.out.buf.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			if len(out.States) != 3 || out.States[1].Stream.Name != "users" || out.States[2].Stream.Name != "users" {
				t.Fatalf("states %+v", out.States)
			}
			first, second := streamOf(t, out.States[1]), streamOf(t, out.States[2])
			if first.Cursor >= second.Cursor || second.Shards["-"].Copy.LastPK == nil || !second.Shards["-"].Position.Equal(at(5)) {
				t.Errorf("states %+v, %+v", first, second)
			}
		})
	}
}
