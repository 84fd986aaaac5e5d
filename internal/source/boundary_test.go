package source

import (
	"maps"
	"slices"
	"testing"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/state"
)

// Reading a former shard to its journal gives the changes of the rows that were copied, and does not complete their copy.
func TestCheckpointInAFormerShardLeavesItsCopyUnfinished(t *testing.T) {
	r := newRig(t, 0, func(q *request, send func(...*event), done <-chan struct{}) error {
		shard := q.Vgtid.ShardGtids[0].Shard
		if shard == "-" {
			send(insertInto(shard, 6, "1")...)
			send(journalTo("-80", "80-"))
			return hold(done)
		}
		s := fakevtgate.Script{Keyspace: "shop", Shard: shard}
		send(begin(0, 0), fields(0, "users"), s.VGTID(20, pk("users", "1")), rowOf(0, "users", nil, []string{"2", shard}), s.VGTID(20, pk("users", "2")), commit(0), s.CopyCompleted())
		return hold(done)
	})
	r.sync.cfg.CheckpointIntervalSeconds = 0 // a state at every boundary
	r.newShards("-80", "80-")
	r.addSaved("users", map[string]*state.Shard{"-": {Position: at(5), Copy: &state.Copy{Oldest: at(3), LastPK: pk("users", "1").Lastpk}}})
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
	r.add(table("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	if got := rows(r.must()); !slices.Equal(got, []string{"1:a", "2:b"}) {
		t.Errorf("records %v", got)
	}
}
