package engine

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/reader"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// looks makes the first lookup of users return the first of these columns, the second the second and so on; later ones return the last.
func (r *rig) looks(columns ...[]table.Column) {
	r.look = func(ctx context.Context, shard gtid.Shard, only []string, keys bool) (map[string]table.Table, error) {
		r.alter("users", columns[0]...)
		columns = columns[min(1, len(columns)-1):]
		return r.tables(ctx, shard, only, keys)
	}
}

// copyOfUsers copies one row from a snapshot at transaction 6. The events before are sent first, as in a copy that resumes after a key.
func copyOfUsers(before ...*event) fakevtgate.Stream {
	return func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(before...)
		if len(before) == 0 {
			send(begin(0, 0), fields(0, "users"), script.VGTID(6, nil), commit(0))
		} else {
			send(begin(0, 0), fields(0, "users"), script.VGTID(6, pk("users", "1")), commit(0))
		}
		send(begin(0, 0), rowOf(0, "users", nil, []string{"1", "x"}), script.VGTID(6, pk("users", "1")), commit(0))
		send(script.CopyCompleted())
		return hold(done)
	}
}

// next prepares the sync after one that ended with this state, with the columns that the table has now.
func next(t *testing.T, saved *state.Stream, stop int, now []table.Column, stream fakevtgate.Stream) *rig {
	r := newRig(t, stop, stream)
	users := testTable("users")
	users.Columns = now
	r.addStream(users, airbyte.Incremental, saved)
	r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(stop)})
	return r
}

// A copy may wait for hours; a change of columns in that time is no reason to refuse later changes.
func TestColumnsChangedBeforeACopyBegins(t *testing.T) {
	swapped := slices.Clone(testTable("users").Columns)
	slices.Reverse(swapped)
	r := newRig(t, 5, copyOfUsers())
	r.add(testTable("users"), airbyte.Incremental, nil)
	r.looks(swapped)
	out := r.must()
	saved := streamOf(t, out.States[len(out.States)-1])
	if l := saved.Shards[in("-")].Layout; l.Unknown || !slices.Equal(names(l.Columns), names(swapped)) {
		t.Errorf("the copy left %+v", l)
	}
	if first := shardOf(t, out.States[0]); !slices.Equal(names(first.Copy.Layout.Columns), names(swapped)) {
		t.Errorf("the copy began with %+v", first.Copy.Layout)
	}
	again := next(t, saved, 7, swapped, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(begin(7, 7), fakevtgate.Fields(7, "users", idAndName[1], idAndName[0]), rowOf(7, "users", nil, []string{"x", "7"}),
			script.VGTID(7, nil), commit(7))
		return hold(done)
	})
	if got := rows(again.must()); !slices.Equal(got, []string{"7:x"}) {
		t.Errorf("records %v", got)
	}
}

// Changes made after the copy was complete are emitted after the copied rows.
func TestColumnsChangedOnceTheCopyIsComplete(t *testing.T) {
	r := newRig(t, 5, copyOfUsers())
	r.add(testTable("users"), airbyte.Incremental, nil)
	r.looks(dropped, dropped, dropped, testTable("users").Columns) // twice after a snapshot, and before the second one
	out := r.must()
	saved := streamOf(t, out.States[len(out.States)-1])
	if l := saved.Shards[in("-")].Layout; !slices.Equal(names(l.Columns), names(dropped)) {
		t.Fatalf("the copy left %+v", l)
	}
	again := next(t, saved, 8, testTable("users").Columns, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(changed(7, "alter table users drop column gone")...)
		send(insert(8, "users")...)
		return hold(done)
	})
	if got := rows(again.must()); !slices.Equal(got, []string{"8:x"}) {
		t.Errorf("records %v", got)
	}
}

