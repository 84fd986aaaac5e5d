package source

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/state"
	"source-planetscale/internal/wire"
)

// After a split or merge vtgate goes on with the new shards in the same stream. Their positions are none of the shard's: a state
// with one of them under its name would pass changes over, and the rows of a copy would be those of one new shard only.
func TestPositionOfOtherShardsEndsTheReader(t *testing.T) {
	split := inShard("-40", script.VGTID(9, nil))
	split.Vgtid.ShardGtids = append(split.Vgtid.ShardGtids, inShard("40-80", script.VGTID(9, nil)).Vgtid.ShardGtids...)
	for name, c := range map[string]struct {
		position *event
		copying  bool
	}{
		"split":                {position: split},
		"split during a copy":  {position: split, copying: true},
		"merged":               {position: script.VGTID(9, nil)},
		"merged during a copy": {position: script.VGTID(9, pk("users", "1")), copying: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 9, nil)
			rd := newReader(r.sync, "-80", at(9))
			rd.add(r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)}), at(5), state.Layout{})
			rd.at, rd.copying = at(5), c.copying
			response, err := (&vtgatepb.VStreamResponse{Events: []*event{begin(7, 9), c.position, commit(7)}}).MarshalVT()
			if err != nil {
				t.Fatal(err)
			}
			_, err = rd.applyAll(context.Background(), wire.NewResponse(response))
			var f *failure
			if !errors.As(err, &f) || f.kind != airbyte.TransientError || !strings.Contains(f.message, "was split or merged while it was read") {
				t.Errorf("error %v", err)
			}
			if !rd.at.Equal(at(5)) {
				t.Errorf("the reader is at %s", rd.at)
			}
		})
	}
}

// Reading a former shard to its journal gives the changes of the rows that were copied, and does not complete their copy.
func TestCheckpointInAFormerShardLeavesItsCopyUnfinished(t *testing.T) {
	r := splitCopy(t)
	r.sync.cfg.CheckpointIntervalSeconds = 0 // a state at every boundary
	out := r.must()
	got := rows(out)
	slices.Sort(got)
	if !slices.Equal(got, []string{"1:-", "2:-80", "2:80-"}) {
		t.Errorf("records %v", got)
	}
	for _, s := range out.States {
		if former := streamOf(t, s).Shards["-"]; former != nil && former.Copy == nil {
			t.Error("a state has the copy of the former shard as complete")
		}
	}
	if got := shardsOf(t, out); !maps.Equal(got, map[string]string{"-80": ":1-20", "80-": ":1-20"}) {
		t.Errorf("the last state has %v", got)
	}
}

// vtgate's heartbeat may come between the messages of one transaction, which is not over there.
func TestHeartbeatInATransactionIsNoBoundary(t *testing.T) {
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(begin(7, 6), fields(7, "users"), rowOf(7, "users", nil, []string{"1", "a"}), script.VGTID(6, nil))
		send(fakevtgate.Heartbeat())
		send(rowOf(7, "users", nil, []string{"2", "b"}), commit(7))
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	if got := rows(r.must()); !slices.Equal(got, []string{"1:a", "2:b"}) {
		t.Errorf("records %v", got)
	}
}
