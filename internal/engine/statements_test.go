package engine

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// A change that was logged as a statement fails the table that it writes to, and nothing else.
func TestChangeLoggedAsAStatementFailsItsTableAlone(t *testing.T) {
	for statement, c := range map[string]struct {
		kind  binlogdatapb.VEventType
		fails bool
	}{
		"insert into users values (1)":                               {binlogdatapb.VEventType_INSERT, true},
		"insert into `shop`.`users` (id) select id from others":      {binlogdatapb.VEventType_INSERT, true},
		"replace into users set id = 1":                              {binlogdatapb.VEventType_REPLACE, true},
		"update users set name = 'others'":                           {binlogdatapb.VEventType_UPDATE, true},
		"update third join users on third.id = users.id set name=''": {binlogdatapb.VEventType_UPDATE, true},
		"delete from users":                                          {binlogdatapb.VEventType_DELETE, true},
		"delete users from users join third using (id)":              {binlogdatapb.VEventType_DELETE, true},
		"insert odd ! into users":                                    {binlogdatapb.VEventType_INSERT, true},
		"insert into third values ('users')":                         {binlogdatapb.VEventType_INSERT, false},
		"update users_old set users = 1":                             {binlogdatapb.VEventType_UPDATE, false},
		"delete from elsewhere":                                      {binlogdatapb.VEventType_DELETE, false},
	} {
		t.Run(statement, func(t *testing.T) {
			r := newRig(t, 7, func(_ *request, send func(...*event), done <-chan struct{}) error {
				send(begin(7, 6), &event{Type: c.kind, Timestamp: 7, Dml: statement}, script.VGTID(6, nil), commit(7))
				send(insert(7, "users", "others")...)
				return hold(done)
			})
			users := r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
			r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
			if !c.fails {
				if got := rows(r.must()); !slices.Equal(got, []string{"7:x", "7:x"}) {
					t.Errorf("records %v", got)
				}
				return
			}
			out := r.failsAlone("was logged as a statement (binlog_format is STATEMENT or MIXED)")
			if got := rows(out); !slices.Equal(got, []string{"7:x"}) {
				t.Errorf("records %v", got)
			}
			if !users.Saved()[in("-")].Position.Equal(at(5)) {
				t.Errorf("the position of users moved to %s", users.Saved()[in("-")].Position)
			}
		})
	}
}

// A table that already has the transaction does not fail because of it.
func TestStatementThatIsPastIsNoNews(t *testing.T) {
	r := newRig(t, 7, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(begin(7, 6), &event{Type: binlogdatapb.VEventType_INSERT, Timestamp: 7, Dml: "insert into users values (1)"}, script.VGTID(6, nil), commit(7))
		send(insert(7, "users", "others")...)
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(6)})
	r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
	if got := rows(r.must()); !slices.Equal(got, []string{"7:x", "7:x"}) {
		t.Errorf("records %v", got)
	}
}

// Statements that the parser does not understand, or not completely, and that remove a table's rows.
func TestStatementThatIsNotUnderstoodFailsItsTable(t *testing.T) {
	for _, statement := range []string{
		"rename tables users to users_old, users_new to users",
		"alter table users autoextend_size=4M, rename to users_old",
		"alter table others autoextend_size=4M, rename to users",
		"/*!50100 truncate table users */",
		"drop tables users, elsewhere wait 5",
		"alter table parts exchange partition p with table users without validation odd",
	} {
		t.Run(statement, func(t *testing.T) {
			r := newRig(t, 7, func(_ *request, send func(...*event), done <-chan struct{}) error {
				send(script.VGTID(6, nil), ddl(statement))
				send(insert(7, "users", "bystander")...)
				return hold(done)
			})
			r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
			r.add(testTable("bystander"), airbyte.Incremental, &state.Shard{Position: at(5)})
			out, err := r.run()
			if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 1 || !strings.Contains(out.Errors[0].Message, "was dropped, renamed or truncated") {
				t.Fatalf("error %v, traces %+v", err, out.Errors)
			}
			if got := rowsByTable(out); !slices.Equal(got, []string{"bystander 7:x"}) {
				t.Errorf("records %v", got)
			}
		})
	}
}

