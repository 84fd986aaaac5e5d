package engine

import (
	"bytes"
	"context"
	"errors"
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
	"source-planetscale/internal/partition"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

func ddl(statement string) *event {
	return &event{Type: binlogdatapb.VEventType_DDL, Timestamp: 7, Statement: statement}
}

// insert is transaction n, which inserts the row n:x into the tables.
func insert(n int, tables ...string) []*event {
	events := []*event{begin(7, n)}
	for _, name := range tables {
		events = append(events, fields(7, name), rowOf(7, name, nil, []string{string(rune('0' + n)), "x"}))
	}
	return append(events, script.VGTID(n, nil), commit(7))
}

// savedUnder is a state at position n that was saved when the table had those columns.
func (r *rig) savedUnder(columns []table.Column, name string, n int) *partition.Stream {
	return r.addUnder(columns, name, map[string]*state.Shard{"-": {Position: at(n)}})
}

var dropped = []table.Column{{Name: "id", Type: "bigint"}, {Name: "gone", Type: "int"}, {Name: "name", Type: "varchar(50)"}}

// failsAlone runs a sync in which users fails with that message and others is complete.
func (r *rig) failsAlone(message string) *destination.Output {
	r.t.Helper()
	out, err := r.run()
	if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 1 {
		r.t.Fatalf("error %v, traces %+v", err, out.Errors)
	}
	if e := out.Errors[0]; e.FailureType != "config_error" || !strings.Contains(e.Message, message) || e.Stream.Name != "users" {
		r.t.Errorf("trace %+v", e)
	}
	if out.Statuses[streamNamed("users")] != "INCOMPLETE" || out.Statuses[streamNamed("others")] != "COMPLETE" {
		r.t.Errorf("statuses %v", out.Statuses)
	}
	return out
}

func TestRowsFromBeforeAChangeOfColumnsAreRefused(t *testing.T) {
	r := newRig(t, 7, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(insert(6, "users", "others")...)
		send(script.VGTID(7, nil), ddl("alter table users drop column gone"))
		return hold(done)
	})
	r.savedUnder(dropped, "users", 5)
	r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
	out := r.failsAlone("columns of shop.users were changed")
	if got := rows(out); !slices.Equal(got, []string{"6:x"}) {
		t.Errorf("records %v", got)
	}
	for _, s := range out.States {
		if s.Stream.Name == "users" {
			t.Errorf("a state of the failed stream: %s", s.Message)
		}
	}
}

func TestRowsFromAfterAChangeOfColumnsAreGiven(t *testing.T) {
	r := newRig(t, 7, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(script.VGTID(6, nil), ddl("alter table users drop column gone"))
		send(insert(7, "users")...)
		return hold(done)
	})
	s := r.savedUnder(dropped, "users", 5)
	if !s.Saved()[in("-")].Layout.Stale {
		t.Fatal("the saved position is not stale")
	}
	out := r.must()
	if got := rows(out); !slices.Equal(got, []string{"7:x"}) {
		t.Errorf("records %v", got)
	}
	if last := shardOf(t, out.States[len(out.States)-1]); last.Layout.Stale {
		t.Error("the last state is stale")
	}
}

func TestColumnsAddedAtTheEndAreNoReasonToFail(t *testing.T) {
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(insert(6, "users")...)
		return hold(done)
	})
	r.savedUnder([]table.Column{{Name: "id", Type: "bigint"}}, "users", 5)
	if got := rows(r.must()); !slices.Equal(got, []string{"6:x"}) {
		t.Errorf("records %v", got)
	}
}

// Nothing was changed in the table while its columns were: the next sync starts behind the change.
func TestChangeOfColumnsWithoutRowsIsPassed(t *testing.T) {
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(script.VGTID(6, nil), fakevtgate.Other())
		return hold(done)
	})
	r.savedUnder(dropped, "users", 5)
	out := r.must()
	if last := shardOf(t, out.States[len(out.States)-1]); last.Layout.Stale || !last.Position.Equal(at(6)) {
		t.Errorf("the last state is %+v", last)
	}
}

