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
	"time"

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

// savedUnder configures a stream with a state at position n that was saved when the table had these columns.
func (r *rig) savedUnder(columns []table.Column, name string, n int) *partition.Stream {
	return r.addUnder(columns, name, map[string]*state.Shard{"-": {Position: at(n)}})
}

var dropped = []table.Column{
	{Name: "id", Type: "bigint"}, {Name: "gone", Type: "int", Nullable: true}, {Name: "name", Type: "varchar(50)", Nullable: true, Charset: "utf8mb4"},
}

// older is transaction n, which inserts the row n:x into users when it had the columns dropped.
func older(n int) []*event {
	return []*event{
		begin(7, n),
		fakevtgate.Fields(7, "users", fakevtgate.Field("@1", "", querypb.Type_INT64), fakevtgate.Field("@2", "", querypb.Type_INT32),
			fakevtgate.Field("@3", "", querypb.Type_VARCHAR)),
		rowOf(7, "users", nil, []string{string(rune('0' + n)), "5", "x"}), script.VGTID(n, nil), commit(7),
	}
}

// asked lists the requests, each with its tables, where it starts and what it requests.
func (r *rig) asked() []string {
	var list []string
	for _, q := range r.requests() {
		tables := tablesIn(q)
		slices.Sort(tables)
		asks := strings.Join(tables, ",") + " from " + strings.TrimPrefix(q.Vgtid.ShardGtids[0].Gtid, "MySQL56/"+fakevtgate.UUID+":1-")
		if q.Filter.FieldEventMode == binlogdatapb.Filter_BEST_EFFORT {
			asks += " older"
		}
		if strings.HasPrefix(q.Filter.Rules[0].Filter, "select 1 ") {
			asks += " statements"
		}
		list = append(list, asks)
	}
	slices.Sort(list) // the order of parallel ones is random
	return list
}

// failsAlone runs a sync in which users must fail with this message and others must be complete.
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

// A table whose columns were changed is read separately from the others: first the statements that changed the columns, then the rows.
func TestRowsFromBeforeAChangeOfColumnsAreReadByThoseColumns(t *testing.T) {
	r := newRig(t, 8, func(q *request, send func(...*event), done <-chan struct{}) error {
		if slices.Contains(tablesIn(q), "others") {
			send(insert(6, "others")...)
			send(script.VGTID(8, nil), fakevtgate.Other())
			return hold(done)
		}
		send(older(6)...)
		send(changed(7, "alter table users drop column gone")...)
		send(insert(8, "users")...)
		return hold(done)
	})
	r.cfg.CheckpointIntervalSeconds = 0
	r.savedUnder(dropped, "users", 5)
	r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
	out := r.must()
	if got := rowsByTable(out); !slices.Equal(got, []string{"others 6:x", "users 6:x", "users 8:x"}) {
		t.Errorf("records %v", got)
	}
	if got := r.asked(); !slices.Equal(got, []string{"others from 5", "users from 5 older", "users from 5 older statements"}) {
		t.Errorf("asked %q", got)
	}
	want := map[int][]table.Column{6: dropped, 7: nil, 8: nil}
	for _, s := range out.States {
		at6 := shardOf(t, s)
		for n, columns := range want {
			if s.Stream.Name == "users" && at6.Position.Equal(at(n)) && !slices.Equal(names(at6.Layout.Columns), names(columns)) {
				t.Errorf("the state at %d has the columns %v", n, at6.Layout.Columns)
			}
		}
	}
}

