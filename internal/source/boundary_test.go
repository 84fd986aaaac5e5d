package source

import (
	"slices"
	"testing"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/state"
)

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