// The server does not open a stream that names a column which no longer exists. A copy without it that breaks goes on without it, and so
// does what it catches up with.
func TestAColumnDroppedBeforeACopyBeginsIsLeftOut(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]error{
		"Vitess noticed": status.Error(codes.FailedPrecondition, "column gone not found in table users"),
		"Vitess did not": status.Error(codes.Unknown, "vttablet: rpc error: code = Unknown desc = Unknown column 'gone' in 'field list' "+
			"(errno 1054) (sqlstate 42S22) during query: select id, gone, name from users force index (`PRIMARY`) order by id"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 5, nil)
			r.stream = func(q *request, send func(...*event), done <-chan struct{}) error {
				switch {
				case strings.Contains(q.Filter.Rules[0].Filter, "gone"):
					return refusal
				case len(r.requests()) == 2:
					send(begin(0, 0), fields(0, "users"), script.VGTID(6, nil), commit(0))
					send(begin(0, 0), rowOf(0, "users", nil, []string{"1", "x"}), script.VGTID(6, pk("users", "1")), commit(0))
					return status.Error(codes.Unavailable, "the tablet is gone")
				}
				send(begin(7, 7), fields(7, "users"), rowOf(7, "users", []string{"1", "x"}, []string{"1", "y"}), script.VGTID(7, pk("users", "1")), commit(7))
				send(begin(0, 0), fields(0, "users"), script.VGTID(7, pk("users", "1")), commit(0))
				send(begin(0, 0), rowOf(0, "users", nil, []string{"2", "z"}), script.VGTID(7, pk("users", "2")), commit(0), script.CopyCompleted())
				return hold(done)
			}
			users := testTable("users")
			r.now["users"] = *users
			users.Columns = dropped
			r.add(users, airbyte.Incremental, nil)
			out := r.must()
			if got := rows(out); !slices.Equal(got, []string{"1:x", "1:y", "2:z"}) {
				t.Errorf("records %v", got)
			}
			if got := r.requests()[1].Filter.Rules[0].Filter; got != "select `id`, `name` from `users`" {
				t.Errorf("the copy is of %s", got)
			}
			if l := lastOf(t, out.States, "users").Layout; !slices.Equal(names(l.Columns), []string{"id", "name"}) {
				t.Errorf("the copy left %+v", l)
			}
			warned := func(l destination.Log) bool {
				return strings.Contains(l.Message, "shop.users: the table no longer has the columns gone,")
			}
			if n := len(slices.DeleteFunc(out.Logs, func(l destination.Log) bool { return !warned(l) })); n != 1 {
				t.Errorf("%d warnings", n)
			}
		})
	}
}

// A copy is requested with the columns that one server has, and its rows are read with those that another has a moment later.
func TestACopyLacksAColumnThatTheTableHas(t *testing.T) {
	t.Parallel()
	const changed = "he columns of shop.users in shard - were changed just as its copy began"
	const lag = "Replicas of shard - lag, or the columns of shop.users were changed just as its copy began"
	for name, c := range map[string]struct {
		replica bool
		mode    airbyte.SyncMode
		lagging int // how many lookups do not find the column
		want    string
	}{
		"replicas":                  {true, airbyte.Incremental, 1, lag},
		"replicas, full refresh":    {true, airbyte.FullRefresh, 2, lag},
		"only the last one has it":  {true, airbyte.FullRefresh, 3, lag},
		"the primary":               {false, airbyte.Incremental, 1, changed},
		"the primary, full refresh": {false, airbyte.FullRefresh, 1, changed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attempts := 0
			r := newRig(t, 6, func(q *request, send func(...*event), done <-chan struct{}) error {
				if attempts++; attempts == 1 {
					return status.Error(codes.FailedPrecondition, "column gone not found in table users")
				}
				described, values := idAndName, []string{"1", "x"}
				if strings.Contains(q.Filter.Rules[0].Filter, "gone") {
					described, values = append(slices.Clone(idAndName), fakevtgate.Field("gone", "int", querypb.Type_INT32)), []string{"1", "x", "3"}
				}
				send(begin(0, 0), fakevtgate.Fields(0, "users", described...), script.VGTID(6, nil), commit(0))
				send(begin(0, 0), rowOf(0, "users", nil, values), script.VGTID(6, pk("users", "1")), commit(0), script.CopyCompleted())
				return hold(done)
			})
			r.cfg.UseReplica = c.replica
			users := testTable("users")
			users.Columns = dropped
			r.add(users, c.mode, nil)
			r.looks(append(slices.Repeat([][]table.Column{testTable("users").Columns}, c.lagging), dropped)...)
			out := r.must()
			if len(out.Records) != 1 || fmt.Sprint(out.Records[0].Data["gone"]) != "3" {
				t.Errorf("records %v", out.Records)
			}
			if !slices.ContainsFunc(out.Logs, func(l destination.Log) bool { return strings.Contains(l.Message, c.want) }) {
				t.Errorf("nothing says %q", c.want)
			}
		})
	}
}

// nameAs are the columns of users with another declaration of the name.
func nameAs(declaration, charset string) []table.Column {
	columns := testTable("users").Columns
	columns[1].Type, columns[1].Charset = declaration, charset
	return columns
}

