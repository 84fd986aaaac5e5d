package e2e

import (
	"strings"
	"testing"
)

// TestTypes compares every type of MySQL, on a real server, with the JSON that it must become: copied, and from the
// binary log when a row is inserted, updated and deleted. typesTables has the expectation.
func TestTypes(t *testing.T) {
	c := shared(t)
	differences := readDifferences(t)
	t.Run("unsharded", func(t *testing.T) {
		t.Parallel()
		tables := append(typesTables(), charsetTables(t)...)
		checkDifferences(t, differences, tables)
		r := newTypesRig(t, c.ConfigUnsharded, tables)
		r.checkCharsets()
		r.run()
	})
	t.Run("sharded", func(t *testing.T) {
		t.Parallel()
		var tables []typesTable
		for _, table := range typesTables() {
			if table.sharded {
				tables = append(tables, table)
			}
		}
		newTypesRig(t, c.ConfigSharded, tables).run()
	})
}

// The largest text that Airbyte accepts is emitted completely, a longer one as null with a change and a warning.
func TestTypesTextOfTwentyMillionCharacters(t *testing.T) {
	const limit = 20_000_000
	fits := strings.Repeat("x", limit-len(`""`))
	r := newTypesRig(t, shared(t).ConfigUnsharded, []typesTable{{name: "typ_long_text", columns: []typesColumn{
		of("LONGTEXT", is{{`repeat('x', 19999998)`, quoteJSON(fits)}, {`repeat('x', 19999999)`, oversized}}),
	}}})
	table := &r.types[0]
	r.create()
	r.fill(0)
	r.configure()
	r.readToEnd()
	r.checkCopy(table)
	r.checkWarnings("copy", 1)
	r.fill(secondBatch)
	r.readToEnd()
	records := r.images(table)
	for n := range table.rows() {
		r.checkRow(table, n, "insert", records[image{id: secondBatch + int64(n)}])
	}
	r.checkWarnings("replication", 1)
}

// With the option, TINYINT(1) is an integer.
func TestTypesTinyIntAsInteger(t *testing.T) {
	r := newTypesRig(t, shared(t).ConfigUnsharded, []typesTable{{name: "typ_tiny", columns: []typesColumn{
		of("TINYINT(1)", is{{"0", `0`}, {"1", `1`}, {"-128", `-128`}, {"127", `127`}}),
		of("TINYINT(1) UNSIGNED ZEROFILL", is{{"0", `0`}, {"255", `255`}}),
		of("BIT(1)", is{{"1", `true`}}),
	}}})
	r.pipeline = r.with(map[string]any{"options": map[string]bool{"do_not_treat_tiny_int_as_boolean": true}})
	r.run()
}
