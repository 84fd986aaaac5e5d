package engine

import (
	"maps"
	"slices"
	"testing"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/state"
)

// Reading a former shard up to its journal emits the changes of the rows that were copied, and does not complete their copy.
func TestCheckpointInAFormerShardLeavesItsCopyUnfinished(t *testing.T) {
	r := splitCopy(t)
	r.cfg.CheckpointIntervalSeconds = 0 // a state at every boundary
	out := r.must()
	got := rows(out)
	slices.Sort(got)
	if !slices.Equal(got, []string{"1:-", "2:-80", "2:80-"}) {
		t.Errorf("records %v", got)
	}
	for _, s := range out.States {
		if former := streamOf(t, s).Shards[in("-")]; former != nil && former.Copy == nil {
			t.Error("a state says that the copy of the former shard is complete")
		}
	}
	if got := shardsOf(t, out); !maps.Equal(got, map[string]string{"-80": ":1-20", "80-": ":1-20"}) {
		t.Errorf("the last state has %v", got)
	}
}

// vtgate may send a heartbeat between the messages of one transaction, which has not ended there.
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
