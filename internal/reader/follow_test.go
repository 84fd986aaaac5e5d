package reader

import (
	"io"
	"slices"
	"testing"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"

	"source-planetscale/internal/fakevtgate"
)

// A Scout fails because of rows that cannot be read only if it meets some. What a stream had sent after its last boundary when it broke is
// sent again, or was lost with its server.
func TestScoutMeetsRows(t *testing.T) {
	statement := func(n int, text string) []*event {
		return []*event{script.VGTID(n, nil), {Type: binlogdatapb.VEventType_DDL, Timestamp: 7, Statement: text}}
	}
	row := func(n int) []*event {
		return []*event{fakevtgate.Begin(7, n), fakevtgate.Row(7, "users", nil, []string{"1"}), script.VGTID(n, nil), fakevtgate.Commit(7)}
	}
	add, drop := statement(7, "alter table users add column e enum('a') after id"), statement(9, "alter table users drop column e")
	for name, c := range map[string]struct {
		streams [][]*event
		fails   bool
	}{
		"no rows":                             {[][]*event{slices.Concat(add, drop)}, false},
		"readable rows":                       {[][]*event{slices.Concat(row(6), add, drop, row(10))}, false},
		"an unreadable row":                   {[][]*event{slices.Concat(row(6), add, row(8), drop)}, true},
		"one before a stream broke":           {[][]*event{slices.Concat(add, row(8)), drop}, true},
		"one before a statement came again":   {[][]*event{slices.Concat(add, row(8), drop[1:]), drop}, true},
		"a readable one after it":             {[][]*event{slices.Concat(add[1:], drop[1:], row(10)[:2]), slices.Concat(add, drop, row(10))}, false},
		"one after statements that were lost": {[][]*event{slices.Concat(add[1:], drop[1:], add[1:], row(10)[:2]), slices.Concat(add, drop)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			users, tab := stream(t, "users")
			scout := Scout(newRig(io.Discard, at(10), tab).env, users.In(in("-")), "", false)
			scout.scouted.was = tab.Columns
			for _, events := range c.streams {
				scout.rewind()
				apply(t, newSession(scout, nil), events...)
			}
			if err := scout.scouted.end(scout); (err != nil) != c.fails {
				t.Errorf("error %v", err)
			}
		})
	}
}