// The server has read all of a small table, and allows changes of it again, before its first event arrives.
func TestColumnsChangedAsACopyBegins(t *testing.T) {
	t.Parallel()
	swapped := nameAs("varchar(20)", "utf8mb4")
	slices.Reverse(swapped)
	for name, c := range map[string]struct{ before, after []table.Column }{
		"labels":        {nameAs("enum('a','x')", "utf8mb4"), nameAs("enum('x','a')", "utf8mb4")},
		"character set": {nameAs("varchar(20)", "latin1"), nameAs("varchar(20)", "utf8mb4")},
		"type":          {nameAs("int", ""), nameAs("varchar(20)", "utf8mb4")},
		"order":         {nameAs("varchar(20)", "utf8mb4"), swapped},
		"dropped":       {dropped, testTable("users").Columns},
		"added":         {testTable("users").Columns, dropped},
	} {
		for mode, replica := range map[string]bool{"primary": false, "replica": true} {
			t.Run(name+", "+mode, func(t *testing.T) {
				t.Parallel()
				copies := 0
				r := newRig(t, 5, func(q *request, send func(...*event), done <-chan struct{}) error {
					if q.Vgtid.ShardGtids[0].Gtid != "" {
						return hold(done)
					}
					copies++
					described, values := idAndName, []string{"1", "x"}
					if strings.Contains(q.Filter.Rules[0].Filter, "gone") {
						described, values = append(slices.Clone(idAndName), fakevtgate.Field("gone", "int", querypb.Type_INT32)), []string{"1", "x", "3"}
					}
					described = slices.Clone(described)
					described[1] = &querypb.Field{Name: "name", Type: querypb.Type_VARCHAR, Charset: idAndName[1].Charset}
					send(begin(0, 0), fakevtgate.Fields(0, "users", described...), script.VGTID(5+copies, nil), commit(0))
					send(begin(0, 0), rowOf(0, "users", nil, values), script.VGTID(5+copies, pk("users", "1")), commit(0), script.CopyCompleted())
					return hold(done)
				})
				r.cfg.UseReplica = replica
				users := testTable("users")
				users.Columns = c.before
				r.add(users, airbyte.Incremental, nil)
				r.stands = 7
				r.looks(c.after)
				out := r.must()
				saved := lastOf(t, out.States, "users")
				if copies != 2 || len(out.Records) != 1 || !saved.Position.Equal(at(7)) || !saved.Layout.Reads(c.after, c.after) {
					t.Errorf("%d copies, records %v, saved %+v", copies, out.Records, saved)
				}
			})
		}
	}
}

// One replica copies, and others say which columns the table has: certain are those that it had before the copy and has after it.
func TestACopyFromReplicasThatLag(t *testing.T) {
	t.Parallel()
	now, old := nameAs("varchar(50)", "utf8mb4"), nameAs("varchar(50)", "latin1") // prepared is the first
	for name, c := range map[string]struct {
		copied, answered []int            // transactions that the replica which copies is at, and those that answer, one after the other
		looks            [][]table.Column // during the snapshot, after it, and in a second attempt before it
		refused, primary bool             // the replicas do not allow the query, the primary allows it
		bytes            string           // of an é
		lag              bool
	}{
		"none does":                              {[]int{6}, []int{6}, [][]table.Column{now}, false, false, "\xc3\xa9", false},
		"the one that copies":                    {[]int{5, 6}, []int{6}, [][]table.Column{now}, false, false, "\xc3\xa9", true},
		"the one that copies, always":            {[]int{5, 6}, []int{7}, [][]table.Column{now}, false, false, "\xc3\xa9", true},
		"the one that answers":                   {[]int{6}, []int{5, 6}, [][]table.Column{now}, false, false, "\xc3\xa9", false},
		"the one that answers, for long":         {[]int{6}, append(slices.Repeat([]int{5}, reader.ReplicasAsked), 6), [][]table.Column{now}, false, false, "\xc3\xa9", true},
		"the one that answers, always":           {[]int{6}, []int{5}, [][]table.Column{now}, false, true, "\xc3\xa9", false},
		"they are ahead":                         {[]int{7}, []int{8}, [][]table.Column{now}, false, false, "\xc3\xa9", false},
		"changed before the copy":                {[]int{6}, []int{6}, [][]table.Column{old}, false, false, "\xe9", true},
		"changed before it, as one says":         {[]int{6}, []int{6}, [][]table.Column{now, old}, false, false, "\xe9", true},
		"changed after it, as one says":          {[]int{6}, []int{6}, [][]table.Column{old, now}, false, false, "\xc3\xa9", true},
		"changed, and another says it only then": {[]int{6}, []int{6}, [][]table.Column{old, old, old, now, old}, false, false, "\xe9", true},
		"changed, as the primary says":           {[]int{6}, []int{6}, [][]table.Column{now, old}, false, true, "\xe9", true},
		"the service does not allow to ask":      {[]int{6}, nil, [][]table.Column{old}, true, false, "\xe9", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			copied, answered, refusals := c.copied, c.answered, 0
			r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
				n := copied[0]
				copied = copied[min(1, len(copied)-1):]
				send(begin(0, 0), fields(0, "users"), script.VGTID(n, nil), commit(0))
				send(begin(0, 0), rowOf(0, "users", nil, []string{"1", c.bytes}), script.VGTID(n, pk("users", "1")), commit(0), script.CopyCompleted())
				return hold(done)
			})
			r.cfg.UseReplica = true
			r.asks = func(s *Server) {
				from := s.TablesAt
				if c.primary {
					s.Primary.TablesAt = from
				}
				s.TablesAt = func(ctx context.Context, shard gtid.Shard, names []string, keys bool) (map[string]table.Table, schema.Moment, error) {
					if c.refused {
						refusals++
						return nil, schema.Moment{}, schema.ErrRefused
					}
					n := answered[0]
					answered = answered[min(1, len(answered)-1):]
					tables, m, err := from(ctx, shard, names, keys)
					m.Before, m.After = at(n).GTIDSet(), at(n).GTIDSet()
					return tables, m, err
				}
			}
			r.add(testTable("users"), airbyte.FullRefresh, nil)
			r.looks(c.looks...)
			out := r.must()
			if got := rows(out); !slices.Equal(got, []string{"1:é"}) {
				t.Errorf("records %q", got)
			}
			if c.refused && refusals != 1 {
				t.Errorf("the service refused %d times", refusals)
			}
			lag := func(l destination.Log) bool { return strings.Contains(l.Message, "Replicas of shard - lag,") }
			if slices.ContainsFunc(out.Logs, lag) != c.lag {
				t.Errorf("blamed on lag: %t, expected %t", !c.lag, c.lag)
			}
		})
	}
}

