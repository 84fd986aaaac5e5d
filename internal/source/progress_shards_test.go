package source

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
)

func TestProgressOfAStreamInAShard(t *testing.T) {
	for text, p := range map[string]shareProgress{
		"Stream shop.users, shard -80, has given 500 records (1.5 MB) so far, 10 records/s since the last report. About 25 % of its copy is done, 2m30s left.": {
			records: 500, bytes: 1_500_000, copied: 500, expected: 2000, gaveCopied: 300,
		},
		// The records of a copy that started over, and changes, are no part of the share.
		"Stream shop.users, shard -80, has given 900 records (0.0 MB) so far, 20 records/s since the last report. About 25 % of its copy is done, 2m30s left. Its changes are 1m30s behind the source.": {
			records: 900, copied: 500, expected: 2000, gaveCopied: 300, gaveReplicated: 300, behind: 90 * time.Second,
		},
		"Stream shop.users, shard -80, has given 500 records (0.0 MB) so far, 10 records/s since the last report. Its copy, which was resumed, takes at most about 2m30s more.": {
			records: 500, copied: 500, expected: 2000, resumed: true, gaveCopied: 300,
		},
		// The copy is done, whatever was expected.
		"Stream shop.users, shard -80, has given 530 records (0.0 MB) so far, 1 records/s since the last report. Its changes are 0s behind the source.": {
			records: 530, copied: 500, expected: 2000, gaveReplicated: 30,
		},
		// The server's estimate was too low, or is not known: no share rather than a wrong one.
		"Stream shop.users, shard -80, has given 500 records (0.0 MB) so far, 10 records/s since the last report.": {
			records: 500, copied: 500, expected: 400, gaveCopied: 300,
		},
	} {
		p.stream = &stream{descriptor: airbyte.StreamDescriptor{Name: "users", Namespace: "shop"}}
		p.shard, p.interval = "-80", 30*time.Second
		if got := p.String(); got != text {
			t.Errorf("got      %q\nexpected %q", got, text)
		}
	}
}

// Only those that gave something since the last report are told of, and of very many only those that gave the most.
func TestProgressIsToldOfThoseThatGaveTheMost(t *testing.T) {
	s := &syncer{}
	for i := range sharesSaid / 2 {
		st := &stream{descriptor: airbyte.StreamDescriptor{Name: fmt.Sprintf("t%d", i), Namespace: "shop"}}
		st.tally("-80").copied.Store(int64(10 * i))
		st.tally("80-").replicated.Store(int64(10*i + 3))
		st.tally("c0-").replicated.Store(1)
		s.streams = append(s.streams, st)
	}
	got := s.sharesProgress(time.Second)
	if len(got) != sharesSaid+1 ||
		got[0] != "Stream shop.t4, shard 80-, has given 43 records (0.0 MB) so far, 43 records/s since the last report. Its changes are 0s behind the source." ||
		got[1] != "Stream shop.t4, shard -80, has given 40 records (0.0 MB) so far, 40 records/s since the last report." ||
		got[sharesSaid] != "4 more streams, each in one shard, have given 4 records since the last report." {
		t.Errorf("first %q", got)
	}
	s.streams[1].tally("-80").copied.Add(5)
	if got := s.sharesProgress(5 * time.Second); !slices.Equal(got, []string{"Stream shop.t1, shard -80, has given 15 records (0.0 MB) so far, 1 records/s since the last report."}) {
		t.Errorf("then %q", got)
	}
	if got := s.sharesProgress(5 * time.Second); len(got) > 0 {
		t.Errorf("at last %q", got)
	}
}

// The rates are those since the last report.
func TestReportsComeEveryHalfMinute(t *testing.T) {
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		w := airbyte.NewWriter(&out)
		users := &stream{descriptor: airbyte.StreamDescriptor{Name: "users", Namespace: "shop"}}
		s := &syncer{w: w, log: slog.New(airbyte.NewLogHandler(w, slog.LevelInfo)), streams: []*stream{users}}
		users.tally("-80").copied.Store(300)
		end := make(chan struct{})
		go s.report(end, time.Now())
		time.Sleep(progressInterval + time.Second)
		users.tally("-80").copied.Add(60)
		time.Sleep(2 * progressInterval)
		close(end)
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
		"Stream shop.users, shard -80, has given 300 records (0.0 MB) so far, 10 records/s since the last report.",
		"Read 360 records (0.0 MB) in 1m0s, 6 records/s.",
		"Stream shop.users, shard -80, has given 360 records (0.0 MB) so far, 2 records/s since the last report.",
		"Read 360 records (0.0 MB) in 1m30s, 4 records/s.",
	}; !slices.Equal(said, want) {
		t.Errorf("got %q", said)
	}
}
