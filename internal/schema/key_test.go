package schema

import (
	"strings"
	"testing"

	"source-planetscale/internal/table"

	"github.com/google/go-cmp/cmp"
)

func TestMySQLKey(t *testing.T) {
	columns := []table.Column{
		{Name: "tiny", Type: "tinyint(1)"},
		{Name: "number", Type: "int unsigned"},
		{Name: "big", Type: "bigint"},
		{Name: "text", Type: "varchar(20)"},
		{Name: "choice", Type: "enum('a','b')"},
		{Name: "place", Type: "geometry"},
	}
	part := func(index, column string) keyPart { return keyPart{index: index, column: column} }
	nullable := keyPart{index: "a", column: "choice", nullable: true}
	prefix := keyPart{index: "a", column: "text", prefix: true}
	expression := keyPart{index: "a"}
	cases := []struct {
		name  string
		parts []keyPart
		want  []string
	}{
		{"none", nil, nil},
		{"primary in key order", []keyPart{part("PRIMARY", "text"), part("PRIMARY", "big")}, []string{"text", "big"}},
		{"primary before cheaper unique", []keyPart{part("a", "choice"), part("PRIMARY", "text")}, []string{"text"}},
		{"primary over a prefix", []keyPart{{index: "PRIMARY", column: "text", prefix: true}}, []string{"text"}},
		{"cheapest type", []keyPart{part("a", "big"), part("b", "number"), part("c", "text")}, []string{"number"}},
		{"sum of types", []keyPart{part("a", "big"), part("b", "number"), part("b", "tiny")}, []string{"number", "tiny"}},
		{"fewest columns at the same cost", []keyPart{part("a", "choice"), part("a", "number"), part("b", "number")}, []string{"number"}},
		{"first at the same cost and size", []keyPart{part("a", "number"), part("b", "number")}, []string{"number"}},
		{"type without cost", []keyPart{part("a", "place"), part("b", "text")}, []string{"text"}},
		{"nullable part", []keyPart{nullable, part("a", "tiny"), part("b", "text")}, []string{"text"}},
		{"prefix part", []keyPart{part("a", "tiny"), prefix, part("b", "text")}, []string{"text"}},
		{"expression part", []keyPart{part("a", "tiny"), expression, part("b", "text")}, []string{"text"}},
		{"only unusable ones", []keyPart{nullable, {index: "b", column: "text", prefix: true}}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, mysqlKey(indexes(c.parts), columns)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUniqueKeys(t *testing.T) {
	got := uniqueKeys(indexes([]keyPart{
		{index: "A_before_primary", column: "a"},
		{index: "PRIMARY", column: "b"},
		{index: "PRIMARY", column: "a"},
		{index: "expression", column: "a"},
		{index: "expression"},
		{index: "expressions"},
		{index: "nullable", column: "a"},
		{index: "nullable", column: "n", nullable: true},
		{index: "prefix", column: "text", prefix: true},
	}))
	want := []table.UniqueKey{
		{Columns: []string{"b", "a"}, Identifies: true},
		{Columns: []string{"a"}, Identifies: true},
		{Columns: []string{"a"}},
		{Columns: []string{"a", "n"}},
		{Columns: []string{"text"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTypeCost(t *testing.T) {
	for columnType, want := range map[string]int{
		"int": 7, "int unsigned": 7, "decimal(10,2)": 13, "enum('int')": 0, "tinytext": 81, "varbinary(8)": 60, "json": 1000, "text": 1000,
	} {
		if got := typeCost(columnType); got != want {
			t.Errorf("%s costs %d, want %d", columnType, got, want)
		}
	}
}

func TestWithVindex(t *testing.T) {
	key := make([]string, 1, 8) // spare capacity that an append would overwrite: the key must not change
	key[0] = "id"
	if diff := cmp.Diff([]string{"id", "region"}, withVindex(key, []string{"ID", "region"})); diff != "" {
		t.Error(diff)
	}
	if spare := key[:2][1]; spare != "" {
		t.Errorf("the key's array was written to: %q", spare)
	}
}

func TestSplitColumns(t *testing.T) {
	columns := []table.Column{
		{Name: "a"},
		{Name: "b"},
		{Name: "Region"},
		{Name: "x"},
		{Name: "y"},
		{Name: "x, y"},
		{Name: "a, z"},
		{Name: "é, ü"},
	}
	for text, want := range map[string]string{
		"a": "a", "a, b": "a|b", "b, a": "b|a", "region": "Region", "x, y": "x, y", "x, y, x": "x, y|x", "x, a": "x|a",
		"a, z, b": "a, z|b", "b, é, ü": "b|é, ü",
		"": "", "c": "", "a, c": "", "a,b": "", "ab": "", "a, ": "",
	} {
		if got := strings.Join(splitColumns(text, columns), "|"); got != want {
			t.Errorf("%q is split into %q, want %q", text, got, want)
		}
	}
}

// A text with many commas can be split into column names in very many ways, since names may contain commas.
func TestSplittingColumnsEndsSoon(t *testing.T) {
	var columns []table.Column
	for n := range 40 {
		columns = append(columns, table.Column{Name: strings.TrimSuffix(strings.Repeat("a, ", n+1), ", ")})
	}
	for _, text := range []string{strings.Repeat("a, ", 800) + "b", strings.Repeat("a, ", 1_000_000) + "a"} {
		if got := splitColumns(text, columns); got != nil {
			t.Errorf("got %d names from a text of %d bytes", len(got), len(text))
		}
	}
	if got := splitColumns("a, a, b", append(columns, table.Column{Name: "b"})); len(got) != 2 {
		t.Errorf("got %q", got)
	}
}

func FuzzSplitColumns(f *testing.F) {
	f.Add("a, b", "a", "b", "a, b")
	f.Fuzz(func(t *testing.T, text, a, b, c string) {
		got := splitColumns(text, []table.Column{{Name: a}, {Name: b}, {Name: c}})
		if got != nil && !strings.EqualFold(strings.Join(got, ", "), text) {
			t.Errorf("%q became %q", text, got)
		}
	})
}