func TestACopyGivesTextInTheCharacterSetThatItsSnapshotHas(t *testing.T) {
	r := newRig(t, 5, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(begin(0, 0), fields(0, "users"), script.VGTID(6, nil), commit(0))
		send(begin(0, 0), rowOf(0, "users", nil, []string{"1", "\xe9"}), script.VGTID(6, pk("users", "1")), commit(0))
		send(script.CopyCompleted())
		return hold(done)
	})
	r.add(testTable("users"), airbyte.FullRefresh, nil)
	latin := testTable("users").Columns
	latin[1].Charset = "latin1"
	r.looks(latin)
	if got := rows(r.must()); !slices.Equal(got, []string{"1:é"}) {
		t.Errorf("records %v", got)
	}
}

// Up to the peeked position the table had the columns of the peek; which columns it has after a break only changes how the server
// describes the rows.
func TestColumnsChangedWhenAStreamBroke(t *testing.T) {
	t.Parallel()
	opened := 0
	r := newRig(t, 7, func(q *request, send func(...*event), done <-chan struct{}) error {
		if opened++; opened == 1 {
			return io.EOF
		}
		send(insert(6, tablesIn(q)...)...)
		send(script.VGTID(7, nil), fakevtgate.Other())
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
	r.alter("users", dropped...)
	if got := rowsByTable(r.must()); !slices.Equal(got, []string{"others 6:x", "users 6:x"}) {
		t.Errorf("records %v", got)
	}
	if got := r.asked(); !slices.Contains(got, "users from 5 older") {
		t.Errorf("asked %q", got)
	}
}

// A copy that resumes after its last key starts with older changes of the rows already copied, with the columns of that time: if the
// columns have changed, it starts again from the first row, and then the changes since its first snapshot are read.
func TestColumnsChangedBeforeACopyGoesOn(t *testing.T) {
	was := func(r *rig, columns []table.Column) {
		r.addUnder(columns, "users", map[string]*state.Shard{"-": {Position: at(5), Copy: &state.Copy{Oldest: at(5), LastPK: pk("users", "1").Lastpk}}})
	}
	for name, c := range map[string]struct {
		prepare func(r *rig)
		catchUp []*event
		copies  []string
	}{
		"when the sync begins": {func(r *rig) { was(r, dropped) }, nil, []string{""}},
		"with a statement": {
			func(r *rig) { was(r, testTable("users").Columns) },
			changed(6, "alter table users drop column gone"),
			[]string{fakevtgate.GTID(5), ""},
		},
		"without one": {
			func(r *rig) { was(r, testTable("users").Columns); r.looks(dropped) },
			insert(6, "users"),
			[]string{fakevtgate.GTID(5), ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 7, func(q *request, send func(...*event), done <-chan struct{}) error {
				switch {
				case q.Filter.FieldEventMode == binlogdatapb.Filter_BEST_EFFORT:
					if name == "when the sync begins" {
						send(older(6)...)
						send(changed(7, "alter table users drop column gone")...)
					}
					send(script.VGTID(7, nil), fakevtgate.Other())
					return hold(done)
				case q.Vgtid.ShardGtids[0].Gtid == "":
					copyOf(send, "users", 7)
					return hold(done)
				case q.Vgtid.ShardGtids[0].TablePKs == nil:
					send(script.VGTID(7, nil), fakevtgate.Other())
					return hold(done)
				}
				for _, e := range c.catchUp {
					if e.Vgtid != nil {
						e = script.VGTID(6, pk("users", "1"))
					}
					send(e)
				}
				return hold(done)
			})
			c.prepare(r)
			out := r.must()
			want := []string{"1:a", "2:b"}
			if name == "when the sync begins" {
				want = append(want, "6:x")
			}
			if got := rows(out); !slices.Equal(got, want) {
				t.Errorf("records %v", got)
			}
			var copies []string
			for _, q := range r.requests() {
				if strings.HasPrefix(q.Filter.Rules[0].Filter, "select `id`") {
					copies = append(copies, q.Vgtid.ShardGtids[0].Gtid)
				}
			}
			if !slices.Equal(copies, c.copies) {
				t.Errorf("copies from %q", copies)
			}
			if last := lastOf(t, out.States, "users"); last.Copy != nil || !last.Position.Equal(at(7)) || last.Layout.Differs() {
				t.Errorf("the last state is %+v", last)
			}
		})
	}
}

// After a copy that starts over, the changes since its first snapshot are read, some of which are older than the current columns.
func TestColumnsChangedBeforeACopyStartsOver(t *testing.T) {
	r := newRig(t, 7, func(q *request, send func(...*event), done <-chan struct{}) error {
		if q.Vgtid.ShardGtids[0].Gtid == "" {
			return copyOfUsers()(q, send, done)
		}
		send(older(6)...)
		send(script.VGTID(7, nil), ddl("alter table users drop column gone"))
		return hold(done)
	})
	r.addUnder(dropped, "users", map[string]*state.Shard{"-": {Copy: &state.Copy{Oldest: at(5)}}})
	r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(7)})
	if got := rows(r.must()); !slices.Equal(got, []string{"1:x", "6:x"}) {
		t.Errorf("records %v", got)
	}
}

