package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"source-planetscale/internal/destination"
)

// outcome is the expected result of a table's stream.
type outcome int

const (
	right outcome = iota
	fails         // only this stream fails, and the message says what to do
	warns         // a warning says that the table was replaced; the stream is complete
)

const (
	columns     = "(id bigint, part int, v bigint, note varchar(4000), primary key (id, part))"
	partitioned = columns + " partition by range (id) (partition p0 values less than (100), partition p1 values less than maxvalue)"
)

// directs are changes of a table, T, by sessions of a shard's own mysqld; N and O are further tables.
var directs = []struct {
	name, definition string
	statements       []string
	outcome          outcome
}{
	{"untouched", columns, nil, right},
	{"rows", columns, []string{"update T set v = v + 1", "delete from T where id = 3"}, right},
	{"insert_logged", columns, []string{"set session binlog_format = STATEMENT", "insert into T (id, part, v) select max(id), 2, 9 from T"}, fails},
	{"update_logged", columns, []string{"set session binlog_format = STATEMENT", "update T set v = v + 1"}, fails},
	{"delete_logged", columns, []string{"set session binlog_format = MIXED", "delete from T where v > 0"}, fails},
	{"renamed", columns, []string{"create table N like T", "rename table T to O, N to T"}, fails},
	{"renamed_tables", columns, []string{"create table N like T", "rename tables `T` to O, N to T"}, fails},
	{"renamed_in_turn", columns, []string{
		"create table N like T", "alter table T autoextend_size=4M, rename to O", "alter table N rename to T",
	}, fails},
	{"dropped", columns, []string{"create table N like T", "drop table T", "create table T like N"}, fails},
	{"truncated", columns, []string{"truncate table T"}, fails},
	{"truncated_elsewhere", columns, []string{"use mysql", "truncate table vt_customer.T"}, warns},
	{"truncated_in_comment", columns, []string{"/*! truncate table T */"}, warns},
	{"truncated_behind_note", columns, []string{"/* a note */ truncate table T"}, fails},
	{"truncated_then_index", columns, []string{"/*! truncate table T */", "alter table T add index i (v)"}, warns},
	{"partition_exchanged", partitioned, []string{"create table N like T", "alter table N remove partitioning", "alter table T exchange partition p0 with table N"}, fails},
	{"exchanged_for_partition", columns, []string{"create table N " + partitioned, "alter table N exchange partition p0 with table T"}, warns},
	{"temporary", columns, []string{"create temporary table T (a int)", "drop temporary table T"}, right},
	{"indexed", columns, []string{"alter table T add index i (v)", "alter table T drop index i, comment = 'c'"}, right},
}

// TestDirectSessions changes tables in one of two shards by sessions of its own mysqld, which vtgate does not see. Each stream has its own
// result, whatever happens to the others in the same binary log.
func TestDirectSessions(t *testing.T) {
	c := shared(t)
	p := newPipeline(t, c, c.ConfigSharded)
	var tables []string
	for _, d := range directs {
		table := "dir_" + d.name
		p.make(table, d.definition, "id")
		p.exec("insert into " + table + " (id, part, v) values (1,1,1), (2,1,2), (3,1,3), (4,1,4), (5,1,5), (6,1,6), (7,1,7), (8,1,8)")
		tables = append(tables, table)
	}
	p.discover(tables...)
	p.readToEnd()
	p.mustEqualTheSource()
	for i, d := range directs {
		c.direct(t, tables[i], d.statements...)
	}
	if err := p.start().finish(); err == nil {
		t.Error("the sync succeeded")
	}
	failed := map[string]destination.Error{}
	for _, e := range p.last.Errors {
		failed[e.Stream.Name] = e
	}
	warned := p.logged("WARN")
	for i, d := range directs {
		table := tables[i]
		e, failed := failed[table]
		if failed != (d.outcome == fails) {
			t.Errorf("%s: the trace is %+v", table, e)
		}
		if failed && (e.FailureType != "config_error" || !strings.Contains(e.Message, "clear the stream")) {
			t.Errorf("%s: the trace is %s, %s", table, e.FailureType, e.Message)
		}
		if status := p.last.Statuses[p.stream(table)]; (status == "COMPLETE") != (d.outcome != fails) {
			t.Errorf("%s is %s", table, status)
		}
		if says := strings.Contains(warned, "Table customer."+table+" in shard -80, or one of its partitions, was replaced"); says != (d.outcome == warns) {
			t.Errorf("%s: the log is\n%s", table, warned)
		}
		if d.outcome == right {
			p.mustEqual(table, "*")
		}
	}
}

