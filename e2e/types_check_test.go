package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/destination"
)

// value returns the column's value in the nth row: its nth case, otherwise NULL or the only value it can have.
func (c *typesColumn) value(n int) typesForced {
	switch {
	case n < len(c.is):
		return typesForced{literal: c.is[n][0], copied: c.is[n][1], replicated: c.is[n][1]}
	case n < c.cases():
		return c.but[n-len(c.is)]
	case c.hasNull():
		return typesForced{literal: c.filler(), copied: "null", replicated: "null"}
	}
	return c.value(0)
}

func (c *typesColumn) cases() int { return len(c.is) + len(c.but) }

func (c *typesColumn) hasNull() bool {
	return !strings.Contains(strings.ToUpper(c.definition), "NOT NULL")
}

// filler is what SQL inserts as NULL: a generated column only accepts DEFAULT.
func (c *typesColumn) filler() string {
	if strings.Contains(c.definition, "GENERATED") {
		return "DEFAULT"
	}
	return "NULL"
}

// warns reports whether discover must warn about the column.
func (c *typesColumn) warns() bool {
	return slices.ContainsFunc(c.but, func(f typesForced) bool { return f.difference == emojiLabel })
}

// label names a column in a failure message.
func (c *typesColumn) label(table typesTable) string {
	return fmt.Sprintf("%s.%s, %.80s", table.name, c.name, c.definition)
}

// rows returns how many rows a table has: one more than its longest list of cases, for NULL.
func (table *typesTable) rows() int {
	rows := 0
	for i := range table.columns {
		rows = max(rows, table.columns[i].cases())
	}
	if table.keys > 0 {
		return rows
	}
	return rows + 1
}

// image identifies one record of a table for the comparison.
type image struct {
	id      int64
	updated bool
	deleted bool
}

func (r *typesRig) checkCopy(table *typesTable) {
	records := r.images(table)
	for n := range table.rows() {
		r.checkRow(table, n, "copy", records[image{id: int64(n)}])
	}
	r.checkCount(table, "copy", records, table.rows())
}

func (r *typesRig) checkReplication(table *typesTable) {
	records := r.images(table)
	for n := range table.rows() {
		r.checkRow(table, n, "update", records[image{id: int64(n), updated: true}])
		r.checkRow(table, n, "delete", records[image{id: int64(n), updated: true, deleted: true}])
		r.checkRow(table, n, "insert", records[image{id: int64(n) + secondBatch}])
	}
	r.checkCount(table, "replication", records, 3*table.rows())
}

func (r *typesRig) checkCount(table *typesTable, phase string, records map[image]*destination.Record, want int) {
	if len(records) != want {
		r.t.Errorf("%s: %d records by %s, not %d", table.name, len(records), phase, want)
	}
}

func (r *typesRig) images(table *typesTable) map[image]*destination.Record {
	records := map[image]*destination.Record{}
	for i := range r.last.Records {
		record := &r.last.Records[i]
		if record.Stream != r.stream(table.name) {
			continue
		}
		id, err := record.Data["id"].(json.Number).Int64()
		r.must(err)
		key := image{id, record.Data["n"] == json.Number("1"), record.Data["_ab_cdc_deleted_at"] != nil}
		if records[key] != nil {
			r.t.Errorf("%s: a record was emitted twice: %+v", table.name, key)
		}
		records[key] = record
	}
	return records
}

// checkRow compares one record with the cases of its row.
func (r *typesRig) checkRow(table *typesTable, n int, phase string, record *destination.Record) {
	if record == nil {
		r.t.Errorf("%s: no record by %s for row %d", table.name, phase, n)
		return
	}
	changes := slices.Clone(record.Changes)
	for i := range table.columns {
		c := &table.columns[i]
		v := c.value(n)
		want := r.wanted(v, phase)
		if n < c.cases() || n == c.cases() && c.hasNull() {
			r.cases++
		}
		got := record.Data[c.name]
		if at := slices.IndexFunc(changes, func(change map[string]string) bool { return change["field"] == c.name }); at >= 0 {
			got = reasonOf(changes[at])
			changes = slices.Delete(changes, at, at+1)
		}
		r.compare(fmt.Sprintf("%s, %.80s, %s", c.label(*table), v.literal, phase), got, want)
	}
	if len(changes) > 0 {
		r.t.Errorf("%s, row %d, %s: unexpected changes %v", table.name, n, phase, changes)
	}
}