// A sync that was killed between two changes continues with the columns that the table had there.
func TestKilledBetweenTwoChangesOfColumns(t *testing.T) {
	moved := []table.Column{dropped[0], dropped[2], dropped[1]}
	first, second := changed(6, "alter table users modify column gone int after id"), changed(9, "alter table users drop column gone")
	killed := newRig(t, 9, func(q *request, send func(...*event), done <-chan struct{}) error {
		send(first...)
		if !strings.HasPrefix(q.Filter.Rules[0].Filter, "select 1 ") {
			send(older(7)...)
			send(begin(7, 8)) // received after the last boundary was processed
			return hold(done)
		}
		send(second...)
		return hold(done)
	})
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	killed.cfg.CheckpointIntervalSeconds = 0
	killed.w = airbyte.NewWriter(&killer{&killed.out, fakevtgate.GTID(7), kill})
	killed.savedUnder(moved, "users", 5)
	before, _ := killed.runWith(ctx)
	saved := streamOf(t, before.States[len(before.States)-1])
	if at7 := saved.Shards[in("-")]; !at7.Position.Equal(at(7)) || !slices.Equal(names(at7.Layout.Columns), names(dropped)) {
		t.Fatalf("the killed sync left %+v", at7)
	}

	r := newRig(t, 9, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(older(8)...)
		send(second...)
		return hold(done)
	})
	r.addStream(testTable("users"), airbyte.Incremental, saved)
	if got := rows(r.must()); !slices.Equal(got, []string{"8:x"}) {
		t.Errorf("records %v", got)
	}
	if got := r.asked(); !slices.Equal(got, []string{"users from 7 older", "users from 7 older statements"}) {
		t.Errorf("asked %q", got)
	}
}

// killer ends a sync when a text has been written.
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

// If the columns cannot be determined, only this stream fails, before its first record; with "Re-sync data" it is copied again in the
// same sync.
func TestRowsOfUnknowableColumns(t *testing.T) {
	log := func(events ...*event) fakevtgate.Stream {
		return func(q *request, send func(...*event), done <-chan struct{}) error {
			switch {
			case slices.Contains(tablesIn(q), "others"):
				send(insert(6, "others")...)
				send(script.VGTID(7, nil), fakevtgate.Other())
			case q.Vgtid.ShardGtids[0].Gtid == "":
				copyOf(send, "users", 7)
			default:
				send(older(6)...)
				send(events...)
				send(script.VGTID(7, nil), fakevtgate.Other())
			}
			return hold(done)
		}
	}
	for name, events := range map[string][]*event{
		"no statement":        nil,
		"another statement":   changed(7, "alter table users drop column name"),
		"one that is unknown": changed(7, "alter table users add column a datetime default current_timestamp"),
		"a second DDL":        slices.Concat(changed(6, "alter table users drop column gone"), changed(7, "alter table users drop column id")),
		"an online DDL":       changed(7, "rename table users to _vt_hld_6ace8bcef73211ea87e9f875a4d24e90_20200915120410_, _vt_vrp_6ace8bcef73211ea87e9f875a4d24e90_20200915120410_ to users"),
	} {
		for _, resync := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, resync %v", name, resync), func(t *testing.T) {
				r := newRig(t, 7, log(events...))
				was := dropped
				if name == "an online DDL" { // it may have renamed the table
					was = append([]table.Column{dropped[0]}, table.Column{Name: "nom", Type: "varchar(50)", Charset: "utf8mb4"})
				}
				if resync {
					r.configure(`,"invalid_cdc_cursor_position_behavior":"Re-sync data"`)
				}
				r.savedUnder(was, "users", 5)
				r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
				if !resync {
					out := r.failsAlone("cannot be read: ")
					if got := rowsByTable(out); !slices.Equal(got, []string{"others 6:x"}) {
						t.Errorf("records %v", got)
					}
					return
				}
				out := r.must()
				if got := rowsByTable(out); !slices.Equal(got, []string{"others 6:x", "users 1:a", "users 2:b"}) {
					t.Errorf("records %v", got)
				}
				if !slices.ContainsFunc(out.Logs, func(l destination.Log) bool {
					return l.Level == "WARN" && strings.Contains(l.Message, "shop.users is copied again") && strings.Contains(l.Message, "Rows deleted in the meantime stay")
				}) {
					t.Errorf("logs %+v", out.Logs)
				}
			})
		}
	}
}

