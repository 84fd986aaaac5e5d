package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// columnsCase is a line of testdata/columns.txt.
type columnsCase struct {
	table, columns string
	rows           []string
	changes        []string
	right          bool
	reason         string // a word of the reason, if it is refused
}

// columnsCases reads testdata/columns.txt.
func columnsCases(t *testing.T, prefix string) []columnsCase {
	t.Helper()
	data, err := os.ReadFile("testdata/columns.txt")
	if err != nil {
		t.Fatal(err)
	}
	var cases []columnsCase
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		parts := strings.Split(line, "|")
		if len(parts) != 4 {
			t.Fatalf("%d parts: %s", len(parts), line)
		}
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		outcome, reason, _ := strings.Cut(parts[3], " ")
		cases = append(cases, columnsCase{
			table: fmt.Sprintf("%s_%d", prefix, len(cases)), columns: parts[0], rows: strings.Split(parts[1], ") ("),
			changes: strings.Split(parts[2], "; "), right: outcome == "right", reason: reason,
		})
	}
	return cases
}

// labelled reports whether the table has, or gets, an ENUM or SET.
func (c *columnsCase) labelled() bool {
	text := c.columns + strings.Join(c.changes, " ")
	return strings.Contains(text, "enum(") || strings.Contains(text, "set(")
}

func (c *columnsCase) String() string {
	return fmt.Sprintf("(%s) %s", c.columns, strings.Join(c.changes, "; "))
}

// make creates the table with its rows, whose ids start at 1.
func (c *columnsCase) make(p *pipeline) {
	p.t.Helper()
	definition := "(id int, touched int, " + c.columns
	if !strings.Contains(c.columns, "primary key") {
		definition += ", primary key (id)"
	}
	p.make(c.table, definition+")", "id")
	for i := range c.rows {
		c.insert(p, i+1, i)
	}
	c.insert(p, 50, 0)
}

func (c *columnsCase) insert(p *pipeline, id, row int) {
	p.t.Helper()
	values := strings.Trim(c.rows[row], "()")
	await(p.t, time.Minute, func() error { // until vtgate knows the table's vindex
		_, err := p.db.Exec(fmt.Sprintf("insert into %s values (%d, 0, %s)", c.table, id, values))
		return err
	})
}

// change makes the changes between the two syncs.
func (c *columnsCase) change(p *pipeline) {
	p.t.Helper()
	p.exec("update "+c.table+" set touched = 1", "delete from "+c.table+" where id = 50")
	c.insert(p, 51, 0)
	var last string // the last online DDL
	for _, change := range c.changes {
		verb, rest, _ := strings.Cut(change, " ")
		switch verb {
		case "update", "insert", "delete":
			change = strings.Replace(change, " t ", " "+c.table+" ", 1)
			await(p.t, time.Minute, func() error { // until vtgate knows the columns
				_, err := p.db.Exec(change)
				return err
			})
		case "online":
			last = p.online("alter table " + c.table + " " + rest)
		case "revert":
			last = p.online("revert vitess_migration '" + last + "'")
		case "gh-ost":
			p.copied(c.table, "_"+c.table+"_gho", rest)
		case "pt-osc":
			p.copied(c.table, "_"+c.table+"_new", rest)
		default:
			p.exec("alter table " + c.table + " " + change)
		}
	}
	p.exec("update " + c.table + " set touched = 2 where id = 1")
}