// A table that was replaced is warned about if no statement explains it, and not if its statement was received.
func TestWitnessOfAReplacedTable(t *testing.T) {
	was, now := table.Incarnation{Server: "a", IDs: []uint64{7}}, table.Incarnation{Server: "a", IDs: []uint64{8}}
	const other = "OTHER"
	for name, c := range map[string]struct {
		statement string
		now       table.Incarnation
		stop      int // 5 if nothing was changed
		warned    bool
	}{
		"truncated by a session elsewhere":              {"", now, 6, true},
		"nothing else was changed":                      {"", now, 5, true},
		"exchanged":                                     {"alter table other engine=innodb", now, 6, true},
		"optimized, of which VStream says no statement": {other, now, 6, true},
		"rebuilt":                                {"alter table users engine=innodb", now, 6, false},
		"an index added, which is done in place": {"alter table users add index i (name)", now, 6, true},
		"a column added, as to an empty table":   {"alter table users add column name varchar(50) character set utf8mb4", now, 6, false},
		"a partition dropped by an alter":        {"alter table users drop partition p", now, 6, false},
		"the same":                               {"", was, 6, false},
		"another server":                         {"", table.Incarnation{Server: "b", IDs: []uint64{8}}, 6, false},
		"not known":                              {"", table.Incarnation{}, 6, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.stop, func(_ *request, send func(...*event), done <-chan struct{}) error {
				switch c.statement {
				case "":
					send(insert(6, "users")...)
				case other:
					send(script.VGTID(6, nil), fakevtgate.Other())
				default:
					send(script.VGTID(6, nil), ddl(c.statement))
				}
				return hold(done)
			})
			columns := testTable("users").Columns
			if strings.Contains(c.statement, "add column") {
				columns = columns[:1]
			}
			users := r.addUnder(columns, "users", map[string]*state.Shard{"-": {Position: at(5), Incarnation: was}})
			users.In(in("-")).Witness(c.now)
			out := r.must()
			if warned := warns(out, "was replaced since the last sync"); warned != c.warned {
				t.Errorf("warned: %v, expected %v; logs %+v", warned, c.warned, out.Logs)
			}
			if last := lastOf(t, out.States, "users"); len(c.now.IDs) > 0 && last.Incarnation.String() != c.now.String() {
				t.Errorf("the state has %v: the next sync would warn again", last.Incarnation)
			}
		})
	}
}

// ALTER TABLE changes rows without an event for each; a stream gets one warning, however many statements there are, and none if no row
// changes.
func TestAlterIsWarnedOf(t *testing.T) {
	const words = "the table was altered in shard -"
	for name, c := range map[string]struct {
		statements []string
		want       int
	}{
		"another default": {[]string{"alter table users modify name varchar(50) default 'x'"}, 1},
		"not null":        {[]string{"alter table users modify name varchar(50) not null"}, 1},
		"twice":           {[]string{"alter table users modify name varchar(50) not null", "alter table users modify name varchar(50)"}, 1},
		"an index":        {[]string{"alter table users add index (name)"}, 0},
		"another table's": {[]string{"alter table others modify name varchar(50) not null"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
				for _, statement := range c.statements {
					send(ddl(statement))
				}
				send(insert(6, "users")...)
				return hold(done)
			})
			users := testTable("users")
			users.Columns[1].Nullable = name != "not null"
			r.add(users, airbyte.Incremental, &state.Shard{Position: at(5)})
			out := r.must()
			n := len(slices.DeleteFunc(out.Logs, func(l destination.Log) bool { return l.Level != "WARN" || !strings.Contains(l.Message, words) }))
			if n != c.want {
				t.Errorf("warned %d times: %+v", n, out.Logs)
			}
		})
	}
}