// Columns that were changed and changed back look unchanged. The statements show it: the table is read again separately, from
// its saved position.
func TestColumnsThatWereChangedBack(t *testing.T) {
	users := []*event{}
	users = append(users, insert(6, "users")...)
	users = append(users, changed(7, "alter table users add column gone int after id")...)
	users = append(users, older(8)...)
	users = append(users, changed(9, "alter table users drop column gone")...)
	r := newRig(t, 9, func(q *request, send func(...*event), done <-chan struct{}) error {
		if q.Filter.FieldEventMode != binlogdatapb.Filter_BEST_EFFORT {
			send(insert(6, "users", "others")...)
			send(users[len(insert(6, "users")):][:2]...)
			send(insert(8, "others")...)
			send(script.VGTID(9, nil), fakevtgate.Other())
			return hold(done)
		}
		send(users...)
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
	out := r.must()
	if got := rowsByTable(out); !slices.Equal(got, []string{"others 6:x", "others 8:x", "users 6:x", "users 6:x", "users 8:x"}) {
		t.Errorf("records %v", got)
	}
	if got := r.asked(); !slices.Equal(got, []string{"others,users from 5", "users from 5 older", "users from 5 older statements"}) {
		t.Errorf("asked %q", got)
	}
	if last := lastOf(t, out.States, "users"); !last.Position.Equal(at(9)) || last.Layout.Differs() {
		t.Errorf("the last state is %+v", last)
	}
}

// If a stream breaks between two statements, or before the position of one was received, each statement is still applied once.
func TestAStreamThatBreaksBetweenTwoChangesOfColumns(t *testing.T) {
	for name, said := range map[string]bool{"between": true, "before the position": false} {
		t.Run(name, func(t *testing.T) {
			opened := map[string]int{}
			first := changed(6, "alter table users change column going gone int after id") // must not be applied twice
			r := newRig(t, 8, func(q *request, send func(...*event), done <-chan struct{}) error {
				rule := q.Filter.Rules[0].Filter
				if opened[rule]++; opened[rule] == 1 {
					if !said {
						first[0] = fakevtgate.Other()
					}
					send(first...)
					send(begin(7, 7)) // received after the last boundary was processed
					return io.EOF
				}
				from := q.Vgtid.ShardGtids[0].Gtid
				if said != (from == fakevtgate.GTID(6)) {
					t.Errorf("%s: opened again from %s", rule, from)
				}
				if !said {
					first[0] = script.VGTID(6, nil)
					send(first...)
				}
				send(older(7)...)
				send(changed(8, "alter table users drop column gone")...)
				return hold(done)
			})
			r.savedUnder([]table.Column{dropped[0], dropped[2], {Name: "going", Type: "int"}}, "users", 5)
			if got := rows(r.must()); !slices.Equal(got, []string{"7:x"}) {
				t.Errorf("records %v", got)
			}
		})
	}
}

func TestColumnsAddedAtTheEndAreNoReasonToFail(t *testing.T) {
	r := newRig(t, 7, func(_ *request, send func(...*event), done <-chan struct{}) error {
		onlyID := fakevtgate.Field("id", "bigint", querypb.Type_INT64)
		send(begin(7, 6), fakevtgate.Fields(7, "users", onlyID), rowOf(7, "users", nil, []string{"6"}), script.VGTID(6, nil), commit(7))
		send(changed(7, "alter table users add column name varchar(50) charset utf8mb4 default 'new'")...)
		return hold(done)
	})
	r.savedUnder(testTable("users").Columns[:1], "users", 5)
	if got := rows(r.must()); !slices.Equal(got, []string{"6:new"}) {
		t.Errorf("records %v", got)
	}
}

// The columns change while rows are read: rows already emitted are emitted again, unless their key was wrong.
func TestChangeOfColumnsDuringTheSync(t *testing.T) {
	for name, c := range map[string]struct {
		now   []table.Column
		fails bool
	}{
		"a column":          {append(slices.Clone(testTable("users").Columns[:1]), table.Column{Name: "other", Type: "int"}), false},
		"one of the key":    {[]table.Column{testTable("users").Columns[1], testTable("users").Columns[0]}, true},
		"the key's type":    {[]table.Column{{Name: "id", Type: "int"}, testTable("users").Columns[1]}, true},
		"its spelling":      {[]table.Column{{Name: "id", Type: "bigint(20)"}, {Name: "other", Type: "int"}}, false},
		"the key was taken": {testTable("users").Columns[1:], true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 6, func(q *request, send func(...*event), done <-chan struct{}) error {
				send(insert(6, tablesIn(q)...)...)
				return hold(done)
			})
			r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
			r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
			r.alter("users", c.now...)
			if c.fails {
				out := r.failsAlone("may have been written with wrong keys")
				for _, s := range out.States {
					if s.Stream.Name == "users" && !shardOf(t, s).Position.Equal(at(5)) {
						t.Errorf("a later state of the failed stream: %s", s.Message)
					}
				}
				return
			}
			out := r.must()
			if got := rowsByTable(out); !slices.Equal(got, []string{"others 6:x", "users 6:x", "users 6:x"}) {
				t.Errorf("records %v", got)
			}
			if got := r.asked(); len(got) != 3 || got[1] != "users from 5 older" || got[2] != "users from 5 older statements" {
				t.Errorf("asked %q", got)
			}
		})
	}
}