func TestChangeOfColumnsDuringTheSync(t *testing.T) {
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(insert(6, "users", "others")...)
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
	r.now["users"] = table.Table{Columns: []table.Column{{Name: "name", Type: "varchar(50)"}}}
	out := r.failsAlone("were changed while changes made before that were read")
	for _, s := range out.States {
		if s.Stream.Name == "users" {
			t.Errorf("a state of the failed stream: %s", s.Message)
		}
	}
}

func TestRowsGoneWithoutADelete(t *testing.T) {
	for _, statement := range []string{"truncate table users", "drop table users", "rename table users to people", "rename table users to users_old, users_rebuilt to users"} {
		t.Run(statement, func(t *testing.T) {
			r := newRig(t, 7, func(_ *request, send func(...*event), done <-chan struct{}) error {
				send(script.VGTID(6, nil), ddl(statement))
				send(insert(7, "others")...)
				return hold(done)
			})
			r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
			r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
			r.failsAlone("was dropped, renamed or truncated")
		})
	}
}

// A table that has the truncation already is not failed by its neighbour's past.
func TestTruncationThatIsPastIsNoNews(t *testing.T) {
	r := newRig(t, 8, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(script.VGTID(6, nil), ddl("truncate table users"))
		send(insert(7, "others")...)
		send(insert(8, "users")...)
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(6)})
	r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
	if got := rows(r.must()); !slices.Equal(got, []string{"7:x", "8:x"}) {
		t.Errorf("records %v", got)
	}
}

func TestTableThatBreaksASharedStreamIsLeftOut(t *testing.T) {
	t.Parallel()
	r := newRig(t, 6, func(q *request, send func(...*event), done <-chan struct{}) error {
		if slices.Contains(tablesIn(q), "users") {
			return status.Error(codes.Unknown, "cannot determine table columns for users: event has [1 2]")
		}
		send(insert(6, "others")...)
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
	out := r.failsAlone("cannot stream shop.users")
	if got := rows(out); !slices.Equal(got, []string{"6:x"}) {
		t.Errorf("records %v", got)
	}
}

// A table that has them already is not failed by rows of former columns, which its neighbour's stream brings again.
func TestRowsOfFormerColumnsThatArePastAreNoNews(t *testing.T) {
	r := newRig(t, 8, func(_ *request, send func(...*event), done <-chan struct{}) error {
		former := []*querypb.Field{fakevtgate.Field("@1", "", querypb.Type_INT64), fakevtgate.Field("@2", "", querypb.Type_VARCHAR)}
		send(begin(7, 6), fakevtgate.Fields(7, "users", former...), rowOf(7, "users", nil, []string{"6", "x"}), script.VGTID(6, nil), commit(7))
		send(insert(7, "others")...)
		send(insert(8, "users")...)
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(6)})
	r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
	if got := rows(r.must()); !slices.Equal(got, []string{"7:x", "8:x"}) {
		t.Errorf("records %v", got)
	}
}

// A catalog that was refreshed asks for a column that older rows don't have.
func TestRowsFromBeforeAColumnWasAddedComeWithoutIt(t *testing.T) {
	onlyID := []*querypb.Field{fakevtgate.Field("id", "bigint", querypb.Type_INT64)}
	r := newRig(t, 7, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(begin(7, 6), fakevtgate.Fields(7, "users", onlyID...), rowOf(7, "users", nil, []string{"6"}), script.VGTID(6, nil), commit(7))
		send(script.VGTID(6, nil), ddl("alter table users add column name varchar(50)"))
		send(insert(7, "users")...)
		return hold(done)
	})
	r.cfg.CheckpointIntervalSeconds = 0
	r.savedUnder([]table.Column{{Name: "id", Type: "bigint"}}, "users", 5)
	out := r.must()
	if got := rows(out); !slices.Equal(got, []string{"6:<nil>", "7:x"}) {
		t.Errorf("records %v", got)
	}
	if first, last := shardOf(t, out.States[0]), shardOf(t, out.States[len(out.States)-1]); first.Layout.Had != 1 || last.Layout.Had != 0 {
		t.Errorf("the states know of %d and, at the end, %d former columns", first.Layout.Had, last.Layout.Had)
	}
}

// Of more columns than were added, one was dropped meanwhile, and the others are not where they seem to be.
// The server refuses to replay changes without a column that is named, so that a copy in need of them names none.
func TestCopyThatReplaysFewerColumnsNamesNone(t *testing.T) {
	for had, want := range []string{"select `id`, `name` from `users`", "select * from `users`"} {
		r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
			send(begin(0, 0), fields(0, "users"), script.VGTID(6, pk("users", "1")), commit(0), script.CopyCompleted())
			return hold(done)
		})
		r.add(testTable("users"), airbyte.Incremental, &state.Shard{
			Position: at(5), Copy: &state.Copy{Oldest: at(5), LastPK: pk("users", "1").Lastpk},
			Layout: table.Layout{Had: had},
		})
		r.must()
		if got := r.requests()[0].Filter.Rules[0].Filter; got != want {
			t.Errorf("with %d former columns: %s", had, got)
		}
	}
}