// online changes a table by Vitess' online DDL, or reverts one, waits until that has finished, and returns its UUID.
func (p *pipeline) online(statement string) (uuid string) {
	p.t.Helper()
	conn, err := p.db.Conn(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	if _, err = conn.ExecContext(p.t.Context(), "set @@ddl_strategy = 'vitess'"); err == nil {
		err = conn.QueryRowContext(p.t.Context(), statement).Scan(&uuid)
	}
	if err == nil {
		_, err = conn.ExecContext(p.t.Context(), "set @@ddl_strategy = 'direct'")
	}
	if err != nil {
		p.t.Fatalf("%v: %s", err, statement)
	}
	plain := p.vtgate(p.t, p.keyspace, nil) // an OLAP session does not support this query
	await(p.t, 3*time.Minute, func() error {
		for _, status := range p.migration(plain, uuid) {
			if status == "failed" { // on a busy machine
				execOn(p.t, plain, "alter vitess_migration '"+uuid+"' retry")
			}
			if status != "complete" {
				return fmt.Errorf("the online DDL is %s: %s", status, statement)
			}
		}
		return nil
	})
	return uuid
}

// copied changes a table as gh-ost and pt-online-schema-change do: by a copy that replaces it.
func (p *pipeline) copied(table, name, change string) {
	p.t.Helper()
	shards := []string{"-"}
	if p.keyspace == "customer" {
		shards = []string{"-80", "80-"}
	}
	for _, shard := range shards {
		if err := copyOver(p.t.Context(), p.mysqldOf(p.t, p.keyspace, shard), table, name, change); err != nil {
			p.t.Fatal(err)
		}
	}
}

// copyOver gives a shard's table other columns by a copy of that name, which takes its place. If that fails, the table stays what it was.
func copyOver(ctx context.Context, db *sql.DB, table, name, change string) error {
	run := func(statements ...string) error {
		for _, statement := range statements {
			if _, err := db.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("%w: %.300s", err, statement)
			}
		}
		return nil
	}
	if err := run("drop table if exists "+name, "create table "+name+" like "+table, "alter table "+name+" "+change); err != nil {
		return err
	}
	var both string
	err := db.QueryRowContext(ctx, "select group_concat(concat('`', a.column_name, '`')) from information_schema.columns a "+
		"join information_schema.columns b using (table_schema, column_name) where a.table_schema = database() and a.table_name = ? and "+
		"b.table_name = ? and a.generation_expression = '' and b.generation_expression = ''", table, name).Scan(&both)
	if err != nil {
		return err
	}
	return run(fmt.Sprintf("insert into %s (%s) select %s from %s", name, both, both, table),
		fmt.Sprintf("rename table %[1]s to _%[1]s_del, %[2]s to %[1]s", table, name), "drop table _"+table+"_del")
}

// migration returns the status of an online DDL in each shard.
func (p *pipeline) migration(db *sql.DB, uuid string) (statuses []string) {
	p.t.Helper()
	rows, err := db.Query("show vitess_migrations like '" + uuid + "'")
	if err != nil {
		p.t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		p.t.Fatal(err)
	}
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(sql.RawBytes)
		}
		if err := rows.Scan(values...); err != nil {
			p.t.Fatal(err)
		}
		statuses = append(statuses, string(*values[slices.Index(columns, "migration_status")].(*sql.RawBytes)))
	}
	return statuses
}

// TestColumnsChange makes each change of testdata/columns.txt between two syncs: every changed row in the destination equals that in
// the source, or the stream fails with the reason.
func TestColumnsChange(t *testing.T) {
	c := shared(t)
	t.Run("unsharded", func(t *testing.T) { changeColumns(t, newPipeline(t, c, c.ConfigUnsharded), columnsCases(t, "evu")) })
	t.Run("sharded", func(t *testing.T) {
		long(t)
		var cases []columnsCase
		for _, one := range columnsCases(t, "evs") {
			if !strings.Contains(one.changes[0], "auto_increment") {
				cases = append(cases, one)
			}
		}
		changeColumns(t, newPipeline(t, c, c.ConfigSharded), cases)
	})
}

func changeColumns(t *testing.T, p *pipeline, cases []columnsCase) {
	t.Helper()
	var names []string
	for i := range cases {
		cases[i].make(p)
		names = append(names, cases[i].table)
	}
	p.discover(names...)
	began := time.Now()
	p.readToEnd()
	first := time.Since(began)
	t.Run("changes", func(t *testing.T) {
		for i := range cases {
			t.Run(cases[i].table, func(t *testing.T) {
				t.Parallel() // an online DDL takes seconds
				q := *p
				q.t = t
				cases[i].change(&q)
			})
		}
	})
	if t.Failed() {
		return
	}
	p.discover(names...)
	began = time.Now()
	s := p.start()
	_ = s.finish() // each stream's status is checked below
	t.Logf("%d tables: the first sync took %.1f s, the next one %.1f s", len(cases), first.Seconds(), time.Since(began).Seconds())
	right, plain := 0, 0
	for i := range cases {
		one := &cases[i]
		outcome := one.judge(t, p)
		t.Logf("%-8s %s %s", outcome, one, p.why(one.table))
		if !one.labelled() {
			plain++
			if outcome == "right" {
				right++
			}
		}
	}
	t.Logf("%d of %d changes of tables without an ENUM or SET need no manual step (%d %%)", right, plain, 100*right/plain)
	if 100*right < 90*plain {
		t.Error("too many changes need a manual step")
	}
}