// Rows whose description differs from the table's columns, without a statement that explains it, are refused.
func TestFieldsInAnotherOrderAreRefused(t *testing.T) {
	for name, order := range map[string][]int{"swapped": {1, 0}, "one is missing in front": {1}, "one more": {0, 1, 0}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
				ev := fakevtgate.Fields(7, "users")
				var row []string
				for _, i := range order {
					ev.FieldEvent.Fields, row = append(ev.FieldEvent.Fields, idAndName[i]), append(row, []string{"6", "x"}[i])
				}
				send(begin(7, 6), ev, rowOf(7, "users", nil, row), fields(7, "others"), rowOf(7, "others", nil, []string{"6", "x"}), script.VGTID(6, nil), commit(7))
				return hold(done)
			})
			r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
			r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
			out := r.failsAlone("cannot be read: rows of table")
			if got := rowsByTable(out); !slices.Equal(got, []string{"others 6:x"}) {
				t.Errorf("records %v", got)
			}
		})
	}
}

func warns(out *destination.Output, words string) bool {
	return slices.ContainsFunc(out.Logs, func(l destination.Log) bool { return l.Level == "WARN" && strings.Contains(l.Message, words) })
}

var eight = []string{"t1", "t2", "t3", "t4", "t5", "t6", "t7", "users"}

// addEight configures eight tables at position 5.
func (r *rig) addEight() map[string]*partition.Stream {
	r.t.Helper()
	streams := map[string]*partition.Stream{}
	for _, name := range eight {
		streams[name] = r.add(testTable(name), airbyte.Incremental, &state.Shard{Position: at(5)})
	}
	return streams
}

// Errors of one table among eight, in the server's own words: with the table's name, without it, and with a misleading name. That table
// fails, and the others are complete.
func TestErrorOfOneTableAmongEight(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text    string
		kind    string
		streams int // maximum number of streams opened
	}{
		"ENUM of former columns": {"vttablet: rpc error: code = Unknown desc = stream (at source tablet) error @ x: enum or set column @2 does not have valid string values: " +
			"failed to build table replication plan for table users", "config_error", 3},
		"VARCHAR became ENUM":  {"no valid integer value found for column name in table users, bytes: [97]", "config_error", 3},
		"a name and more":      {"failed to build table replication plan for table users in keyspace shop", "config_error", 3},
		"ENUM without a table": {"enum or set column @2 does not have valid string values", "config_error", 16},
		"not known at all":     {"something that this package never heard of", "transient_error", 32},
		"another's name":       {"no valid integer value found for column name in table userspace", "config_error", 16},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 6, func(q *request, send func(...*event), done <-chan struct{}) error {
				if slices.Contains(tablesIn(q), "users") {
					return status.Error(codes.Unknown, c.text)
				}
				send(insert(6, tablesIn(q)...)...)
				return hold(done)
			})
			r.cfg.MaxRetries, r.patience = 1, 1
			r.addEight()
			out, err := r.run()
			if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 1 {
				t.Fatalf("error %v, traces %+v", err, out.Errors)
			}
			if e := out.Errors[0]; e.Stream.Name != "users" || e.FailureType != c.kind {
				t.Errorf("trace %+v", e)
			}
			for _, name := range eight {
				if (out.Statuses[streamNamed(name)] == "COMPLETE") == (name == "users") {
					t.Errorf("%s is %s", name, out.Statuses[streamNamed(name)])
				}
			}
			if got := rows(out); len(got) != 7 {
				t.Errorf("records %v", got)
			}
			if n := len(r.requests()); n > c.streams {
				t.Errorf("%d streams were opened", n)
			}
		})
	}
}

// If the server is unavailable, no table is to blame: all fail, and the tables are not split in halves to find one.
func TestErrorOfTheWayIsNotSearchedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t, 6, func(*request, func(...*event), <-chan struct{}) error { return status.Error(codes.Unavailable, "gone") })
	r.cfg.MaxRetries, r.patience = 1, 1
	r.addEight()
	out, err := r.run()
	if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 8 {
		t.Errorf("error %v, %d traces", err, len(out.Errors))
	}
	for _, q := range r.requests() {
		if len(tablesIn(q)) != 8 {
			t.Errorf("only %v were requested", tablesIn(q))
		}
	}
}
