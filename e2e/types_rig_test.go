package e2e

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"source-planetscale/e2e/script"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/sandbox"
)

// secondBatch is added to the ids of the rows that replication sees inserted.
const secondBatch = 1000

// typesRig puts tables into a keyspace, reads them by copy and then by replication, and compares.
type typesRig struct {
	*testing.T
	keyspace string
	config   string // path
	tables   []typesTable
	dir      string
	db       *sql.DB
	catalog  string // the configured one
	cases    int
	vttablet int // its major version
}

func newTypesRig(t *testing.T, keyspace, config string, tables []typesTable) *typesRig {
	t.Helper()
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.DBName = "tcp", os.Getenv("SANDBOX_PLAIN_MYSQL"), "root", keyspace
	// Neither strict nor afraid of zero dates: what the server makes of a literal is part of the expectation.
	c.Params = map[string]string{"sql_mode": "'ALLOW_INVALID_DATES'"}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	tables = slices.Clone(tables)
	crashes := majorVersion(t, sandbox.VTGateVariable) < 22
	for i := range tables {
		if crashes {
			tables[i] = without21(tables[i])
		}
		tables[i].columns = slices.Clone(tables[i].columns) // rigs may share them
		for n := range tables[i].columns {
			if c := &tables[i].columns[n]; c.name == "" {
				c.name = fmt.Sprintf("c%d", n)
			}
		}
	}
	r := &typesRig{T: t, keyspace: keyspace, config: config, tables: tables, dir: t.TempDir(), db: sql.OpenDB(connector)}
	r.vttablet = majorVersion(t, sandbox.VTTabletVariable)
	t.Cleanup(func() { r.db.Close() })
	return r
}

func (r *typesRig) run() {
	r.create()
	r.insert(0)
	r.discover()
	copied := r.read("")
	for i := range r.tables {
		r.checkCopy(&r.tables[i], copied)
	}
	r.change()
	r.insert(secondBatch)
	replicated := r.readAfter(copied)
	for i := range r.tables {
		r.checkReplication(&r.tables[i], replicated)
	}
	r.checkWarnings(copied, "copy", 1)
	r.checkWarnings(replicated, "replication", 3)
	r.checkFolded(copied, replicated)
	r.Logf("%d cases of a type, a value and a way to read it", r.cases)
}

func (r *typesRig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *typesRig) exec(statement string) {
	r.Helper()
	if _, err := r.db.Exec(statement); err != nil {
		r.Fatalf("%v: %.2000s", err, statement)
	}
}

func (r *typesRig) create() {
	for _, table := range r.tables {
		drop := "drop table if exists " + identifier(table.name)
		r.exec(drop)
		r.Cleanup(func() {
			if _, err := r.db.Exec(drop); err != nil {
				r.Error(err)
			}
		})
		key := []string{"id"}
		for i := range table.keys {
			key = append(key[:i], identifier(table.columns[i].name))
		}
		definitions := []string{"id bigint not null", "n int not null default 0"}
		for _, c := range table.columns {
			definitions = append(definitions, identifier(c.name)+" "+c.definition)
		}
		r.exec("create table " + identifier(table.name) + " (" + strings.Join(definitions, ", ") + ", primary key (" + strings.Join(key, ", ") + "))")
		if r.keyspace == "customer" {
			_, err := r.db.Exec("alter vschema on " + identifier(table.name) + " add vindex xxhash(" + key[0] + ")")
			if err != nil && !strings.Contains(err.Error(), "already defined on table") { // a vindex outlives its table
				r.Fatal(err)
			}
		}
	}
}

// insert gives each table a row for each case of the column with the most, and one of NULLs.
func (r *typesRig) insert(from int) {
	for _, table := range r.tables {
		names := []string{"id"}
		for _, c := range table.columns {
			names = append(names, identifier(c.name))
		}
		rows := make([]string, table.rows())
		for n := range rows {
			values := []string{fmt.Sprint(from + n)}
			for _, c := range table.columns {
				values = append(values, c.value(n).literal)
			}
			rows[n] = "(" + strings.Join(values, ", ") + ")"
		}
		r.exec("insert into " + identifier(table.name) + " (" + strings.Join(names, ", ") + ") values " + strings.Join(rows, ", "))
	}
}

// change updates and then deletes all rows, by their key where that is not the id.
func (r *typesRig) change() {
	for i := range r.tables {
		table := &r.tables[i]
		conditions := []string{""}
		if table.keys > 0 {
			conditions = table.conditions()
		}
		for _, where := range conditions {
			r.exec("update " + identifier(table.name) + " set n = 1" + where)
			r.exec("delete from " + identifier(table.name) + where)
		}
	}
}

