package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
)

// copyIn returns the events of a copy of rows with these ids, whose names are the shard's.
func copyIn(s fakevtgate.Script, ids ...string) []*event {
	events := []*event{begin(0, 0), fields(0, "users"), s.VGTID(19, nil)}
	for _, id := range ids {
		events = append(events, rowOf(0, "users", nil, []string{id, s.Shard}))
	}
	return append(events, s.VGTID(19, pk("users", ids[len(ids)-1])), commit(0), s.CopyCompleted())
}

// Two shards of one stream are read at the same time: 80- has two records of its copy, then two changes; -80 has
// three of its copy, and before that one of an attempt at the copy that cannot be resumed.
func TestRecordsAreCountedByShard(t *testing.T) {
	t.Parallel()
	broken := make(chan struct{}, 1)
	r := newRig(t, 20, func(q *request, send func(...*event), done <-chan struct{}) error {
		at := q.Vgtid.ShardGtids[0]
		s := fakevtgate.Script{Keyspace: "shop", Shard: at.Shard}
		switch {
		case at.Gtid != "":
			send(slices.Insert(insertInto(at.Shard, 20, "8"), 3, rowOf(8, "users", nil, []string{"9", at.Shard}))...)
		case at.Shard == "80-":
			send(copyIn(s, "1", "2")...)
		case len(broken) == 0:
			broken <- struct{}{}
			send(begin(0, 0), fields(0, "users"), s.VGTID(19, nil), rowOf(0, "users", nil, []string{"3", at.Shard}))
			return status.Error(codes.Unavailable, "broken")
		default:
			send(copyIn(s, "3", "4", "5")...)
		}
		return hold(done)
	})
	r.newShards("-80", "80-")
	users := r.add(testTable("users"), airbyte.Incremental, nil)
	out := r.must()
	for shard, want := range map[string][3]int64{"-80": {4, 2, 1}, "80-": {2, 2, 0}} {
		count := users.In(in(shard)).Origin.Count()
		if got := [3]int64{count.Copied, count.Replicated, count.Wasted}; got != want {
			t.Errorf("shard %s: %v copied, replicated and wasted, expected %v", shard, got, want)
		}
		bytes := 0
		for line := range strings.Lines(r.out.buf.String()) {
			if strings.Contains(line, `"type":"RECORD"`) && strings.Contains(line, `"name":"`+shard+`"`) {
				bytes += len(line)
			}
		}
		if got := count.Bytes; bytes == 0 || got != int64(bytes) {
			t.Errorf("shard %s: %d bytes, but its records have %d", shard, got, bytes)
		}
		// The changes of the script were made in the first seconds of 1970.
		if lag, age := count.Behind, time.Since(time.Unix(7, 0)); lag > age || lag < age-time.Hour {
			t.Errorf("shard %s: %s behind, but its change is %s old", shard, lag, age)
		}
	}
	records, bytes := users.Given()
	want := fmt.Sprintf("Stream shop.users finished: 10 records, %.1f MB.", float64(bytes)/1e6)
	if last := out.Logs[len(out.Logs)-1].Message; records != 10 || last != want {
		t.Errorf("%d records, the log ends with %q", records, last)
	}
}
