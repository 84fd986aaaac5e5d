package engine

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/record"
	"source-planetscale/internal/state"
)

const (
	manyRows     = 30_000 // per table: many jobs
	rowsResponse = 1000   // per table in one response
)

// manyChanges sends transactions with rows of two tables in turn, up to transaction 5 + the number of responses. mutate
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
		r.add(testTable(name), airbyte.Incremental, &state.Shard{Position: at(5)})
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
		fmt.Sscan(fmt.Sprint(r.Data[record.ColumnCursor]), &cursor)
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
		t.Errorf("%d rows of %s, or not in order; expected the first %d", len(got), table, n)
	}
}

// Rows are encoded by several goroutines, and are still emitted in order.
func TestRowsComeInTheirOrder(t *testing.T) {
	t.Parallel()
	_, out, err := readManyChanges(t, func(string, int, *event) {})
	if err != nil {
		t.Fatal(err)
	}
	expectRows(t, out, "orders", manyRows)
	expectRows(t, out, "users", manyRows)
}

// A row that cannot be read is found when later rows are already encoded, and the reader is past it. Its table fails
// at once, without a state; the other one has all its rows.
func TestARowThatCannotBeReadEndsItsTableAlone(t *testing.T) {
	const bad = 20_500
	r, out, err := readManyChanges(t, func(table string, id int, ev *event) {
		if table == "users" && id == bad {
			ev.RowEvent.RowChanges[0].After.Lengths[0] = -7
		}
	})
	if !errors.Is(err, ErrIncomplete) || len(r.requests()) != 1 {
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

// The reader is already past the position of a row that cannot be read. Continuing from there would lose the row.
func TestARowThatCannotBeReadIsNotTriedAgain(t *testing.T) {
	r := newRig(t, 7, func(_ *request, send func(...*event), done <-chan struct{}) error {
		bad := rowOf(7, "users", nil, []string{"1", "a"})
		bad.RowEvent.RowChanges[0].After.Lengths[0] = -7
		send(begin(7, 6), fields(7, "users"), bad, script.VGTID(6, nil), commit(7))
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	out, err := r.run()
	if !errors.Is(err, ErrIncomplete) || len(r.requests()) != 1 || len(out.States) > 0 {
		t.Errorf("the sync ended with %v after %d streams and %d states", err, len(r.requests()), len(out.States))
	}
}

// unreadable is a row that no plan can read.
func unreadable(table string) *event {
	ev := rowOf(7, table, nil, []string{"1", "a"})
	ev.RowEvent.RowChanges[0].After.Lengths[0] = -7
	return ev
}

// An event that ends a table arrives while a queued row that cannot be read ends the same table, or another one.
func TestTwoReasonsToEndTables(t *testing.T) {
	for _, c := range []struct {
		last     *event // the last event that is sent
		complete []string
	}{
		{ddl("truncate table users"), []string{"orders", "others"}},
		{ddl("truncate table orders"), []string{"others"}},
		{ddl("drop table orders, others"), nil},
	} {
		r := newRig(t, 7, func(q *request, send func(...*event), done <-chan struct{}) error {
			if len(q.Filter.Rules) == 0 {
				t.Error("a stream of no tables was requested")
			}
			send(begin(7, 6), fields(7, "orders"), fields(7, "users"), fields(7, "others"), rowOf(7, "orders", nil, []string{"1", "a"}), unreadable("users"),
				rowOf(7, "others", nil, []string{"1", "a"}), script.VGTID(6, nil), commit(7), script.VGTID(7, nil), c.last)
			return hold(done)
		})
		for _, name := range []string{"orders", "others", "users"} {
			r.add(testTable(name), airbyte.Incremental, &state.Shard{Position: at(5)})
		}
		out, err := r.run()
		if !errors.Is(err, ErrIncomplete) {
			t.Errorf("%s: the sync ended with %v", c.last.Statement, err)
		}
		for _, name := range []string{"orders", "others", "users"} {
			want := "INCOMPLETE"
			if slices.Contains(c.complete, name) {
				want = "COMPLETE"
			}
			if got := out.Statuses[streamNamed(name)]; got != want {
				t.Errorf("%s: stream %s is %s, expected %s", c.last.Statement, name, got, want)
			}
		}
	}
}

// All tables of a stream may end before it breaks; then it is not reopened.
func TestAStreamOfNoTablesIsNotOpened(t *testing.T) {
	r := newRig(t, 7, func(q *request, send func(...*event), done <-chan struct{}) error {
		if len(q.Filter.Rules) == 0 {
			t.Error("a stream of no tables was requested")
			return hold(done)
		}
		send(begin(7, 6), fields(7, "users"), unreadable("users"), fields(7, "orders"), unreadable("orders"), script.VGTID(6, nil), commit(7))
		return status.Error(codes.Unavailable, "restart")
	})
	for _, name := range []string{"orders", "users"} {
		r.add(testTable(name), airbyte.Incremental, &state.Shard{Position: at(5)})
	}
	if out, err := r.run(); !errors.Is(err, ErrIncomplete) || len(out.Errors) != 2 {
		t.Errorf("the sync ended with %v and the traces %+v", err, out.Errors)
	}
}

// A ROW event may be malformed after its first rows. It is requested again, and the records' cursors do not go back.
func TestMalformedEventIsReadAgain(t *testing.T) {
	t.Parallel()
	attempts := 0
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		row := rowOf(7, "users", nil, []string{"1", "a"})
		if attempts++; attempts == 1 {
			row.RowEvent.ProtoReflect().SetUnknown([]byte{0x10, 0x01}) // a number instead of a row
		}
		send(begin(7, 6), fields(7, "orders"), fields(7, "users"), rowOf(7, "orders", nil, []string{"1", "a"}), row, script.VGTID(6, nil), commit(7))
		return hold(done)
	})
	for _, name := range []string{"orders", "users"} {
		r.add(testTable(name), airbyte.Incremental, &state.Shard{Position: at(5)})
	}
	out := r.must()
	if got := rows(out); !slices.Equal(got, []string{"1:a", "1:a", "1:a", "1:a"}) || attempts != 2 {
		t.Errorf("records %v in %d attempts", got, attempts)
	}
	last := map[destination.Stream]int64{}
	for _, got := range out.Records {
		var cursor int64
		fmt.Sscan(fmt.Sprint(got.Data[record.ColumnCursor]), &cursor)
		if cursor <= last[got.Stream] {
			t.Errorf("a record of %s has the cursor %d after %d", got.Stream.Name, cursor, last[got.Stream])
		}
		last[got.Stream] = cursor
	}
}

// The server may break a stream because of a table that has failed and that the connector has removed from it, but the server has not.
// No other table may be blamed for that.
func TestDroppedTableThatBreaksTheStreamIsNobodyElsesFault(t *testing.T) {
	t.Parallel()
	r := newRig(t, 7, func(q *request, send func(...*event), done <-chan struct{}) error {
		if len(tablesIn(q)) == 2 {
			send(begin(7, 6), fields(7, "orders"), fields(7, "others"), rowOf(7, "orders", nil, []string{"1", "a"}), script.VGTID(7, nil), commit(7))
			return hold(done)
		}
		send(begin(7, 6), fields(7, "users"), unreadable("users"))
		return status.Error(codes.Unknown, "failed to build table replication plan for table users: it is gone")
	})
	for _, name := range []string{"orders", "others", "users"} {
		r.add(testTable(name), airbyte.Incremental, &state.Shard{Position: at(5)})
	}
	out, err := r.run()
	if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 1 || out.Errors[0].Stream.Name != "users" {
		t.Errorf("error %v, traces %+v", err, out.Errors)
	}
	for _, name := range []string{"orders", "others"} {
		if got := out.Statuses[streamNamed(name)]; got != "COMPLETE" {
			t.Errorf("stream %s is %s", name, got)
		}
	}
}