// direct runs statements in one session of the mysqld of the shard -80, and drops the tables other than T when the test has finished.
func (c cluster) direct(t *testing.T, table string, statements ...string) {
	t.Helper()
	db := c.mysqld(t, "-80")
	db.SetMaxOpenConns(1)
	names := map[string]string{"T": table, "N": table + "_n", "O": table + "_o"}
	t.Cleanup(func() { execOn(t, c.mysqld(t, "-80"), fmt.Sprintf("drop table if exists %[1]s_n, %[1]s_o", table)) })
	for _, statement := range statements {
		execOn(t, db, letter.ReplaceAllStringFunc(statement, func(l string) string { return names[l] }))
	}
}

var letter = regexp.MustCompile(`\b[TNO]\b`)

// TestEmptyTransactionIsTheLast commits empty transactions with GTIDs chosen by the session, as one does to skip a transaction on a
// replica. No transaction follows, and the sync must not wait for one.
func TestEmptyTransactionIsTheLast(t *testing.T) {
	c := shared(t)
	p := newPipeline(t, c, c.ConfigSharded, "dir_idle")
	p.exec("insert into dir_idle (id, part, v) values (1,1,1), (2,1,2), (3,1,3), (4,1,4)")
	p.readToEnd()
	for name, names := range map[string]func(uuid string, last int) []string{
		"the server's own name": func(uuid string, last int) []string { return []string{fmt.Sprintf("%s:%d", uuid, last+1)} },
		"two of them": func(uuid string, last int) []string {
			return []string{fmt.Sprintf("%s:%d", uuid, last+1), fmt.Sprintf("%s:%d", uuid, last+2)}
		},
		"another server's name":  func(string, int) []string { return []string{"77777777-22b6-11ed-b765-0a43f95f28a3:1"} },
		"a name beyond the next": func(uuid string, last int) []string { return []string{fmt.Sprintf("%s:%d", uuid, last+9)} },
	} {
		t.Run(name, func(t *testing.T) {
			p := *p
			p.t = t
			db := c.mysqld(t, "-80")
			db.SetMaxOpenConns(1)
			p.exec("update dir_idle set v = v + 1")
			uuid, executed, err := quiet(t.Context(), db)
			if err != nil {
				t.Fatal(err)
			}
			for _, gtid := range names(uuid, lastOf(executed, uuid)) {
				execOn(t, db, "set gtid_next = '"+gtid+"'", "begin", "commit", "set gtid_next = automatic")
			}
			p.readWithin(time.Minute)
			p.mustEqualTheSource()
		})
	}
}

// TestKilledInACopyWithoutAKey kills the copy of a table with many equal rows and without a key by which it could be resumed: the copy
// starts over, and the state contains no row.
func TestKilledInACopyWithoutAKey(t *testing.T) {
	c := shared(t)
	p := newPipeline(t, c, c.ConfigSharded)
	const rows, contents = 6000, 5
	p.make("dir_nokey", "(a int not null, note varchar(4000) not null)", "a")
	note := strings.Repeat("zqx ", 700)
	for from := 0; from < rows; from += 500 {
		var values []string
		for n := from; n < from+500; n++ {
			values = append(values, fmt.Sprintf("(%d, '%s')", n%contents, note))
		}
		p.exec("insert into dir_nokey (a, note) values " + strings.Join(values, ","))
	}
	p.discover("dir_nokey")
	if !p.readUntilKilled(rows*2/3) || p.state == nil {
		t.Fatal("the copy had finished before it was killed, or emitted no state")
	}
	if state := string(p.state); strings.Contains(state, `"last_pk"`) || strings.Contains(state, "zqx") {
		t.Errorf("the state contains the last key of the copy: %.2000s", state)
	}
	p.readToEnd()
	given := map[string]int{}
	for _, r := range p.last.Records {
		given[fmt.Sprint(r.Data["a"])]++
	}
	for a := range contents {
		if n := given[fmt.Sprint(a)]; n != rows/contents {
			t.Errorf("%d rows with the content %d were received, want %d", n, a, rows/contents)
		}
	}
}