// conditions select a table's rows one by one by their key.
func (table *typesTable) conditions() []string {
	conditions := make([]string, table.rows())
	for n := range conditions {
		var terms []string
		for _, c := range table.columns[:table.keys] {
			terms = append(terms, identifier(c.name)+" = "+c.value(n).literal)
		}
		conditions[n] = " where " + strings.Join(terms, " and ")
	}
	return conditions
}

func identifier(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// discover makes the catalog of the rig's tables, and checks what is said of them.
func (r *typesRig) discover() {
	out, _ := r.connector("discover", "--config", r.config)
	names := make([]string, len(r.tables))
	for i, table := range r.tables {
		names[i] = table.name
	}
	catalog, err := destination.Configure(out.Catalog, "incremental", names...)
	r.must(err)
	r.catalog = r.write("catalog.json", catalog)
	for _, table := range r.tables {
		for _, c := range table.columns {
			if got, want := warned(out, fmt.Sprintf("Table %s: column %q has ", table.name, c.name)), c.warns(); (got != "") != want {
				r.Errorf("%s: at discover it is warned of with %q", c.label(table), got)
			}
		}
	}
}

// warned finds a warning by its beginning.
func warned(out *destination.Output, beginning string) string {
	for _, log := range out.Logs {
		if log.Level == "WARN" && strings.HasPrefix(log.Message, beginning) {
			return log.Message
		}
	}
	return ""
}

// read runs the connector and holds what it prints against the protocol and the streams' schemas.
func (r *typesRig) read(state string) *destination.Output {
	args := []string{"read", "--config", r.config, "--catalog", r.catalog}
	if state != "" {
		args = append(args, "--state", state)
	}
	out, text := r.connector(args...)
	catalog, err := os.ReadFile(r.catalog)
	r.must(err)
	if err := script.Validate(text, string(catalog)); err != nil {
		r.Error(err)
	}
	return out
}

// readAfter reads from where an earlier read ended.
func (r *typesRig) readAfter(earlier *destination.Output) *destination.Output {
	state, err := destination.StateFile(earlier.States)
	r.must(err)
	return r.read(r.write("state.json", state))
}

func (r *typesRig) connector(args ...string) (*destination.Output, string) {
	r.Helper()
	cmd := exec.Command("source-planetscale", args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	runErr := cmd.Run()
	text := stdout.String()
	out, err := destination.Parse(&stdout)
	r.must(err)
	if runErr != nil || stderr.Len() > 0 {
		r.Fatalf("%s: %v, %v, %s", args[0], runErr, out.Errors, stderr.Bytes())
	}
	return out, text
}

func (r *typesRig) write(name string, data []byte) string {
	path := filepath.Join(r.dir, name)
	r.must(os.WriteFile(path, data, 0o600))
	return path
}

// checkFolded holds what a destination keeps of both reads against the rows that are there: the second batch.
func (r *typesRig) checkFolded(outputs ...*destination.Output) {
	catalog, err := os.ReadFile(r.catalog)
	r.must(err)
	tables, err := destination.NewTables(catalog)
	r.must(err)
	for _, out := range outputs {
		r.must(tables.Fold(out.Records))
	}
	for _, table := range r.tables {
		rows := tables[destination.Stream{Name: table.name, Namespace: r.keyspace}].Rows
		for key, row := range rows {
			if id, err := row["id"].(json.Number).Int64(); err != nil || id < secondBatch {
				r.Errorf("%s: the destination still has the deleted row %s", table.name, key)
			}
		}
		if len(rows) != table.rows() {
			r.Errorf("%s: the destination has %d rows, the source %d", table.name, len(rows), table.rows())
		}
	}
}

// checkWarnings looks for one warning for each column with nulled values, with their number: each was read so many times.
func (r *typesRig) checkWarnings(out *destination.Output, phase string, times int) {
	for _, table := range r.tables {
		for _, c := range table.columns {
			counts := map[string]int{}
			for n := range table.rows() {
				counts[r.wanted(c.value(n), phase)]++
			}
			column := fmt.Sprintf("Column %s of stream %s.%s: ", c.name, r.keyspace, table.name)
			for want, text := range map[string]string{nulled: "values cannot be represented in JSON", oversized: "values are longer than Airbyte takes"} {
				beginning := fmt.Sprintf("%s%d %s", column, counts[want]*times, text)
				if (warned(out, beginning) != "") != (counts[want] > 0) {
					r.Errorf("%s: no warning %q, but %q", c.label(table), beginning, warned(out, column))
				}
			}
		}
	}
}
