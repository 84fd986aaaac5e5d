package engine

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/record"
	"source-planetscale/internal/state"
)

func TestProgressIsASentenceForAPerson(t *testing.T) {
	for _, c := range []struct {
		p         total
		text, bar string
	}{
		{
			total{records: 500, copied: 500, expected: 2000, bytes: 1_500_000, elapsed: 10 * time.Second},
			"Read 500 records (1.5 MB) in 10s, 50 records/s. About 25% copied, roughly 30s remaining.",
			"[#######-----------------------]  25 %  500 records  1.5 MB  50/s",
		},
		{
			total{records: 500, bytes: 1_500_000, elapsed: 10 * time.Second, behind: 90 * time.Second, shard: "-80"},
			"Read 500 records (1.5 MB) in 10s, 50 records/s. Replication lag: 1m30s (shard -80).",
			"500 records  1.5 MB  50/s",
		},
		// Changes are read in parallel with the copies, and are not part of them.
		{
			total{records: 5000, copied: 500, expected: 1000, elapsed: 10 * time.Second},
			"Read 5000 records (0.0 MB) in 10s, 500 records/s. About 50% copied, roughly 10s remaining.",
			"[###############---------------]  50 %  5000 records  0.0 MB  500/s",
		},
		// The server's estimate was too low: no percentage rather than a wrong one.
		{total{records: 30, copied: 20, expected: 20, elapsed: time.Second}, "Read 30 records (0.0 MB) in 1s, 30 records/s.", "30 records  0.0 MB  30/s"},
		{total{expected: 20}, "Read 0 records (0.0 MB) in 0s, 0 records/s.", "[------------------------------]   0 %  0 records  0.0 MB  0/s"},
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
	p := NewProgress(airbyte.NewWriter(io.Discard), nil, nil)
	for shard, age := range map[string]time.Duration{"-40": 3 * time.Second, "40-80": 90 * time.Second, "80-": 10 * time.Second} {
		p.changed(in(shard), time.Now().Add(-age))
	}
	p.changed(in("c0-"), time.Now().Add(-time.Hour))
	p.unchanged(in("c0-"))
	if got := p.total(time.Second); got.shard != "40-80" || got.behind < 90*time.Second {
		t.Errorf("%+v", got)
	}
}

func TestProgressCountsCopiesApart(t *testing.T) {
	r := newRig(t, 5, nil)
	for i, c := range []struct {
		count             record.Count
		expected          int64
		startsOver, again bool
	}{
		{count: record.Count{Copied: 10, Replicated: 9}, expected: 100, startsOver: true},
		{count: record.Count{Copied: 500}, expected: 100},
		{count: record.Count{Copied: 7000}, expected: 9000, again: true}, // its remaining rows are unknown
	} {
		p := r.add(testTable(fmt.Sprintf("t%d", i)), airbyte.FullRefresh, nil).In(in("-"))
		p.Origin.Add(c.count)
		p.Expected, p.Resumed = c.expected, c.again
		if c.startsOver {
			p.Origin.StartOver()
			p.Origin.Add(record.Count{Copied: 40})
		}
	}
	p := NewProgress(r.w, nil, nil)
	defer p.watch(r.streams)()
	if got := p.total(time.Second); got.records != 7559 || got.copied != 140 || got.expected != 200 {
		t.Errorf("%+v", got)
	}
}

// The platform ends a source that sends no message for three hours, for example because its copies wait for table locks.
func TestSilentSyncGivesAStateEveryHour(t *testing.T) {
	for _, mode := range []airbyte.SyncMode{airbyte.Incremental, airbyte.FullRefresh} {
		t.Run(string(mode), func(t *testing.T) {
			r := newRig(t, 6, nil)
			done := r.add(testTable("done"), mode, nil)
			r.add(testTable("users"), mode, &state.Shard{Position: at(5), Copy: &state.Copy{Oldest: at(5), LastPK: pk("users", "1").Lastpk}})
			r.change(func(tx *airbyte.Tx) { // the stream has ended
				if _, err := done.Close(tx); err != nil {
					t.Error(err)
				}
			})
			r.out.buf.Reset()
			synctest.Test(t, func(t *testing.T) {
				w := airbyte.NewWriter(&r.out)
				p := NewProgress(w, slog.New(slog.DiscardHandler), nil)
				defer p.watch(r.streams)()
				stop := p.Start()
				time.Sleep(30 * time.Minute)
				if err := w.Commit(airbyte.NewBatch(), done.Put); err != nil {
					t.Error(err)
				}
				time.Sleep(2*time.Hour + time.Minute)
				stop()
			})
			out, err := destination.Parse(bytes.NewReader(r.out.buf.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			if len(out.States) != 3 || out.States[1].Stream.Name != "users" || out.States[2].Stream.Name != "users" {
				t.Fatalf("states %+v", out.States)
			}
			first, second := streamOf(t, out.States[1]), streamOf(t, out.States[2])
			if first.Cursor >= second.Cursor || second.Shards[in("-")].Copy.LastPK == nil || !second.Shards[in("-")].Position.Equal(at(5)) {
				t.Errorf("states %+v, %+v", first, second)
			}
		})
	}
}
