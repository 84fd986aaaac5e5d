package engine

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/state"
)

// After a failover that lost transactions and that vtgate hid, the target would never be reached.
func TestStopThatIsGoneIsNoticedOnABusySource(t *testing.T) {
	t.Parallel()
	r := newRig(t, 9, nil)
	r.stream = func(_ *request, send func(...*event), done <-chan struct{}) error {
		r.stands = 7
		for n := 1; ; n++ {
			g := fmt.Sprintf("MySQL56/%s:1-7,26b1039f-22b6-11ed-b765-0a43f95f28a3:1-%d", fakevtgate.UUID, n)
			send(begin(7, 0), fields(7, "users"), rowOf(7, "users", nil, []string{fmt.Sprint(n), "a"}), vgtidText(g, nil), commit(7))
			select {
			case <-done:
				return nil
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	r.cfg.CheckpointIntervalSeconds = 1
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	out, err := within(t, r, 8*time.Second)
	if err != nil {
		t.Errorf("did not end: %v, %d records", err, len(out.Records))
	}
}

// The copy's stream broke in a failover, and the target was changed; the replication after the copy ends there, too.
func TestReplicationAfterACopyEndsAtTheNewStop(t *testing.T) {
	t.Parallel()
	attempts := 0
	r := newRig(t, 9, nil)
	r.stream = func(q *request, send func(...*event), done <-chan struct{}) error {
		attempts++
		if attempts == 1 {
			r.stands = 7
			send(begin(0, 0), fields(0, "users"), script.VGTID(6, nil))
			return status.Error(codes.Unavailable, "gone")
		}
		if q.Vgtid.ShardGtids[0].Gtid == "" {
			copyOf(send, "users", 7)
			return hold(done)
		}
		for n := 1; ; n++ {
			g := fmt.Sprintf("MySQL56/%s:1-7,26b1039f-22b6-11ed-b765-0a43f95f28a3:1-%d", fakevtgate.UUID, n)
			send(begin(7, 0), vgtidText(g, nil), commit(7))
			select {
			case <-done:
				return nil
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	r.add(testTable("users"), airbyte.Incremental, nil)
	_, err := within(t, r, 8*time.Second)
	if err != nil {
		t.Errorf("did not end: %v", err)
	}
}