func TestRowsWithFewerColumnsThanEverBeforeAreRefused(t *testing.T) {
	onlyID := []*querypb.Field{fakevtgate.Field("id", "bigint", querypb.Type_INT64)}
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(begin(7, 6), fakevtgate.Fields(7, "users", onlyID...), rowOf(7, "users", nil, []string{"6"}), script.VGTID(6, nil), commit(7))
		return hold(done)
	})
	r.savedUnder(testTable("users").Columns, "users", 5)
	r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(6)})
	r.failsAlone("come without the column \"name\"")
}

// changed is transaction n, a statement that changes a table.
func changed(n int, statement string) []*event {
	return []*event{script.VGTID(n, nil), ddl(statement)}
}

// Indexes, and columns added at the end, leave the rows between them readable.
func TestHarmlessChangesWithRowsBetween(t *testing.T) {
	three := append(slices.Clone(idAndName), fakevtgate.Field("extra", "bigint", querypb.Type_INT64))
	r := newRig(t, 10, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(begin(7, 6), fakevtgate.Fields(7, "users", idAndName[:1]...), rowOf(7, "users", nil, []string{"6"}), script.VGTID(6, nil), commit(7))
		send(changed(7, "alter table users add column name varchar(50) default 'd'")...)
		send(insert(8, "users")...)
		send(changed(9, "create index i on users (name)")...)
		send(insert(9, "users")...)
		send(changed(9, "alter table users add column extra bigint")...)
		send(begin(7, 10), fakevtgate.Fields(7, "users", three...), rowOf(7, "users", nil, []string{"0", "x", "5"}), script.VGTID(10, nil), commit(7))
		return hold(done)
	})
	users := testTable("users")
	users.Columns = append(users.Columns, table.Column{Name: "extra", Type: "bigint", Nullable: true})
	r.addStream(users, airbyte.Incremental, &state.Stream{
		Columns: users.Columns[:1],
		Shards:  map[gtid.Shard]*state.Shard{in("-"): {Position: at(5)}},
	})
	out := r.must()
	if got := rows(out); !slices.Equal(got, []string{"6:<nil>", "8:x", "9:x", "0:x"}) {
		t.Errorf("records %v", got)
	}
	if got := out.Records[3].Data["extra"]; fmt.Sprint(got) != "5" {
		t.Errorf("the added column is %v", got)
	}
	if last := shardOf(t, out.States[len(out.States)-1]); last.Layout.Assumed != table.Known || last.Layout.Had != 0 {
		t.Errorf("the last state is %+v", last)
	}
}

