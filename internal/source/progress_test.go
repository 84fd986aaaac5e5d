package source

import (
	"testing"
	"time"
)

func TestProgressIsASentenceForAPerson(t *testing.T) {
	for _, c := range []struct {
		p         progress
		text, bar string
	}{
		{
			progress{records: 500, expected: 2000, bytes: 1_500_000, elapsed: 10 * time.Second},
			"Read 500 records (1.5 MB) in 10s, 50 records/s. About 25 % of the copies are done, 30s left.",
			"[#######-----------------------]  25 %  500 records  1.5 MB  50/s",
		},
		{
			progress{records: 500, bytes: 1_500_000, elapsed: 10 * time.Second, behind: 90 * time.Second},
			"Read 500 records (1.5 MB) in 10s, 50 records/s. The change read last was made 1m30s ago.",
			"500 records  1.5 MB  50/s",
		},
		// The server's estimate was too low: no share rather than a wrong one.
		{progress{records: 30, expected: 20, elapsed: time.Second}, "Read 30 records (0.0 MB) in 1s, 30 records/s.", "30 records  0.0 MB  30/s"},
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
