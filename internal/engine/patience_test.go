package engine

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/state"
)

func TestResumedCopyWaitsForItsLock(t *testing.T) {
	t.Parallel()
	r := newRig(t, 5, func(q *request, send func(...*event), done <-chan struct{}) error {
		for i := 0; i < 25; i++ {
			send(fakevtgate.Heartbeat())
			select {
			case <-done:
				return nil
			case <-time.After(100 * time.Millisecond):
			}
		}
		send(begin(0, 0), fields(0, "users"), script.VGTID(5, pk("users", "1")), rowOf(0, "users", nil, []string{"2", "b"}), script.VGTID(5, pk("users", "2")), commit(0))
		send(begin(0, 0), script.VGTID(5, nil), commit(0), script.CopyCompleted())
		return hold(done)
	})
	r.cfg.TimeoutSeconds = 1
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5), Copy: &state.Copy{Oldest: at(3), LastPK: pk("users", "1").Lastpk}})
	_, err := within(t, r, 10*time.Second)
	if n := len(r.requests()); n != 1 || err != nil {
		t.Errorf("%d streams, %v", n, err)
	}
}

func TestCopyThatAlwaysStartsOverMakesNoProgress(t *testing.T) {
	t.Parallel()
	users := testTable("users")
	users.Columns[0].Type = "enum('1','2')"
	r := newRig(t, 5, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(begin(0, 0), fields(0, "users"), script.VGTID(5, nil), rowOf(0, "users", nil, []string{"1", "a"}), script.VGTID(5, pk("users", "1")), commit(0))
		return status.Error(codes.Unknown, "Query execution was interrupted, maximum statement execution time exceeded (errno 3024)")
	})
	r.cfg.MaxRetries = 0
	r.add(users, airbyte.Incremental, nil)
	_, err := within(t, r, 6*time.Second)
	if n := len(r.requests()); err == nil || n > 8 { // with growing pauses; without there are a dozen
		t.Errorf("%d attempts, error %v", n, err)
	}
}

// A transaction that always fails in the middle is read from its start each time: its first rows are no progress.
func TestTransactionThatNeverEndsMakesNoProgress(t *testing.T) {
	t.Parallel()
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(begin(7, 6), fields(7, "users"), rowOf(7, "users", nil, []string{"1", "a"}))
		return status.Error(codes.Unknown, "failed to extract row's value from binlog event")
	})
	r.cfg.MaxRetries = 0
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	_, err := within(t, r, 6*time.Second)
	if n := len(r.requests()); err == nil || n > 8 { // with growing pauses; without there are a dozen
		t.Errorf("%d attempts, error %v", n, err)
	}
}