// twoChanges are columns changed by that statement, a row, columns changed again, a row.
func twoChanges(first string) fakevtgate.Stream {
	return func(q *request, send func(...*event), done <-chan struct{}) error {
		if q.Vgtid.ShardGtids[0].Gtid == fakevtgate.GTID(5) {
			send(changed(6, first)...)
			send(insert(7, "users")...)
		}
		send(changed(8, "alter table users drop column other")...)
		send(insert(9, "users", "others")...)
		return hold(done)
	}
}

func TestRowsBetweenTwoChangesOfColumnsAreRefused(t *testing.T) {
	for _, first := range []string{"alter table users drop column gone", "alter table users add column other int"} {
		t.Run(first, func(t *testing.T) {
			r := newRig(t, 9, twoChanges(first))
			r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
			r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
			r.failsAlone("may have been written under yet other columns")
		})
	}
}

// A sync that was killed between the two goes on from a state after the first.
func TestKilledBetweenTwoChangesOfColumns(t *testing.T) {
	for name, was := range map[string][]table.Column{"back and forth": testTable("users").Columns, "stale": dropped} {
		t.Run(name, func(t *testing.T) {
			killed := newRig(t, 9, nil)
			ctx, kill := context.WithCancel(t.Context())
			defer kill()
			killed.stream = func(_ *request, send func(...*event), done <-chan struct{}) error {
				send(changed(6, "alter table users drop column gone")...)
				send(insert(7, "users")...)
				send(begin(7, 8)) // received once the last boundary was dealt with
				return hold(done)
			}
			killed.cfg.CheckpointIntervalSeconds = 0
			killed.w = airbyte.NewWriter(&killer{&killed.out, fakevtgate.GTID(7), kill})
			killed.savedUnder(was, "users", 5)
			before, _ := killed.runWith(ctx)
			saved := streamOf(t, before.States[len(before.States)-1])
			if at7 := saved.Shards[in("-")]; !at7.Position.Equal(at(7)) || at7.Layout.Stale {
				t.Fatalf("the killed sync left %+v", at7)
			}

			r := newRig(t, 9, twoChanges(""))
			r.addStream(testTable("users"), airbyte.Incremental, saved)
			r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(7)})
			r.failsAlone("may have been written under yet other columns")
		})
	}
}

// killer ends a sync once a text was written.
type killer struct {
	w    io.Writer
	text string
	kill func()
}

func (k *killer) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(k.text)) {
		k.kill()
	}
	return k.w.Write(p)
}

// Nothing tells which columns the table had at a position of the former connector, or of the option starting_gtids.
func TestChangeOfColumnsSinceAPositionOfUnknownColumns(t *testing.T) {
	stream := func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(insert(6, "users", "others")...)
		send(changed(7, "alter table users drop column gone")...)
		return hold(done)
	}
	r := newRig(t, 7, stream)
	r.savedUnder(nil, "users", 5)
	r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
	r.failsAlone("may have been written under yet other columns")

	r = newRig(t, 7, stream)
	users := r.add(testTable("users"), airbyte.Incremental, nil)
	r.change(func(tx *airbyte.Tx) {
		users.Reset(tx)
		users.Begin(tx, r.wanted(), map[gtid.Shard]gtid.Position{in("-"): at(5)})
	})
	r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
	r.failsAlone("may have been written under yet other columns")
}

func TestDroppedPartitionsAreSaid(t *testing.T) {
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(changed(6, "alter table users drop partition p1")...)
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	out := r.must()
	if !slices.ContainsFunc(out.Logs, func(l destination.Log) bool {
		return l.Level == "WARN" && strings.Contains(l.Message, "Partitions of table shop.users were dropped or truncated in shard -")
	}) {
		t.Errorf("logs %+v", out.Logs)
	}
}