// The columns of the table were changed, but no rows: the next sync starts after the change.
func TestChangeOfColumnsWithoutRowsIsPassed(t *testing.T) {
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(changed(6, "alter table users drop column gone")...)
		return hold(done)
	})
	r.savedUnder(dropped, "users", 5)
	out := r.must()
	if last := shardOf(t, out.States[len(out.States)-1]); last.Layout.Differs() || !last.Position.Equal(at(6)) {
		t.Errorf("the last state is %+v", last)
	}
}

// Rows that cannot be read are a reason to fail only where there are any.
func TestUnreadableRowsThatDoNotExist(t *testing.T) {
	id, name := dropped[0], func(columnType string) table.Column {
		return table.Column{Name: "name", Type: columnType, Nullable: true}
	}
	for what, c := range map[string]struct {
		saved     []table.Column
		statement string
	}{
		"a column beside an ENUM is dropped": {[]table.Column{id, {Name: "gone", Type: "enum('a','b')"}, dropped[2]}, "alter table users drop column gone"},
		"an ENUM becomes text":               {[]table.Column{id, name("enum('a','b')")}, "alter table users modify name varchar(50) character set utf8mb4"},
		"a TIMESTAMP becomes text":           {[]table.Column{id, name("timestamp")}, "alter table users modify name varchar(50) character set utf8mb4"},
		"a document becomes text":            {[]table.Column{id, name("json")}, "alter table users modify name varchar(50) character set utf8mb4"},
		"a copy has a DOUBLE as text":        {[]table.Column{id, name("double")}, "rename table users to _users_del, _users_gho to users"},
		"another default for each row":       {dropped[:1], "alter table users add column name varchar(50) character set utf8mb4 default (uuid())"},
	} {
		for _, written := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, rows %v", what, written), func(t *testing.T) {
				r := newRig(t, 8, func(q *request, send func(...*event), done <-chan struct{}) error {
					if !slices.Contains(tablesIn(q), "users") {
						send(script.VGTID(8, nil), fakevtgate.Other())
						return hold(done)
					}
					if written {
						send(older(6)...)
					}
					send(changed(7, c.statement)...)
					send(insert(8, "users")...)
					return hold(done)
				})
				r.asks = func(s *Server) { s.Statements.Definition = definesUsers }
				r.savedUnder(c.saved, "users", 5)
				r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
				if written {
					r.failsAlone("cannot be read: ")
				} else if got := rows(r.must()); !slices.Equal(got, []string{"8:x"}) {
					t.Errorf("records %v", got)
				}
			})
		}
	}
}

func TestRowsGoneWithoutADelete(t *testing.T) {
	for _, statement := range []string{"truncate table users", "drop table users", "rename table users to people", "rename table users to users_old, users_rebuilt to users"} {
		for _, was := range [][]table.Column{testTable("users").Columns, dropped} { // a table with other columns is read separately
			t.Run(fmt.Sprintf("%s, of %d columns", statement, len(was)), func(t *testing.T) {
				r := newRig(t, 7, func(q *request, send func(...*event), done <-chan struct{}) error {
					if q.Vgtid.ShardGtids[0].Gtid == "" { // a new copy, which would succeed
						copyOf(send, "users", 7)
						return hold(done)
					}
					send(script.VGTID(6, nil), ddl(statement))
					send(insert(7, "others")...)
					return hold(done)
				})
				r.configure(`,"invalid_cdc_cursor_position_behavior":"Re-sync data"`) // a new copy would leave the deleted rows in the destination
				r.savedUnder(was, "users", 5)
				r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
				r.failsAlone("was dropped, renamed or truncated")
			})
		}
	}
}