// The columns of a broken stream's snapshot do not apply to the changes that are sent before the snapshot in the next stream.
func TestACopyThatBreaksBeforeItsSnapshotForgetsItsColumns(t *testing.T) {
	t.Parallel()
	opened := 0
	r := newRig(t, 5, func(q *request, send func(...*event), done <-chan struct{}) error {
		if opened++; opened == 1 {
			send(begin(0, 0), fields(0, "users")) // the columns are looked up, but no boundary is received
			return io.EOF
		}
		if q.Vgtid.ShardGtids[0].TablePKs != nil {
			caughtUp := insert(6, "users")
			caughtUp[3] = script.VGTID(6, pk("users", "1"))
			send(caughtUp...)
			return hold(done)
		}
		return copyOfUsers()(q, send, done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5), Copy: &state.Copy{Oldest: at(5), LastPK: pk("users", "1").Lastpk}})
	r.looks(testTable("users").Columns, dropped)
	if got := rows(r.must()); !slices.Equal(got, []string{"1:x"}) {
		t.Errorf("records %v", got)
	}
}

// After a failover the target may be before a change of columns: the columns are those of the saved position until a statement is received.
func TestColumnsAreNotKnownWhereTheStopWasMovedTo(t *testing.T) {
	t.Parallel()
	opened := 0
	r := newRig(t, 7, func(_ *request, send func(...*event), done <-chan struct{}) error {
		if opened++; opened == 1 {
			return io.EOF
		}
		send(script.VGTID(6, nil), &event{Type: binlogdatapb.VEventType_OTHER})
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	r.stands = 6 // 7 no longer exists
	r.alter("users", dropped...)
	out := r.must()
	if l := lastOf(t, out.States, "users").Layout; l.Differs() || l.Unknown {
		t.Errorf("the sync left %+v", l)
	}
	if !slices.ContainsFunc(out.Logs, func(l destination.Log) bool { return strings.Contains(l.Message, "no longer has the position") }) {
		t.Error("the target was not changed")
	}
}

func names(columns []table.Column) []string {
	var list []string
	for _, c := range columns {
		list = append(list, c.Name)
	}
	return list
}