// nullReason is the expected value for a null with this reason in meta.changes.
type nullReason string

func reasonOf(change map[string]string) nullReason {
	if change["change"] != "NULLED" || len(change) != 3 {
		return nullReason(fmt.Sprint(change))
	}
	return nullReason("null, " + change["reason"])
}

func (r *typesRig) compare(what string, got any, want string) {
	var wanted any = nullReason(want)
	if want != nulled && want != oversized {
		d := json.NewDecoder(strings.NewReader(want))
		d.UseNumber()
		if err := d.Decode(&wanted); err != nil {
			r.t.Fatalf("%s: the expectation is not JSON: %v", what, err)
		}
	}
	if !reflect.DeepEqual(got, wanted) {
		r.t.Errorf("%s: %s", what, firstDifference(asJSON(got), want))
	}
}

// firstDifference prints two values, starting a little before the place where they differ.
func firstDifference(got, want string) string {
	const before, after = 30, 300
	same := 0
	for same < min(len(got), len(want)) && got[same] == want[same] {
		same++
	}
	from := max(0, same-before)
	return fmt.Sprintf("got %.*q, want %.*q, from character %d on", after, got[from:], after, want[from:], from)
}

// asJSON returns a decoded value as JSON.
func asJSON(v any) string {
	if reason, ok := v.(nullReason); ok {
		return string(reason)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}

func quoteJSON(s string) string { return asJSON(s) }

func base64JSON(b []byte) string { return asJSON(base64.StdEncoding.EncodeToString(b)) }

// wkb returns MySQL's format of a geometry, in base64.
func wkb(srid uint32, geometry []byte) string {
	return base64JSON(append(binary.LittleEndian.AppendUint32(nil, srid), geometry...))
}

// shape returns a geometry of a WKB type: the byte order (little-endian), the type, then its parts.
func shape(kind uint32, parts ...any) []byte {
	b := binary.LittleEndian.AppendUint32([]byte{1}, kind)
	for _, part := range parts {
		b, _ = binary.Append(b, binary.LittleEndian, part)
	}
	return b
}

func point(x, y float64) []byte { return shape(1, x, y) }

func line(coordinates ...float64) []byte { return shape(2, uint32(len(coordinates)/2), coordinates) }

func polygon(ring ...float64) []byte { return shape(3, uint32(1), uint32(len(ring)/2), ring) }

func collection(kind uint32, parts ...[]byte) []byte {
	return shape(kind, uint32(len(parts)), bytes.Join(parts, nil))
}

// readDifferences returns the names of the differences that TYPES.md lists.
func readDifferences(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile("../TYPES.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(data), "## Where copy and replication differ")
	if !ok {
		t.Fatal("TYPES.md does not list the differences between copy and replication")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^\| ([^|]+) \|`).FindAllStringSubmatch(section, -1)[1:] { // the first one is the header
		names = append(names, m[1])
	}
	return names
}

// checkDifferences compares the differences that the tables expect with those that TYPES.md lists.
func checkDifferences(t *testing.T, listed []string, tables []typesTable) {
	t.Helper()
	expected := map[string]bool{}
	for _, table := range tables {
		for _, c := range table.columns {
			for _, f := range c.but {
				expected[f.difference] = true
				if !slices.Contains(listed, f.difference) {
					t.Errorf("%s: TYPES.md does not list the difference %q", c.label(table), f.difference)
				}
			}
		}
	}
	for _, name := range listed {
		if !expected[name] {
			t.Errorf("TYPES.md lists a difference that no case shows: %q", name)
		}
	}
}
