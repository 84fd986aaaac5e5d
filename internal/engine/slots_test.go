package engine

import (
	"sync/atomic"
	"testing"

	"source-planetscale/internal/airbyte"
)

// Ten copies with two slots: never more than two run at a time, and all of them run.
func TestCopiesWaitForTheirPlace(t *testing.T) {
	var running, most atomic.Int64
	r := newRig(t, 5, func(q *request, send func(...*event), done <-chan struct{}) error {
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		copyOf(send, tablesIn(q)[0], 5)
		running.Add(-1)
		return hold(done)
	})
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}
	for _, name := range names {
		r.add(testTable(name), airbyte.Incremental, nil)
	}
	out := r.must()
	if len(out.Records) != 2*len(names) {
		t.Errorf("%d records", len(out.Records))
	}
	if n := most.Load(); n > copiesPerShard {
		t.Errorf("%d copies ran at the same time on one shard", n)
	}
}

func TestSlotsAreLimitedOverAllShards(t *testing.T) {
	s := NewSlots(2)
	for _, shard := range []string{"-40", "40-80"} {
		if err := s.acquire(t.Context(), in(shard)); err != nil {
			t.Fatal(err)
		}
	}
	got := make(chan error, 1)
	go func() { got <- s.acquire(t.Context(), in("80-")) }()
	select {
	case err := <-got:
		t.Fatalf("a third slot of two was assigned (%v)", err)
	default:
	}
	s.release(in("-40"))
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}
