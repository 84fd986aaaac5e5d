package table

import (
	"strings"
	"testing"
)

func TestCheckKey(t *testing.T) {
	columns := []Column{{Name: "id"}, {Name: "region"}, {Name: "email"}, {Name: "n", Nullable: true}}
	primary := UniqueKey{Columns: []string{"id"}, Identifies: true}
	pair := UniqueKey{Columns: []string{"region", "id"}, Identifies: true}
	email := UniqueKey{Columns: []string{"email"}, Identifies: true}
	nullable := UniqueKey{Columns: []string{"n"}}
	for _, c := range []struct {
		name   string
		unique []UniqueKey
		key    string
		append bool
		want   string // of the error, or after "warn: "
	}{
		{name: "the primary key", unique: []UniqueKey{primary}, key: "id"},
		{name: "and a vindex column", unique: []UniqueKey{primary}, key: "id region"},
		{name: "a unique key instead", unique: []UniqueKey{primary, email}, key: "email"},
		{name: "in another order", unique: []UniqueKey{pair}, key: "id region"},
		{name: "another column", unique: []UniqueKey{primary}, key: "region", want: "by (region), which does not identify the rows of the table: its keys are (id)."},
		{name: "a part of the key", unique: []UniqueKey{pair, email}, key: "id", want: "its keys are (region, id), (email)."},
		{name: "a key with NULLs", unique: []UniqueKey{primary, nullable}, key: "n", want: "its keys are (id)."},
		{name: "none", unique: []UniqueKey{primary}, key: "", want: "by (), which does not identify"},
		{name: "renamed", unique: []UniqueKey{primary}, key: "former", want: `"former", which the table does not have`},
		{name: "another letter case, which records do not have", unique: []UniqueKey{primary}, key: "ID", want: `"ID", which the table does not have`},
		{name: "renamed beside the key", unique: []UniqueKey{primary}, key: "id former", want: `"former", which the table does not have`},
		{name: "not selected", unique: []UniqueKey{email}, key: "id email", want: `"email", which the catalog does not select`},
		{name: "keyless", key: "id", want: "warn: the destination deduplicates by (id)"},
		{name: "only NULLs", unique: []UniqueKey{nullable}, key: "n", want: "warn: the destination deduplicates by (n)"},

		{name: "another column, all kept", unique: []UniqueKey{primary}, key: "region", append: true},
		{name: "keyless, all kept", key: "id", append: true},
		{name: "renamed, all kept", unique: []UniqueKey{primary}, key: "former", append: true, want: "does not have"},
	} {
		tab := &Table{Name: "t", Columns: columns, Unique: c.unique}
		gives := func(column string) bool { return c.name != "not selected" || column != "email" }
		warning, err := tab.CheckKey(strings.Fields(c.key), gives, !c.append)
		want, warns := strings.CutPrefix(c.want, "warn: ")
		switch {
		case (err != nil) != (want != "" && !warns), (warning != "") != warns:
			t.Errorf("%s: warning %q, error %v, want %q", c.name, warning, err, c.want)
		case warns && !strings.Contains(warning, want), err != nil && !strings.Contains(err.Error(), want):
			t.Errorf("%s: warning %q, error %v, want %q", c.name, warning, err, c.want)
		}
	}
}