// judge returns whether the rows of a table are right in the destination, or were refused.
func (c *columnsCase) judge(t *testing.T, p *pipeline) string {
	t.Helper()
	stream := p.stream(c.table)
	if p.last.Statuses[stream] != "COMPLETE" {
		why := p.why(c.table)
		if c.right || !strings.Contains(why, "cannot be read: ") || !strings.Contains(why, c.reason) {
			t.Errorf("%s: %q", c, why)
		}
		return "refused"
	}
	differences, err := p.warehouse.Compare(t.Context(), p.db, stream, "*")
	if err != nil {
		t.Fatal(err)
	}
	if len(differences) > 0 || !c.right {
		t.Errorf("%s: emitted with differences: %s", c, strings.Join(differences, "; "))
		return "wrong"
	}
	return "right"
}

// why returns the reason for which a stream failed.
func (p *pipeline) why(table string) string {
	for _, e := range p.last.Errors {
		if e.Stream != nil && *e.Stream == p.stream(table) {
			return e.Message
		}
	}
	return ""
}

// TestColumnsChangeUnderKills kills syncs while they read rows from between several changes of columns: the next one continues with the
// columns that the table had at the saved position.
func TestColumnsChangeUnderKills(t *testing.T) {
	c := shared(t)
	for name, config := range map[string]string{"unsharded": c.ConfigUnsharded, "sharded": c.ConfigSharded} {
		t.Run(name, func(t *testing.T) {
			p := newPipeline(t, c, config, "evk_"+name)
			p.insert(0, 400, noise(3000))
			p.readToEnd()
			touch := func(set string) {
				for id := range 20 { // 20 transactions with rows
					await(t, time.Minute, func() error { // until vtgate knows the columns
						_, err := p.db.Exec(fmt.Sprintf("update %s set %s where id %% 20 = %d", p.table, set, id))
						return err
					})
				}
			}
			touch("v = v + 1")
			p.exec("alter table " + p.table + " add column x int default 7 after id")
			touch("v = v + 1, x = x + 1")
			p.exec("alter table " + p.table + " modify column v varchar(30)")
			touch("x = x + 1, v = concat(v, '0')")
			p.exec("alter table " + p.table + " rename column x to y, modify column note varchar(3500) first")
			touch("y = y + 1")
			p.discover(p.table)
			p.clear()
			kills := 0
			for kills < 20 && p.killBetweenChanges() {
				kills++
			}
			if kills == 0 {
				t.Error("there was no state between two changes of columns")
			}
			p.readToEnd()
			p.mustEqualTheSource()
		})
	}
}

// killBetweenChanges kills a sync, read by a slow consumer, at its first state between two changes of columns; it returns false if there
// was none.
func (p *pipeline) killBetweenChanges() bool {
	p.t.Helper()
	s := p.start()
	defer s.kill()
	for {
		line := s.next()
		if len(line) == 0 {
			return false
		}
		if !isRecord(line) && bytes.Contains(line, []byte(`"own_columns"`)) {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestColumnsChangeAroundAReshard changes columns before a shard is split, and in the shards that replaced it, between two syncs: rows of
// the former shard are converted to columns that it never had.
func TestColumnsChangeAroundAReshard(t *testing.T) {
	long(t)
	p := newFaultPipeline(t, own(t, customer(1)), "evr")
	p.readToEnd()
	touch := func(set string) {
		await(t, time.Minute, func() error { // until vtgate knows the columns
			_, err := p.db.Exec("update evr set " + set)
			return err
		})
	}
	touch("v = v + 1")
	p.exec("alter table evr add column x int default 7 after id")
	touch("v = v + 1, x = x + 1")
	r, err := p.Reshard(t.Context(), "customer", whole, halves)
	if err == nil {
		err = r.Switch(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	p.exec("update evr set v = v + 1 where id % 3 = 0", "alter table evr modify column v varchar(30), rename column x to y")
	touch("y = y + 1")
	p.exec("alter table evr drop column note")
	p.exec("update evr set v = concat(v, '0') where id % 5 = 0")
	p.discover("evr")
	p.clear()
	p.readToEnd()
	p.mustEqualTheSource()
}
