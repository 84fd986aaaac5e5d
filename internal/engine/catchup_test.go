package engine

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/state"
)

// On a busy shard each attempt at a copy catches up with newer changes before the copy fails again at the same row: that is no progress.
func TestCopyThatOnlyCatchesUpMakesNoProgress(t *testing.T) {
	t.Parallel()
	n := 5
	r := newRig(t, 5, func(_ *request, send func(...*event), _ <-chan struct{}) error {
		if n++; n == 6 {
			send(begin(0, 0), fields(0, "users"), script.VGTID(6, nil), rowOf(0, "users", nil, []string{"1", "a"}), script.VGTID(6, pk("users", "1")), commit(0))
		} else {
			send(begin(7, n), script.VGTID(n, pk("users", "1")), commit(7))
		}
		return status.Error(codes.Unknown, "the row that follows cannot be copied")
	})
	r.cfg.MaxRetries, r.patience = 0, time.Second
	r.add(testTable("users"), airbyte.Incremental, nil)
	_, err := within(t, r, 10*time.Second)
	if !errors.Is(err, ErrIncomplete) {
		t.Errorf("%d attempts, error %v", len(r.requests()), err)
	}
}

// Catching up with changes before the sync's target is progress.
func TestCopyThatCatchesUpToTheStopMakesProgress(t *testing.T) {
	t.Parallel()
	n := 5
	r := newRig(t, 10, func(_ *request, send func(...*event), done <-chan struct{}) error {
		if n++; n < 10 {
			send(begin(7, n), script.VGTID(n, pk("users", "1")), commit(7))
			return status.Error(codes.Unavailable, "gone")
		}
		send(begin(0, 0), script.VGTID(10, nil), commit(0), script.CopyCompleted())
		return hold(done)
	})
	r.cfg.MaxRetries, r.patience = 1, time.Millisecond
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5), Copy: &state.Copy{Oldest: at(5), LastPK: pk("users", "1").Lastpk}})
	if _, err := within(t, r, 15*time.Second); err != nil {
		t.Errorf("%d attempts, error %v", len(r.requests()), err)
	}
}