// A table whose position is past the truncation does not fail because another table of the stream starts before it.
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

// A table that breaks a stream of several tables may have older columns: it is read separately, and fails alone if that does not help.
func TestTableThatBreaksASharedStreamIsReadApart(t *testing.T) {
	for name, helps := range map[string]bool{"older rows": true, "another reason": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 6, func(q *request, send func(...*event), done <-chan struct{}) error {
				if slices.Contains(tablesIn(q), "users") && (!helps || q.Filter.FieldEventMode != binlogdatapb.Filter_BEST_EFFORT) {
					return status.Error(codes.Unknown, "cannot determine table columns for users: event has [1 2]")
				}
				send(insert(6, tablesIn(q)...)...)
				return hold(done)
			})
			r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
			r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
			if helps {
				if got := rowsByTable(r.must()); !slices.Equal(got, []string{"others 6:x", "users 6:x"}) {
					t.Errorf("records %v", got)
				}
				return
			}
			out := r.failsAlone("cannot stream shop.users")
			if got := rows(out); !slices.Equal(got, []string{"6:x"}) {
				t.Errorf("records %v", got)
			}
		})
	}
}

// A table whose position is past the rows with former columns does not fail when they are received for another table of the stream.
func TestRowsOfFormerColumnsThatArePastAreNoNews(t *testing.T) {
	r := newRig(t, 8, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(older(6)...)
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

// changed is transaction n, a statement that changes a table.
func changed(n int, statement string) []*event {
	return []*event{script.VGTID(n, nil), ddl(statement)}
}

// A new index, default, or default character set does not change columns.
func TestStatementsThatChangeNoColumns(t *testing.T) {
	r := newRig(t, 8, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(insert(6, "users")...)
		send(changed(7, "create index i on users (name)")...)
		send(changed(7, "alter table users alter column name set default 'x'")...)
		send(changed(7, "alter table users default charset latin1")...)
		send(insert(8, "users")...)
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	if got := rows(r.must()); !slices.Equal(got, []string{"6:x", "8:x"}) {
		t.Errorf("records %v", got)
	}
	if got := r.asked(); !slices.Equal(got, []string{"users from 5"}) {
		t.Errorf("asked %q", got)
	}
}

// Rows from before an online schema change whose statement is unknown have in an added column its default, but not one that was set since.
func TestADefaultThatWasChangedAfterItsColumnWasAdded(t *testing.T) {
	for again, why := range map[string]string{
		"alter table users add key (name)":                      "",
		"alter table users alter column name set default 'new'": "cannot be read: its columns were changed again after an online schema change",
	} {
		t.Run(again, func(t *testing.T) {
			r := newRig(t, 8, func(q *request, send func(...*event), done <-chan struct{}) error {
				if slices.Contains(tablesIn(q), "others") {
					send(script.VGTID(8, nil), fakevtgate.Other())
					return hold(done)
				}
				id := fakevtgate.Field("id", "bigint", querypb.Type_INT64)
				send(begin(7, 6), fakevtgate.Fields(7, "users", id), rowOf(7, "users", nil, []string{"6"}), script.VGTID(6, nil), commit(7))
				send(changed(7, "rename table users to _users_del, _users_gho to users")...)
				send(changed(8, again)...)
				return hold(done)
			})
			r.asks = func(s *Server) {
				s.Statements.Definition = func(context.Context, gtid.Shard, string) (string, error) {
					return "CREATE TABLE `users` (`id` bigint NOT NULL, `name` varchar(50) DEFAULT 'new')", nil
				}
			}
			r.savedUnder(testTable("users").Columns[:1], "users", 5)
			r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
			if why != "" {
				r.failsAlone(why)
			} else if got := rowsByTable(r.must()); !slices.Equal(got, []string{"users 6:new"}) {
				t.Errorf("records %v", got)
			}
		})
	}
}

// It is unknown which columns the table had at a position of the former connector, or of the option starting_gtids, unless columns were
// only added at the end.
func TestChangeOfColumnsSinceAPositionOfUnknownColumns(t *testing.T) {
	for statement, want := range map[string][]string{
		"alter table users drop column gone":                                                nil,
		"alter table users modify column name varchar(50)":                                  nil,
		"alter table users add column name varchar(50) character set utf8mb4 default 'new'": {"others 6:x", "users 6:new"},
		"alter table users add column name varchar(50) character set utf8mb4 default 'new' / alter table users default charset latin1": {
			"others 6:x", "users 6:new",
		},
	} {
		for name, unknown := range map[string]func(r *rig){
			"the former connector": func(r *rig) { r.savedUnder(nil, "users", 5) },
			"starting_gtids": func(r *rig) {
				users := r.add(testTable("users"), airbyte.Incremental, nil)
				r.change(func(tx *airbyte.Tx) {
					users.Reset(tx)
					users.Begin(tx, r.wanted(), map[gtid.Shard]gtid.Position{in("-"): at(5)})
				})
			},
		} {
			t.Run(name+", "+statement, func(t *testing.T) {
				r := newRig(t, 8, func(q *request, send func(...*event), done <-chan struct{}) error {
					if slices.Contains(tablesIn(q), "others") {
						send(insert(6, "others")...)
					}
					if slices.Contains(tablesIn(q), "users") {
						id := fakevtgate.Field("id", "bigint", querypb.Type_INT64)
						if q.Filter.FieldEventMode == binlogdatapb.Filter_BEST_EFFORT {
							send(begin(7, 6), fakevtgate.Fields(7, "users", id), rowOf(7, "users", nil, []string{"6"}), script.VGTID(6, nil), commit(7))
						}
						for i, one := range strings.Split(statement, " / ") {
							send(changed(7+i, one)...)
						}
					}
					send(script.VGTID(8, nil), fakevtgate.Other())
					return hold(done)
				})
				unknown(r)
				r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
				if want == nil {
					r.failsAlone("which columns it had at the saved position is not known")
				} else if got := rowsByTable(r.must()); !slices.Equal(got, want) {
					t.Errorf("records %v", got)
				}
			})
		}
	}
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

// definesUsers answers SHOW CREATE TABLE.
func definesUsers(context.Context, gtid.Shard, string) (string, error) {
	return "CREATE TABLE `users` (`id` bigint NOT NULL, `name` varchar(50) DEFAULT NULL, PRIMARY KEY (`id`)) DEFAULT CHARSET=utf8mb4", nil
}

// A table that replaces the original has a name of gh-ost or pt-online-schema-change: a user's own table may have such a name, too,
// so it is logged once. Names of Vitess' online DDL are used by Vitess only.
func TestSwapsForACopyOfTheTable(t *testing.T) {
	const vitess = "_vt_vrp_6ace8bcef73211ea87e9f875a4d24e90_20200915120410_"
	for copied, warned := range map[string]bool{"_users_gho": true, "_users_new": true, vitess: false} {
		t.Run(copied, func(t *testing.T) {
			r := newRig(t, 8, func(_ *request, send func(...*event), done <-chan struct{}) error {
				send(changed(6, "rename table users to _users_del, "+copied+" to users")...)
				send(insert(8, "users")...)
				return hold(done)
			})
			r.asks = func(s *Server) {
				s.Statements.Migration = func(_ context.Context, shard, uuid string) (table.OnlineDDL, error) {
					if shard != "-" || uuid != "6ace8bce_f732_11ea_87e9_f875a4d24e90" {
						t.Errorf("queried %s in shard %s", uuid, shard)
					}
					return table.OnlineDDL{Statement: "alter table users engine=innodb", Swaps: 1}, nil
				}
				s.Statements.Definition = definesUsers
			}
			r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
			out := r.must()
			if got := rows(out); !slices.Equal(got, []string{"8:x"}) {
				t.Errorf("records %v", got)
			}
			n := len(slices.DeleteFunc(out.Logs, func(l destination.Log) bool { return !strings.Contains(l.Message, "was swapped in shard -") }))
			if n != map[bool]int{true: 1, false: 0}[warned] {
				t.Errorf("warned %d times", n)
			}
		})
	}
}

// onlineSwap is transaction n, in which a table and its copy by Vitess' online DDL change places.
func onlineSwap(n int) []*event {
	const id = "6ace8bcef73211ea87e9f875a4d24e90_20200915120410_"
	return changed(n, "rename table `users` to `_vt_hld_"+id+"`, `_vt_vrp_"+id+"` to `users`, `_vt_hld_"+id+"` to `_vt_vrp_"+id+"`")
}

// A revert of an online DDL swaps in the table from before it, under the name of the copy.
func TestRevertsOfOnlineDDLs(t *testing.T) {
	idOnly := func(n int) []*event {
		id := fakevtgate.Field("id", "bigint", querypb.Type_INT64)
		return []*event{
			begin(7, n), fakevtgate.Fields(7, "users", id), rowOf(7, "users", nil, []string{string(rune('0' + n))}), script.VGTID(n, nil), commit(7),
		}
	}
	now := testTable("users").Columns
	const adds, drops = "alter table users add column gone int after id", "alter table users drop column name"
	for name, c := range map[string]struct {
		was    []table.Column
		events []*event
		made   table.OnlineDDL
		want   []string
		why    string
	}{
		"a column was added": {
			now, slices.Concat(insert(6, "users"), onlineSwap(7), older(8), onlineSwap(9)),
			table.OnlineDDL{Statement: adds, Swaps: 2},
			[]string{"6:x", "6:x", "8:x"}, // at first in the shared stream
			"",
		},
		"a column was dropped": {
			now, slices.Concat(insert(6, "users"), onlineSwap(7), idOnly(8), onlineSwap(9)), table.OnlineDDL{Statement: drops, Swaps: 2}, nil, "was reverted",
		},
		"the revert alone": {
			now[:1], slices.Concat(idOnly(6), onlineSwap(9)), table.OnlineDDL{Statement: drops, Swaps: 2}, nil, "came back when one was reverted",
		},
		"the revert alone, of an added column": {
			dropped, slices.Concat(older(6), onlineSwap(9)), table.OnlineDDL{Statement: adds, Swaps: 2}, []string{"6:x"}, "",
		},
		"the revert of a revert alone": {
			now, slices.Concat(insert(6, "users"), onlineSwap(7), onlineSwap(9)),
			table.OnlineDDL{Statement: drops, Swaps: 3},
			nil,
			"several online schema changes followed each other",
		},
		"it cannot be queried": {
			now[:1], slices.Concat(idOnly(6), onlineSwap(9)), table.OnlineDDL{}, nil, "came back when one was reverted",
		},
		"no revert": {
			now[:1], slices.Concat(idOnly(6), onlineSwap(9)),
			table.OnlineDDL{Statement: "alter table users add name varchar(50) character set utf8mb4 default 'new'", Swaps: 1},
			[]string{"6:new"},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 9, func(q *request, send func(...*event), done <-chan struct{}) error {
				if slices.Contains(tablesIn(q), "users") {
					send(c.events...)
				}
				send(script.VGTID(9, nil), fakevtgate.Other())
				return hold(done)
			})
			r.asks = func(s *Server) {
				s.Statements.Migration = func(context.Context, string, string) (table.OnlineDDL, error) { return c.made, nil }
				s.Statements.Definition = definesUsers
			}
			r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
			if r.savedUnder(c.was, "users", 5); c.why != "" {
				r.failsAlone(c.why)
			} else if got := rows(r.must()); !slices.Equal(got, c.want) {
				t.Errorf("records %v", got)
			}
		})
	}
}

// The rows contain a value that ALTER TABLE would not have converted in strict mode: it is unknown what it became.
func TestAValueThatAlterTableWouldNotTake(t *testing.T) {
	for _, resync := range []bool{false, true} {
		t.Run(fmt.Sprintf("resync %v", resync), func(t *testing.T) {
			r := newRig(t, 8, func(q *request, send func(...*event), done <-chan struct{}) error {
				switch {
				case slices.Contains(tablesIn(q), "others"):
					send(insert(6, "others")...)
					send(script.VGTID(8, nil), fakevtgate.Other())
				case q.Vgtid.ShardGtids[0].Gtid == "":
					copyOf(send, "users", 8)
				default:
					send(insert(6, "users")...)
					send(begin(7, 7), fields(7, "users"), rowOf(7, "users", nil, []string{"7", strings.Repeat("x", 51)}), script.VGTID(7, nil), commit(7))
					send(changed(8, "alter table users modify column name varchar(50) character set utf8mb4")...)
				}
				return hold(done)
			})
			if resync {
				r.configure(`,"invalid_cdc_cursor_position_behavior":"Re-sync data"`)
			}
			r.asks = func(s *Server) { s.Statements.Definition = definesUsers }
			r.savedUnder([]table.Column{dropped[0], {Name: "name", Type: "varchar(60)", Charset: "utf8mb4"}}, "users", 5)
			r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
			want := []string{"others 6:x"}
			var out *destination.Output
			if resync {
				out, want = r.must(), append(want, "users 1:a", "users 2:b")
			} else {
				out = r.failsAlone(`cannot be read: column "name"`)
			}
			if got := rowsByTable(out); !slices.Equal(got, want) {
				t.Errorf("records %v", got)
			}
		})
	}
}

// Vitess cannot determine the labels of an ENUM or SET in rows that have other columns than the table has now.
func TestOlderRowsWithLabelsAreRefused(t *testing.T) {
	const plan = "failed to build table replication plan for table users: failed to build ENUM and SET column integer to string mappings: "
	for name, why := range map[string]string{
		"other columns": plan + "enum or set column @3 does not have valid string values: ",
		"text now":      plan + "syntax error at position 3 near '20'",
		"fewer labels": "failed to perform ENUM column integer to string value mapping: no string value found for ENUM column name in table users " +
			"-- with available values being: map[1:a] -- using the found integer value: 5",
		"fewer members": "failed to perform SET column integer to string value mapping: no valid integer value found for SET column name in table users, bytes: 10",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 7, func(q *request, send func(...*event), done <-chan struct{}) error {
				if slices.Contains(tablesIn(q), "users") {
					return status.Error(codes.Unknown, "target: shop.-.primary: vttablet: rpc error: code = Unknown desc = stream (at source tablet) error @ (including the GTID we failed to process) x: "+why)
				}
				send(insert(6, "others")...)
				send(script.VGTID(7, nil), fakevtgate.Other())
				return hold(done)
			})
			r.savedUnder(dropped, "users", 5)
			r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
			r.failsAlone("it has an ENUM or SET")
		})
	}
}

// Columns were changed and changed back, and changed again while rows from before that are read: the statement shows the first change, and
// a lookup of the table shows that rows had wrong keys.
func TestAStatementAfterRowsOfWrongKeys(t *testing.T) {
	r := newRig(t, 7, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(insert(6, "users", "others")...)
		send(changed(7, "alter table users add column gone int after id")...)
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
	r.alter("users", testTable("users").Columns[1], testTable("users").Columns[0])
	r.failsAlone("may have been written with wrong keys")
}

func TestNoStateCoversRowsReadUnderOtherColumns(t *testing.T) {
	t.Parallel()
	r := newRig(t, 8, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(insert(6, "users")...)
		send(insert(7, "others")...)
		return hold(done)
	})
	r.cfg.CheckpointIntervalSeconds = 0
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
	r.now["users"] = table.Table{Columns: []table.Column{{Name: "name", Type: "varchar(50)"}}}
	out, _ := within(t, r, 2*time.Second) // stopped before it ends
	var last *state.Shard
	for _, s := range out.States {
		if s.Stream.Name == "users" {
			last = shardOf(t, s)
		}
	}
	if last != nil && !last.Position.Equal(at(5)) {
		t.Errorf("a state past a row that was read with other columns: %s", last.Position)
	}
}
