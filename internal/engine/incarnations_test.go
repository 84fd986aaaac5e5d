package engine

import (
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// A sync that is killed after a state must have said what no later one can tell.
func TestAReplacedTableIsWarnedOfBeforeItsState(t *testing.T) {
	was, now := table.Incarnation{Server: "s", IDs: []uint64{1}}, table.Incarnation{Server: "s", IDs: []uint64{2}}
	for _, c := range []struct {
		name string
		from int
		says bool
		want bool
	}{
		{name: "replicated", from: 5, want: true},
		{name: "nothing to read", from: 6, want: true},
		{name: "a statement says why", from: 5, says: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
				send(begin(7, 6), fakevtgate.Fields(7, "a", idAndName...), rowOf(7, "a", nil, []string{"1", "x"}), script.VGTID(6, nil), commit(7))
				return hold(done)
			})
			if c.says {
				r.stream = func(_ *request, send func(...*event), done <-chan struct{}) error {
					send(script.VGTID(6, nil), ddl("alter table a engine = innodb"))
					return hold(done)
				}
			}
			s := r.add(testTable("a"), airbyte.Incremental, &state.Shard{Position: at(c.from), Incarnation: was})
			s.In(in("-")).Witness(now)
			out := r.must()
			if saved := shardOf(t, out.States[len(out.States)-1]); saved.Incarnation.String() != now.String() {
				t.Errorf("%s is saved", saved.Incarnation)
			}
			lines := strings.Split(r.out.buf.String(), "\n")
			warned := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "is not the table that it was") })
			saved := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, now.String()) })
			if c.want != (warned >= 0) || warned > saved {
				t.Errorf("it is said in line %d, and saved in line %d", warned, saved)
			}
		})
	}
}
