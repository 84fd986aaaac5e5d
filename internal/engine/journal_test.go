package engine

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/state"
)

// A journal does not apply to a table whose position is past it, as after a split that was reversed: the table is read up to its target,
// whatever the journal means for other tables.
func TestJournalThatATableHasPassed(t *testing.T) {
	for name, c := range map[string]struct {
		begins func(n int) *event
		moved  map[gtid.Shard]gtid.Position // saved for the table whose position is before the journal
	}{
		"named":              {func(n int) *event { return begin(7, n) }, nil},
		"unnamed":            {func(int) *event { return begin(7, 0) }, nil},
		"read to it already": {func(n int) *event { return begin(7, n) }, map[gtid.Shard]gtid.Position{in("-80"): at(10), in("80-"): at(10)}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 9, nil)
			r.stream = func(q *request, send func(...*event), done <-chan struct{}) error {
				if strings.HasSuffix(q.Vgtid.ShardGtids[0].Gtid, ":1-4") {
					send(c.begins(5), journalTo("-80", "80-"), script.VGTID(5, nil), commit(7))
					return hold(done)
				}
				send(c.begins(9), fields(7, "late"), rowOf(7, "late", nil, []string{"9", "x"}), script.VGTID(9, nil), commit(7))
				return hold(done)
			}
			r.add(testTable("early"), airbyte.Incremental, &state.Shard{Position: at(4), Moved: c.moved})
			r.add(testTable("late"), airbyte.Incremental, &state.Shard{Position: at(7)})
			out, err := r.run()
			failed := slices.ContainsFunc(out.Errors, func(e destination.Error) bool { return e.Stream.Name != "early" })
			if failed || errors.Is(err, ErrIncomplete) != (c.moved != nil) || len(out.Errors) > 1 {
				t.Errorf("error %v, traces %+v", err, out.Errors)
			}
			if got := rowsByTable(out); !slices.Equal(got, []string{"late 9:x"}) {
				t.Errorf("records %v", got)
			}
			if last := lastOf(t, out.States, "late"); last.Moved != nil || !last.Position.Equal(at(9)) {
				t.Errorf("late: %+v", last)
			}
			if last := lastOf(t, out.States, "early"); len(last.Moved) != 2 {
				t.Errorf("early: %+v", last)
			}
		})
	}
}