// TestCopyThatMySQLCannotSort copies a table without a key whose documents are larger than the server's sort buffer. vtgate retries
// forever, and reports nothing.
func TestCopyThatMySQLCannotSort(t *testing.T) {
	long(t)
	c := shared(t)
	p := newPipeline(t, c, c.ConfigSharded, "dir_sort", "dir_sorted")
	p.exec("alter table dir_sort drop primary key, drop column note, add column doc json")
	p.discover("dir_sort", "dir_sorted")
	const document = "json_array(repeat('x', 300000))"
	await(t, time.Minute, func() error { // until vtgate knows the column
		_, err := p.db.Exec("insert into dir_sort (id, part, v, doc) values (1,1,1," + document + "), (2,1,2," + document + "), (3,1,3," + document + ")")
		return err
	})
	p.exec("insert into dir_sorted (id, part, v) values (1,1,1)")
	s := p.start()
	s.late.Reset(2 * time.Minute)
	if err := s.finish(); err == nil {
		t.Fatal("the sync succeeded: nothing is tested")
	}
	if e := p.last.Errors; len(e) != 1 || e[0].FailureType != "config_error" || e[0].Stream.Name != "dir_sort" ||
		!strings.Contains(e[0].Message, "MySQL cannot sort table customer.dir_sort") || !strings.Contains(e[0].Message, "sort_buffer_size") {
		t.Errorf("traces %+v", e)
	}
	if status := p.last.Statuses[p.stream("dir_sorted")]; status != "COMPLETE" {
		t.Errorf("the other stream is %s", status)
	}
	p.exec("alter table dir_sort add primary key (id)") // as the message says
	p.discover("dir_sort", "dir_sorted")
	p.reset()
	p.readToEnd()
	p.mustEqual("dir_sort", "id, part, v")
}

// TestTransactionOfOneReplica reads from two replicas, one of which has a transaction that no other server of the shard has. Whichever of
// them served the previous sync and serves this one, the connector does not wait for the transaction, and no stream fails because of it.
func TestTransactionOfOneReplica(t *testing.T) {
	long(t)
	topology := customer(3)
	topology[0].Shards = topology[0].Shards[:1]
	topology[0].Shards[0].Name = "-"
	c := own(t, topology)
	p := newPipeline(t, c, c.ConfigSharded, "dir_errant").in(t, map[string]any{"use_replica": true})
	p.make("dir_beside", columns, "id")
	p.exec("insert into dir_errant (id, part, v) values (1,1,1), (2,1,2), (3,1,3), (4,1,4)")
	c.awaitReplicas(t, "-")
	p.readToEnd()
	replicas, err := c.Replicas(t.Context(), "customer", "-")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Errant(t.Context(), replicas[1], "insert into dir_beside (id, part, v) values (1,1,1)"); err != nil {
		t.Fatal(err)
	}
	for round := range 12 {
		if round == 6 {
			p.reset() // so that copies are tested, too
		}
		p.exec(fmt.Sprintf("update dir_errant set v = v + 1 where id <> %d", round%4), fmt.Sprintf("insert into dir_errant (id, part, v) values (%d,2,1)", 10+round))
		c.awaitReplicas(t, "-")
		p.readWithin(time.Minute)
		p.mustEqualTheSource()
		if slices.ContainsFunc(p.last.Logs, func(l destination.Log) bool { return strings.Contains(l.Message, "reading the schema again") }) {
			t.Errorf("round %d: the tables were looked up more than once: %s", round, p.logged("INFO"))
		}
	}
}

// TestKeyspaceWithoutServingShards checks a keyspace without shards, and one whose shard has no primary.
func TestKeyspaceWithoutServingShards(t *testing.T) {
	long(t)
	c := own(t, customer(1))
	for _, command := range [][]string{
		{"CreateKeyspace", "bare"}, {"CreateKeyspace", "headless"}, {"CreateShard", "headless/-"},
	} {
		if _, err := c.vtctl(t, command...); err != nil {
			t.Fatal(err)
		}
	}
	p := newPipeline(t, c, c.ConfigSharded)
	for keyspace, says := range map[string]string{
		"bare":        "keyspace bare",
		"headless":    "keyspace headless",
		"headless/-":  "names a shard or a tablet type",
		"customer/-9": "names a shard or a tablet type",
	} {
		check := p.with(map[string]any{"database": keyspace}).check()
		if check.Status != "FAILED" || !strings.Contains(check.Message, says) || strings.Contains(check.Message, "cannot be reached") {
			t.Errorf("for %s check returns %+v", keyspace, check)
		}
	}
}
