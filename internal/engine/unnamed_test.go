package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/state"
)

// fromOlderServer streams the transactions after the requested position, up to 9, as a server does that sends no GTID with them. Each
// inserts the row n:x into the tables. Positions that are not in positions (nil for all) are skipped: their transaction is sent as one with
// the next.
func fromOlderServer(q *request, send func(...*event), positions map[int]bool, tables []string) {
	_, reached, _ := strings.Cut(q.Vgtid.ShardGtids[0].Gtid, ":1-")
	from, _ := strconv.Atoi(reached)
	var events []*event
	for n := from + 1; n <= 9; n++ {
		if events == nil {
			events = []*event{begin(7, 0)}
		}
		for _, name := range tables {
			if slices.Contains(tablesIn(q), name) {
				events = append(events, fields(7, name), rowOf(7, name, nil, []string{strconv.Itoa(n), "x"}))
			}
		}
		if positions == nil || positions[n] || n == 9 {
			send(append(events, script.VGTID(n, nil), commit(7))...)
			events = nil
		}
	}
}

// Before Vitess 23 transactions are received without their GTID. Many tables with many positions still share one stream; each gets its
// rows from the point where the stream is exactly at its own position.
func TestManyPositionsOfAnOlderServerShareOneStream(t *testing.T) {
	var names []string
	for i := range 9 {
		names = append(names, fmt.Sprintf("t%d", i))
	}
	r := newRig(t, 9, nil)
	r.stream = func(q *request, send func(...*event), done <-chan struct{}) error {
		fromOlderServer(q, send, nil, names)
		return hold(done)
	}
	var want []string
	for i, name := range names {
		r.add(testTable(name), airbyte.Incremental, &state.Shard{Position: at(2 + i%6)})
		for n := 3 + i%6; n <= 9; n++ {
			want = append(want, fmt.Sprintf("%s %d:x", name, n))
		}
	}
	out := r.must()
	if got := rowsByTable(out); !slices.Equal(got, want) {
		t.Errorf("records %v, expected %v", got, want)
	}
	if n := len(r.requests()); n != 1 {
		t.Errorf("%d streams were opened", n)
	}
	for _, name := range names {
		if last := lastOf(t, out.States, name); !last.Position.Equal(at(9)) {
			t.Errorf("%s is at %s", name, last.Position)
		}
	}
}

// The shared stream passes a table's position without stopping at it: it is unknown which of the rows the table already has, so it is read
// again from its own position. Nothing is lost, and no state covers what was skipped.
func TestPositionThatIsPassedIsReadAgain(t *testing.T) {
	for name, c := range map[string]struct {
		positions map[int]bool // the positions that the server sends
		streams   int
	}{
		"one":          {map[int]bool{6: true, 8: true, 9: true}, 2}, // 7 is passed
		"two":          {map[int]bool{9: true}, 3},
		"all at once":  {map[int]bool{}, 3},
		"none":         {map[int]bool{6: true, 7: true, 8: true, 9: true}, 1},
		"the first":    {map[int]bool{7: true, 8: true, 9: true}, 2},
		"not a target": {map[int]bool{6: true, 7: true, 9: true}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			names := []string{"early", "late", "middle"}
			r := newRig(t, 9, nil)
			r.stream = func(q *request, send func(...*event), done <-chan struct{}) error {
				fromOlderServer(q, send, c.positions, names)
				return hold(done)
			}
			r.cfg.CheckpointIntervalSeconds = 0
			r.add(testTable("early"), airbyte.Incremental, &state.Shard{Position: at(5)})
			r.add(testTable("middle"), airbyte.Incremental, &state.Shard{Position: at(6)})
			r.add(testTable("late"), airbyte.Incremental, &state.Shard{Position: at(7)})
			out := r.must()
			want := []string{"early 6:x", "early 7:x", "early 8:x", "early 9:x", "late 8:x", "late 9:x", "middle 7:x", "middle 8:x", "middle 9:x"}
			if got := rowsByTable(out); !slices.Equal(got, want) {
				t.Errorf("records %v, expected %v", got, want)
			}
			if n := len(r.requests()); n != c.streams {
				t.Errorf("%d streams were opened", n)
			}
			for _, name := range names {
				if last := lastOf(t, out.States, name); !last.Position.Equal(at(9)) {
					t.Errorf("%s is at %s", name, last.Position)
				}
				mustCover(t, out, name)
			}
		})
	}
}

// A table without a row since the start of the stream loses nothing if its position is skipped.
func TestPositionThatIsPassedWithoutRowsIsNotReadAgain(t *testing.T) {
	r := newRig(t, 9, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(unnamed(6, "early")...)
		send(unnamed(8, "early")...)
		send(unnamed(9, "early", "late")...)
		return hold(done)
	})
	r.add(testTable("early"), airbyte.Incremental, &state.Shard{Position: at(5)})
	r.add(testTable("late"), airbyte.Incremental, &state.Shard{Position: at(7)})
	out := r.must()
	if got := rowsByTable(out); !slices.Equal(got, []string{"early 6:x", "early 8:x", "early 9:x", "late 9:x"}) {
		t.Errorf("records %v", got)
	}
	if n := len(r.requests()); n != 1 {
		t.Errorf("%d streams were opened", n)
	}
}

// rowsByTable returns the records with their tables, sorted.
func rowsByTable(out *destination.Output) []string {
	var list []string
	for i, row := range rows(out) {
		list = append(list, out.Records[i].Stream.Name+" "+row)
	}
	slices.Sort(list)
	return list
}

// mustCover checks that each state of a table, whose rows are named after their transactions, follows the rows up to its position.
func mustCover(t *testing.T, out *destination.Output, name string) {
	t.Helper()
	for _, s := range out.States {
		if s.Stream.Name != name {
			continue
		}
		given := rowsByTable(&destination.Output{Records: out.Records[:s.Before]})
		for n := 8; n <= 9; n++ { // the transactions that no table has yet
			if shardOf(t, s).Position.Contains(at(n)) && !slices.Contains(given, fmt.Sprintf("%s %d:x", name, n)) {
				t.Errorf("a state of %s is at %s before row %d was emitted", name, shardOf(t, s).Position, n)
			}
		}
	}
}
