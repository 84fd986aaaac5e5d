package source

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/state"
)

const (
	manyRows     = 30_000 // of each table: many jobs
	rowsResponse = 1000   // of each table in one response
)

// manyChanges sends transactions of rows of two tables in turns, which end at transaction 5 + the number of responses. mutate
// may change a row's event.
func manyChanges(mutate func(table string, id int, ev *event)) fakevtgate.Stream {
	return func(_ *request, send func(...*event), done <-chan struct{}) error {
		for first := 1; first <= manyRows; first += rowsResponse {
			n := 6 + first/rowsResponse
			events := []*event{begin(7, n)}
			if first == 1 {
				events = append(events, fields(7, "orders"), fields(7, "users"))
			}
			for id := first; id < first+rowsResponse; id++ {
				for _, name := range []string{"orders", "users"} {
					ev := rowOf(7, name, nil, []string{fmt.Sprint(id), fmt.Sprintf("row %d of %s", id, name)})
					mutate(name, id, ev)
					events = append(events, ev)
				}
			}
			send(append(events, script.VGTID(n, nil), commit(7))...)
		}
		return hold(done)
	}
}

func readManyChanges(t *testing.T, mutate func(table string, id int, ev *event)) (*rig, *destination.Output, error) {
	t.Helper()
	r := newRig(t, 5+manyRows/rowsResponse, manyChanges(mutate))
	for _, name := range []string{"orders", "users"} {
		r.add(table(name), airbyte.Incremental, &state.Shard{Position: at(5)})
	}
	out, err := r.run()
	return r, out, err
}

// expectRows checks that a stream's records are the rows 1 to n, in order, with growing cursors.
func expectRows(t *testing.T, out *destination.Output, table string, n int) {
	t.Helper()
	var got []int
	last := int64(0)
	for _, r := range out.Records {
		if r.Stream != streamNamed(table) {
			continue
		}
		var id int
		fmt.Sscan(fmt.Sprint(r.Data["id"]), &id)
		got = append(got, id)
		var cursor int64
		fmt.Sscan(fmt.Sprint(r.Data[columnCursor]), &cursor)
		if cursor <= last {
			t.Fatalf("row %d of %s has the cursor %d after %d", id, table, cursor, last)
		}
		last = cursor
	}
	want := make([]int, n)
	for i := range want {
		want[i] = i + 1
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d rows of %s, or in another order; expected the first %d", len(got), table, n)
	}
}

// Rows are encoded by several goroutines, and still come in their order.
func TestRowsComeInTheirOrder(t *testing.T) {
	_, out, err := readManyChanges(t, func(string, int, *event) {})
	if err != nil {
		t.Fatal(err)
	}
	expectRows(t, out, "orders", manyRows)
	expectRows(t, out, "users", manyRows)
}

// A row that cannot be read is found when others after it are encoded already, and the reader is past it. Its table ends there,
// at once, and without a state; the other one has all its rows.
func TestARowThatCannotBeReadEndsItsTableAlone(t *testing.T) {
	const bad = 20_500
	r, out, err := readManyChanges(t, func(table string, id int, ev *event) {
		if table == "users" && id == bad {
			ev.RowEvent.RowChanges[0].After.Lengths[0] = -7
		}
	})
	if !errors.Is(err, errIncomplete) || len(r.requests()) != 1 {
		t.Errorf("the sync ended with %v after %d streams", err, len(r.requests()))
	}
	expectRows(t, out, "orders", manyRows)
	expectRows(t, out, "users", bad-1)
	for _, s := range out.States {
		if s.Stream == streamNamed("users") && !at(4+bad/rowsResponse+1).Contains(shardOf(t, s).Position) {
			t.Errorf("a state at %s covers the row that could not be read", shardOf(t, s).Position)
		}
	}
}

// The position of a row that cannot be read is behind the reader. Going on from there would lose the row.
func TestARowThatCannotBeReadIsNotTriedAgain(t *testing.T) {
	r := newRig(t, 7, func(_ *request, send func(...*event), done <-chan struct{}) error {
		bad := rowOf(7, "users", nil, []string{"1", "a"})
		bad.RowEvent.RowChanges[0].After.Lengths[0] = -7
		send(begin(7, 6), fields(7, "users"), bad, script.VGTID(6, nil), commit(7))
		return hold(done)
	})
	r.add(table("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	out, err := r.run()
	if !errors.Is(err, errIncomplete) || len(r.requests()) != 1 || len(out.States) > 0 {
		t.Errorf("the sync ended with %v after %d streams and %d states", err, len(r.requests()), len(out.States))
	}
}
