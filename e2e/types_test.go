package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"source-planetscale/e2e/script"
)

// TestTypes holds every type of MySQL, on a real server, against the JSON that it is to come out as: copied, and as the
// binary log has it when a row is inserted, updated and deleted. typesTables is the expectation.
func TestTypes(t *testing.T) {
	script.RequireSandbox(t)
	differences := readDifferences(t)
	t.Run("unsharded", func(t *testing.T) {
		t.Parallel()
		tables := append(typesTables(), charsetTables(t)...)
		checkDifferences(t, differences, tables)
		r := newTypesRig(t, "commerce", os.Getenv("SANDBOX_CONFIG_UNSHARDED"), tables)
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
		newTypesRig(t, "customer", os.Getenv("SANDBOX_CONFIG_SHARDED"), tables).run()
	})
}

// The largest text that Airbyte takes arrives whole, a longer one as null with a change and a warning.
func TestTypesTextOfTwentyMillionCharacters(t *testing.T) {
	script.RequireSandbox(t)
	const limit = 20_000_000
	fits := strings.Repeat("x", limit-len(`""`))
	r := newTypesRig(t, "commerce", os.Getenv("SANDBOX_CONFIG_UNSHARDED"), []typesTable{{name: "typ_long_text", columns: []typesColumn{
		of("LONGTEXT", is{{`repeat('x', 19999998)`, quoteJSON(fits)}, {`repeat('x', 19999999)`, oversized}}),
	}}})
	table := &r.tables[0]
	r.create()
	r.insert(0)
	r.discover()
	copied := r.read("")
	r.checkCopy(table, copied)
	r.checkWarnings(copied, "copy", 1)
	r.insert(secondBatch)
	replicated := r.readAfter(copied)
	records := r.images(table, replicated)
	for n := range table.rows() {
		r.checkRow(table, n, "insert", records[image{id: secondBatch + int64(n)}])
	}
	r.checkWarnings(replicated, "replication", 1)
}

// With the option, TINYINT(1) is an integer.
func TestTypesTinyIntAsInteger(t *testing.T) {
	script.RequireSandbox(t)
	data, err := os.ReadFile(os.Getenv("SANDBOX_CONFIG_UNSHARDED"))
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	config["options"] = map[string]bool{"do_not_treat_tiny_int_as_boolean": true}
	if data, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "source.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	newTypesRig(t, "commerce", path, []typesTable{{name: "typ_tiny", columns: []typesColumn{
		of("TINYINT(1)", is{{"0", `0`}, {"1", `1`}, {"-128", `-128`}, {"127", `127`}}),
		of("TINYINT(1) UNSIGNED ZEROFILL", is{{"0", `0`}, {"255", `255`}}),
		of("BIT(1)", is{{"1", `true`}}),
	}}}).run()
}
