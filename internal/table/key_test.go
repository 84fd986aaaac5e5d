package table

import (
	"testing"

	querypb "vitess.io/vitess/go/vt/proto/query"
)

// TestKey lists what each key can be used for: a copy resumes after one only if no two rows share it, and the server orders it as we do.
func TestKey(t *testing.T) {
	const none, key = false, true
	for _, c := range []struct {
		columnType            string
		nullable, hasKey      bool
		identifies, resumable bool
	}{
		{"tinyint", false, key, true, true},
		{"tinyint(1)", false, key, true, true},
		{"smallint unsigned", false, key, true, true},
		{"bigint", false, key, true, true},
		{"bigint unsigned zerofill", false, key, true, true},
		{"year", false, key, true, true},
		{"decimal(20,4)", false, key, true, true},
		{"date", false, key, true, true},
		{"datetime(6)", false, key, true, true},
		{"timestamp", false, key, true, true},
		{"time", false, key, true, true},
		{"char(3)", false, key, true, true},
		{"varchar(64)", false, key, true, true},
		{"binary(16)", false, key, true, true},
		{"varbinary(64)", false, key, true, true},
		{"text", false, key, true, true},
		{"blob", false, key, true, true},
		// Compared as text and ordered as numbers, or compared by a text that does not hold the value.
		{"enum('a','b')", false, key, true, false},
		{"set('a','b')", false, key, true, false},
		{"float", false, key, true, false},
		{"double", false, key, true, false},
		{"bit(8)", false, key, true, false},
		{"vector(3)", false, key, true, false},
		{"of a later server", false, key, true, false},
		// Without a key, all columns together are used as one, which equal rows share: rows equal to the last one would be skipped.
		{"bigint", false, none, false, false},
		{"varchar(64)", false, none, false, false},
		{"bigint", true, none, false, false},
		{"enum('a','b')", false, none, false, false},
		// NULL is not equal to anything.
		{"bigint", true, key, true, false},
	} {
		tab := &Table{Name: "t", Columns: []Column{{Name: "k", Type: c.columnType, Nullable: c.nullable}}}
		if c.hasKey {
			tab.MySQLKey = []string{"k"}
		}
		k := KeyOf(tab)
		if k.Identifies != c.identifies || k.Resumable() != c.resumable || len(k.Columns) != 1 {
			t.Errorf("%s, nullable %v, a key %v: %+v", c.columnType, c.nullable, c.hasKey, k)
		}
		last := &querypb.QueryResult{Fields: []*querypb.Field{{Name: "k"}}}
		if k.Resumes(last) != c.resumable || k.Resumes(nil) {
			t.Errorf("%s, nullable %v, a key %v: resumes after it %v", c.columnType, c.nullable, c.hasKey, k.Resumes(last))
		}
	}
}

// A saved key can be used only while the table's key has the same columns in the same order.
func TestKeyResumesOnlyItsOwn(t *testing.T) {
	tab := &Table{Columns: []Column{{Name: "a", Type: "int"}, {Name: "b", Type: "int"}, {Name: "c", Type: "int"}}, MySQLKey: []string{"a", "b"}}
	for _, c := range []struct {
		saved []string
		want  bool
	}{
		{[]string{"a", "b"}, true},
		{[]string{"b", "a"}, false},
		{[]string{"a"}, false},
		{[]string{"a", "b", "c"}, false},
		{[]string{"a", "c"}, false},
		{nil, false},
	} {
		last := &querypb.QueryResult{}
		for _, name := range c.saved {
			last.Fields = append(last.Fields, &querypb.Field{Name: name})
		}
		if got := KeyOf(tab).Resumes(last); got != c.want {
			t.Errorf("%v: %v", c.saved, got)
		}
	}
	if KeyOf(&Table{}).Resumable() {
		t.Error("a table without columns has a key")
	}
}

// The properties of a key's columns that are compared decide whether its values still sort as they did.
func TestKeyThatIsDescribedOtherwise(t *testing.T) {
	f := func(columnType string, collation uint32) *querypb.Field {
		return &querypb.Field{Name: "k", Type: querypb.Type_VARCHAR, ColumnType: columnType, Charset: collation}
	}
	number := &querypb.Field{Name: "k", Type: querypb.Type_INT64, ColumnType: "bigint"}
	for _, c := range []struct {
		name     string
		was, now *querypb.Field
		want     bool
	}{
		{"the same", f("varchar(9)", 255), f("varchar(9)", 255), true},
		{"not described", f("", 255), f("varchar(9)", 255), true},
		{"not described, no collation", f("", 0), f("varchar(9)", 255), true},
		{"another length", f("varchar(9)", 255), f("varchar(8)", 255), false},
		{"another collation", f("varchar(9)", 255), f("varchar(9)", 46), false},
		{"another type", f("varchar(9)", 255), number, false},
		{"another type, not described", f("", 0), number, false},
	} {
		was := &querypb.QueryResult{Fields: []*querypb.Field{c.was}}
		if got := StillDescribes(was, []*querypb.Field{c.now, {Name: "other"}}); got != c.want {
			t.Errorf("%s: described %v", c.name, got)
		}
		if got := SameColumns(was, &querypb.QueryResult{Fields: []*querypb.Field{c.now}}); got != c.want {
			t.Errorf("%s: the same columns %v", c.name, got)
		}
	}
	last := Describe(&querypb.QueryResult{Fields: []*querypb.Field{{Name: "k"}, {Name: "x"}}}, []*querypb.Field{f("varchar(9)", 255)})
	if last.Fields[0].ColumnType != "varchar(9)" || last.Fields[0].Charset != 255 || last.Fields[1].ColumnType != "" {
		t.Errorf("described as %v", last.Fields)
	}
}
