package row

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"source-planetscale/internal/table"
	"source-planetscale/internal/wire"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"
)

// TestOlderRows reads testdata/older.txt.
func TestOlderRows(t *testing.T) {
	data, err := os.ReadFile("testdata/older.txt")
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for number, line := range strings.Split(string(data), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		cases++
		fields := strings.Split(line, " | ")
		if len(fields) != 5 {
			t.Fatalf("line %d has %d parts", number+1, len(fields))
		}
		o := newOlderTable(t, fields[0], fields[1], fields[2])
		if got := o.read(t, fields[3]); got != fields[4] {
			t.Errorf("line %d, %s:\n got %s\nwant %s", number+1, fields[1], got, fields[4])
		}
	}
	if cases < 30 {
		t.Errorf("only %d cases", cases)
	}
}

// olderTable is a table whose columns changed.
type olderTable struct {
	*table.Table
	shape *table.Shape
}

func newOlderTable(t testing.TB, was, statements, today string) olderTable {
	t.Helper()
	now := &table.Table{Name: "t", Columns: readColumns(today)}
	for _, c := range now.Columns {
		if strings.HasPrefix(c.Name, "id") && now.Key == nil {
			now.Key = []string{c.Name}
		}
	}
	const create = "create table t (no_generated int)"
	e := table.NewEvolution("t", readColumns(was))
	for s := range strings.SplitSeq(statements, " / ") {
		var err error
		if alter, swap := strings.CutPrefix(s, "swap: "); swap {
			_, err = e.Swap("_t_gho", alter, now.Columns, create)
		} else {
			_, err = e.Apply(s)
		}
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	if err := e.End(now.Columns, create); err != nil {
		t.Fatalf("%s: %v", statements, err)
	}
	return olderTable{now, e.Shape(0)}
}

// readColumns reads "a int; b varchar(10) latin1 not null".
func readColumns(text string) (columns []table.Column) {
	for c := range strings.SplitSeq(text, "; ") {
		rest, required := strings.CutSuffix(c, " not null")
		name, rest, _ := strings.Cut(rest, " ")
		column := table.Column{Name: name, Type: rest, Nullable: !required}
		if i := strings.LastIndexByte(rest, ' '); i > 0 && rest[i+1:] != "unsigned" && rest[i+1:] != "zerofill" {
			column.Type, column.Charset = rest[:i], rest[i+1:]
		}
		columns = append(columns, column)
	}
	return columns
}

func (o olderTable) names() (names []string) {
	for _, c := range o.Columns {
		names = append(names, c.Name)
	}
	return names
}

// plan returns the plan for rows that the server describes as count unnamed values of the binary log, or by today's columns.
func (o olderTable) plan(count int, named bool) (*Plan, error) {
	f := &binlogdatapb.FieldEvent{}
	for i := range count {
		c := o.shape.Old[i]
		field := &querypb.Field{Name: "@1"}
		if named {
			field.Name, field.ColumnType = o.Columns[i].Name, o.Columns[i].Type
		}
		for kind := range querypb.Type_name {
			if field.Type = querypb.Type(kind); c.Fits(field) {
				break
			}
		}
		f.Fields = append(f.Fields, field)
	}
	return CompileOlder(o.Table, o.shape, f, o.names(), Options{})
}

// read returns the record of a row, or the error.
func (o olderTable) read(t *testing.T, text string) string {
	t.Helper()
	text, named := strings.CutPrefix(text, "named: ")
	values := strings.Split(text, "; ")
	plan, err := o.plan(len(values), named)
	if err != nil {
		return "refused: " + err.Error()
	}
	got, changes, err := plan.Append([]byte("{"), olderRow(values...), nil, nil)
	var unconvertible *Unconvertible
	switch {
	case errors.As(err, &unconvertible):
		return "unknown: " + unconvertible.Error()
	case err != nil:
		return "misfit"
	}
	return strings.TrimPrefix(string(got), "{") + strings.Repeat(" (null)", len(changes))
}

// olderRow returns a row with these texts as values; "NULL" is NULL.
func olderRow(values ...string) (r wire.Row) {
	for _, v := range values {
		v = strings.NewReplacer(`\0`, "\x00", `\xe9`, "\xe9").Replace(v)
		n := int64(len(v))
		if v == "NULL" {
			v, n = "", -1
		}
		r.Lengths = protowire.AppendVarint(r.Lengths, protowire.EncodeZigZag(n))
		r.Values = append(r.Values, v...)
	}
	return r
}

// TestOlderRowsOfAnotherType checks that a row whose description contradicts the statements is not read.
func TestOlderRowsOfAnotherType(t *testing.T) {
	o := newOlderTable(t, "id int; a varchar(9) utf8mb4; b int", "alter table t drop b", "id int; a varchar(9) utf8mb4")
	for _, types := range [][]querypb.Type{
		{querypb.Type_INT32, querypb.Type_INT32, querypb.Type_INT32},
		{querypb.Type_INT64, querypb.Type_VARCHAR, querypb.Type_INT32},
		{querypb.Type_INT32, querypb.Type_TEXT, querypb.Type_INT32},
	} {
		f := &binlogdatapb.FieldEvent{}
		for _, kind := range types {
			f.Fields = append(f.Fields, &querypb.Field{Name: "@1", Type: kind})
		}
		if _, err := CompileOlder(o.Table, o.shape, f, o.names(), Options{}); err == nil || !strings.Contains(err.Error(), "whose type differs") {
			t.Errorf("%v: %v", types, err)
		}
	}
}

// TestKeyOfOlderRows checks that a change of the key is detected by the values of the columns that are the key now.
func TestKeyOfOlderRows(t *testing.T) {
	o := newOlderTable(t, "a int; k int; b int", "alter table t drop a, rename column k to id", "id int; b int")
	plan, err := o.plan(3, false)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[string]bool{"1;2;3": false, "9;2;9": false, "1;9;3": true, "1;NULL;3": true} {
		if got := plan.KeyChanged(olderRow("1", "2", "3"), olderRow(strings.Split(after, ";")...)); got != want {
			t.Errorf("%s: %v", after, got)
		}
	}
}

// TestRefusedColumnsThatNobodyWants checks that only selected columns can make a row fail.
func TestRefusedColumnsThatNobodyWants(t *testing.T) {
	o := newOlderTable(t, "id int; a timestamp", "alter table t modify a datetime", "id int; a datetime")
	if err := CheckOlder(o.Table, o.shape, []string{"id"}, Options{}); err != nil {
		t.Error(err)
	}
	if err := CheckOlder(o.Table, o.shape, []string{"id", "a"}, Options{}); err == nil {
		t.Error("a column whose values are not certain was accepted")
	}
	if err := CheckOlder(o.Table, o.shape, []string{"id", "b"}, Options{}); err == nil {
		t.Error("a column that the table does not have was accepted")
	}
}

// FuzzOlderValues checks that no value makes a conversion panic, and that its result is JSON.
func FuzzOlderValues(f *testing.F) {
	types := []string{
		"int", "bigint unsigned", "int(6) zerofill", "decimal(10,2)", "decimal(5,0) unsigned", "float", "double", "bit(3)", "year", "date",
		"datetime(3)", "datetime", "timestamp(2)", "timestamp", "time(1)", "time", "char(3) utf8mb4", "varchar(9) latin1", "varchar(9) ucs2",
		"varchar(9) gbk", "text utf8mb4", "tinytext utf8mb3", "binary(4)", "varbinary(9)", "blob", "json", "enum('a','b') utf8mb4",
		"enum('b','','a') utf8mb4", "set('a','b') utf8mb4", "set('b','c','a') utf8mb4", "geometry",
	}
	for i, value := range []string{"0", "-12.50", "1.5E+00", "2020-01-31 10:20:30.12", "-838:59:59", "é", "\xff\x00", "a,b", `{"a": 1}`, ""} {
		f.Add(uint(i), uint(i+3), []byte(value))
	}
	f.Fuzz(func(t *testing.T, from, to uint, value []byte) {
		was, now := readColumns("a "+types[from%uint(len(types))]), readColumns("a "+types[to%uint(len(types))])
		s := &table.Shape{Old: was, Origins: []table.Origin{{Steps: []table.Declaration{{Column: was[0]}, {Column: now[0]}}}}}
		plan, err := compileOlder(&table.Table{Name: "t", Columns: now}, s, []*querypb.Field{{ColumnType: was[0].Type}}, []string{"a"}, Options{})
		if err != nil {
			return
		}
		if got, _, err := plan.Append([]byte("{"), olderRow(string(value)), nil, nil); err == nil && !json.Valid(append(got, '}')) {
			t.Errorf("%s to %s: %q becomes %s", was[0].Type, now[0].Type, value, got)
		}
	})
}
