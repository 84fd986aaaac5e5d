package engine

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// A sync that is killed after a state must already have logged the warning, since no later sync can detect the replacement.
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
			warned := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "was replaced since") })
			saved := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, now.String()) })
			if c.want != (warned >= 0) || warned > saved {
				t.Errorf("the warning is in line %d, the state in line %d", warned, saved)
			}
		})
	}
}

// A table that is replaced between two attempts to copy it loses rows that were already emitted.
func TestATableReplacedInTheMiddleOfItsCopyIsWarnedOf(t *testing.T) {
	was, now := table.Incarnation{Server: "s", IDs: []uint64{1}}, table.Incarnation{Server: "s", IDs: []uint64{2}}
	const rebuilds = "alter table users engine=innodb"
	for name, c := range map[string]struct {
		copied    state.Copy
		now       table.Incarnation
		statement string
		warnings  int
	}{
		"resumes after its key":                    {state.Copy{Oldest: at(3), LastPK: pk("users", "1").Lastpk}, now, "", 1},
		"resumes, and a statement explains":        {state.Copy{Oldest: at(3), LastPK: pk("users", "1").Lastpk}, now, rebuilds, 0},
		"resumes, the same":                        {state.Copy{Oldest: at(3), LastPK: pk("users", "1").Lastpk}, was, "", 0},
		"starts over":                              {state.Copy{Oldest: at(3)}, now, "", 1},
		"starts over, and a statement will say it": {state.Copy{Oldest: at(3)}, now, rebuilds, 0},
		"not started":                              {state.Copy{}, now, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 6, func(q *request, send func(...*event), done <-chan struct{}) error {
				g := q.Vgtid.ShardGtids[0]
				if g.Gtid != "" && c.statement != "" {
					v := script.VGTID(6, nil)
					v.Vgtid.ShardGtids[0].TablePKs = g.TablePKs
					send(v, ddl(c.statement))
				}
				switch {
				case g.Gtid == "":
					copyOf(send, "users", 6)
				case g.TablePKs != nil:
					send(begin(0, 0), fields(0, "users"), rowOf(0, "users", nil, []string{"2", "b"}), script.VGTID(6, pk("users", "2")), commit(0))
					send(begin(0, 0), script.VGTID(6, nil), commit(0), script.CopyCompleted())
				default:
					send(insert(6, "users")...)
				}
				return hold(done)
			})
			saved, want := &state.Shard{Copy: &c.copied}, c.now // want is expected in the first state
			if c.copied.LastPK != nil {
				saved.Position = at(5)
			}
			if saved.Begun() {
				saved.Incarnation, want = was, was // its rows are in the destination
			}
			r.add(testTable("users"), airbyte.Incremental, saved).In(in("-")).Witness(c.now)
			out := r.must()
			if n := strings.Count(said(out), "was replaced since"); n != c.warnings {
				t.Errorf("%d warnings in %s", n, said(out))
			}
			first, last := shardOf(t, out.States[0]), shardOf(t, out.States[len(out.States)-1])
			if first.Incarnation.String() != want.String() || last.Incarnation.String() != c.now.String() {
				t.Errorf("the first state has %s, the last one %s", first.Incarnation, last.Incarnation)
			}
		})
	}
}

// No statement after a copy's snapshot explains why the table is another one than when the sync began.
func TestACopySavesTheIdentityThatTheTableHasAtItsSnapshot(t *testing.T) {
	began, later := table.Incarnation{Server: "s", IDs: []uint64{1}}, table.Incarnation{Server: "s", IDs: []uint64{2}}
	for name, c := range map[string]struct {
		snapshot int
		began    table.Incarnation
		err      error
		want     string
		asked    int
	}{
		"later than the sync":            {6, began, nil, later.String(), 1},
		"the server does not say it":     {6, began, io.EOF, "", 1},
		"nothing was written until then": {5, began, nil, began.String(), 0},
		"it was not known before":        {6, table.Incarnation{}, nil, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 5, func(_ *request, send func(...*event), done <-chan struct{}) error {
				copyOf(send, "users", c.snapshot)
				return hold(done)
			})
			asked := 0
			r.asks = func(s *Server) {
				s.Primary.Incarnations = func(context.Context, gtid.Shard, []string) (map[string]table.Incarnation, error) {
					asked++
					return map[string]table.Incarnation{"users": later}, c.err
				}
			}
			r.add(testTable("users"), airbyte.Incremental, nil).In(in("-")).Witness(c.began)
			out := r.must()
			first, last := shardOf(t, out.States[0]), shardOf(t, out.States[len(out.States)-1])
			if first.Incarnation.String() != c.want || last.Incarnation.String() != c.want || asked != c.asked {
				t.Errorf("the first state has %q, the last one %q; asked %d times", first.Incarnation, last.Incarnation, asked)
			}
		})
	}
}

// A statement that a replica has yet to execute may explain why its primary has another table.
func TestATableIsComparedOnceTheReplicasHaveWhatItsPrimaryHas(t *testing.T) {
	was, now := table.Incarnation{Server: "s", IDs: []uint64{1}}, table.Incarnation{Server: "s", IDs: []uint64{2}}
	for name, c := range map[string]struct {
		executed  string // by the primary
		statement bool
		warnings  int
		saved     string
	}{
		"the replicas have it":         {fakevtgate.UUID + ":1-6", false, 1, now.String()},
		"they lag":                     {fakevtgate.UUID + ":1-7", false, 0, was.String()},
		"they lag, after a statement":  {fakevtgate.UUID + ":1-7", true, 0, ""},
		"they have it, and say why":    {fakevtgate.UUID + ":1-6", true, 0, now.String()},
		"the primary may not be asked": {"", false, 1, now.String()},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
				if c.statement {
					send(script.VGTID(6, nil), ddl("alter table users engine = innodb"))
				} else {
					send(insert(6, "users")...)
				}
				return hold(done)
			})
			r.configure(`,"use_replica":true`)
			r.exists("users")
			r.asks = func(s *Server) {
				s.Primary.Incarnations = func(context.Context, gtid.Shard, []string) (map[string]table.Incarnation, error) {
					return map[string]table.Incarnation{"users": now}, nil
				}
				s.Primary.Executed = func(context.Context, gtid.Shard) (string, string, error) {
					if c.executed == "" {
						return "", "", schema.ErrRefused
					}
					return another, c.executed, nil
				}
			}
			in := r.handedBack(map[string]*state.Stream{"users": {Shards: map[gtid.Shard]*state.Shard{in("-"): {Position: at(5), Incarnation: was}}}})
			out, err := r.read(in, "users")
			if err != nil {
				t.Fatalf("error %v, traces %+v", err, out.Errors)
			}
			if n := strings.Count(said(out), "was replaced since"); n != c.warnings {
				t.Errorf("%d warnings in %s", n, said(out))
			}
			if saved := shardOf(t, out.States[len(out.States)-1]).Incarnation.String(); saved != c.saved {
				t.Errorf("%q is saved", saved)
			}
		})
	}
}
