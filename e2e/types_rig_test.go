package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/destination"
	"source-planetscale/internal/sandbox"
)

// secondBatch is added to the ids of the rows whose inserts are replicated.
const secondBatch = 1000

// typesRig creates tables in a keyspace, reads them by copy and then by replication, and compares.
type typesRig struct {
	*pipeline
	types    []typesTable
	cases    int
	vttablet int // vttablet's major version
}

func newTypesRig(t *testing.T, config string, tables []typesTable) *typesRig {
	t.Helper()
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
	r := &typesRig{pipeline: newPipeline(t, shared(t), config), types: tables, vttablet: majorVersion(t, sandbox.VTTabletVariable)}
	// Without strict mode, and with zero dates: how the server converts a literal is part of the expectation.
	r.db = r.vtgate(t, r.keyspace, map[string]string{"sql_mode": "'ALLOW_INVALID_DATES'"})
	return r
}

func (r *typesRig) run() {
	r.create()
	r.fill(0)
	r.configure()
	r.readToEnd()
	for i := range r.types {
		r.checkCopy(&r.types[i])
	}
	r.checkWarnings("copy", 1)
	r.change()
	r.fill(secondBatch)
	r.readToEnd()
	for i := range r.types {
		r.checkReplication(&r.types[i])
	}
	r.checkWarnings("replication", 3)
	r.checkRows()
	r.t.Logf("%d combinations of a type, a value and a way to read it", r.cases)
}

func (r *typesRig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *typesRig) create() {
	for _, table := range r.types {
		key := []string{"id"}
		for i := range table.keys {
			key = append(key[:i], identifier(table.columns[i].name))
		}
		definitions := []string{"id bigint not null", "n int not null default 0"}
		for _, c := range table.columns {
			definitions = append(definitions, identifier(c.name)+" "+c.definition)
		}
		r.make(table.name, "("+strings.Join(definitions, ", ")+", primary key ("+strings.Join(key, ", ")+"))", key[0])
	}
}

// fill inserts into each table a row for each case of the column with the most cases, and one with NULLs.
func (r *typesRig) fill(from int) {
	for _, table := range r.types {
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

// change updates and then deletes all rows, by their key if that is not the id.
func (r *typesRig) change() {
	for i := range r.types {
		table := &r.types[i]
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

// conditions returns conditions that each select one of a table's rows by its key.
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

// configure creates the catalog of the rig's tables, and checks the warnings of discover about them.
func (r *typesRig) configure() {
	names := make([]string, len(r.types))
	for i, table := range r.types {
		names[i] = table.name
	}
	r.discover(names...)
	for _, table := range r.types {
		for _, c := range table.columns {
			if got, want := warned(r.last, fmt.Sprintf("Table %s: column %q has ", table.name, c.name)), c.warns(); (got != "") != want {
				r.t.Errorf("%s: the warning of discover is %q", c.label(table), got)
			}
		}
	}
}

// warned returns the warning that starts with a text.
func warned(out *destination.Output, beginning string) string {
	for _, log := range out.Logs {
		if log.Level == "WARN" && strings.HasPrefix(log.Message, beginning) {
			return log.Message
		}
	}
	return ""
}

// checkRows compares what the destination has after all reads with the rows that still exist: the second batch.
func (r *typesRig) checkRows() {
	for _, table := range r.types {
		rows := r.rows(table.name)
		for key, row := range rows {
			if id, err := row["id"].(json.Number).Int64(); err != nil || id < secondBatch {
				r.t.Errorf("%s: the destination still has the deleted row %s", table.name, key)
			}
		}
		if len(rows) != table.rows() {
			r.t.Errorf("%s: the destination has %d rows, the source %d", table.name, len(rows), table.rows())
		}
	}
}

// checkWarnings checks for one warning for each column with nulled values, with their number, each having been read this many times.
func (r *typesRig) checkWarnings(phase string, times int) {
	for _, table := range r.types {
		for _, c := range table.columns {
			counts := map[string]int{}
			for n := range table.rows() {
				counts[r.wanted(c.value(n), phase)]++
			}
			column := fmt.Sprintf("Column %s of stream %s.%s: ", c.name, r.keyspace, table.name)
			for want, text := range map[string]string{
				nulled: "values cannot be represented in JSON", oversized: "values exceed Airbyte's limit",
			} {
				beginning := fmt.Sprintf("%s%d %s", column, counts[want]*times, text)
				if (warned(r.last, beginning) != "") != (counts[want] > 0) {
					r.t.Errorf("%s: no warning %q, but %q", c.label(table), beginning, warned(r.last, column))
				}
			}
		}
	}
}
