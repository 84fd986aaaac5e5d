package row

import (
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/table"
)

func TestWarning(t *testing.T) {
	for _, e := range examples {
		got := Warning(table.Column{Name: "v", Type: e.columnType, Charset: e.charset}, e.options)
		unknown := slices.Contains([]string{"inet6", "uuid"}, e.columnType) || e.charset == "klingon"
		if (got != "") != unknown {
			t.Errorf("%s %s: %q", e.columnType, e.charset, got)
		}
		if unknown && !(strings.Contains(got, `"v"`) && (strings.Contains(got, e.columnType) || strings.Contains(got, e.charset))) {
			t.Errorf("the warning names neither column nor cause: %q", got)
		}
	}
}

func TestWarningOfRowsThatVitessDoesNotSee(t *testing.T) {
	for declared, warns := range map[string]bool{"": true, "null": true, "null null": true, "not": false, "null not": false, "not null": false} {
		tab := &table.Table{Name: "t"}
		for _, word := range strings.Fields(declared) {
			tab.Columns = append(tab.Columns, table.Column{Name: word, Nullable: word == "null"})
		}
		if got := TableWarnings(tab); (got != nil) != warns {
			t.Errorf("%q: %q", declared, got)
		}
	}
}

func TestWarningOfWhatVitessCannotReplicate(t *testing.T) {
	for _, test := range []struct{ columnType, charset, want string }{
		{`enum('a','x\\%')`, "utf8mb4", "a backslash before a percent sign"},
		{`set('\\_','a')`, "latin1", "a backslash before a percent sign"},
		{`enum('a','%','_','%\\','\\\\')`, "utf8mb4", ""},
		{`enum('é',x'f09f9880')`, "", "labels that are no texts"},
		{`enum('a,x''b','c')`, "utf8mb4", ""},
		{"enum('?','a')", "utf8mb4", "question mark"},
		{"set('a?')", "gb18030", "question mark"},
		{"enum('?','a')", "latin1", ""},
		{"enum('?','a')", "utf8mb3", ""},
		{"set(" + strings.Repeat("'a',", 62) + "'a')", "utf8mb4", ""},
		{"set(" + strings.Repeat("'a',", 63) + "'a')", "utf8mb4", "a SET with 64 labels, and vttablets before Vitess 24"},
		{"enum(" + strings.Repeat("'a',", 63) + "'a')", "utf8mb4", ""},
		{"varchar(15807)", "utf8mb4", ""},
		{"varchar(15808)", "utf8mb4", "a length of 63232 bytes"},
		{"varchar(15935)", "utf8mb4", "a length of 63740 bytes"},
		{"varchar(15936)", "utf8mb4", ""},
		{"varchar(21100)", "utf8mb3", "a length of 63300 bytes"},
		{"varchar(63300)", "latin1", "a length of 63300 bytes"},
		{"varchar(31650)", "gbk", "a length of 63300 bytes"},
		{"varbinary(63743)", "", "a length of 63743 bytes"},
		{"varbinary(63744)", "", ""},
		{"varbinary(65000)", "", ""},
	} {
		got := Warning(table.Column{Name: "v", Type: test.columnType, Charset: test.charset}, Options{})
		if (got != "") != (test.want != "") || !strings.Contains(got, test.want) {
			t.Errorf("%s %s: %q, want %q", test.columnType, test.charset, got, test.want)
		}
	}
}
