package partition

import (
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/row"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

const (
	boolean = `{"type":["null","boolean"]}`
	integer = `{"type":"number","airbyte_type":"integer"}`
)

func TestCheckKey(t *testing.T) {
	keyed := &table.Table{
		Name: "roles", Key: []string{"user", "role"}, MySQLKey: []string{"user", "role"},
		Columns: []table.Column{{Name: "user", Type: "int"}, {Name: "role", Type: "tinyint(1)"}, {Name: "email", Type: "varchar(9)"}, {Name: "at", Type: "date"}},
		Unique:  []table.UniqueKey{{Columns: []string{"user", "role"}, Identifies: true}, {Columns: []string{"email"}, Identifies: true}},
	}
	beside := &table.Table{
		Name: "users", Key: []string{"user"}, MySQLKey: []string{"user"}, Columns: keyed.Columns,
		Unique: []table.UniqueKey{{Columns: []string{"user"}, Identifies: true}},
	}
	keyless := &table.Table{Name: "log", Columns: keyed.Columns}
	empty := &table.Table{Name: "log", Columns: []table.Column{{Name: "user", Type: "int", Nullable: true}}}
	for _, c := range []struct {
		name     string
		table    *table.Table
		role     string // the schema of the column role; "" if it is not selected
		key      string // the catalog's primary_key, or its source_defined_primary_key after "source:"
		mode     airbyte.DestinationSyncMode
		cursor   []string
		chosen   row.Options
		refused  string
		warnings []string
		integers []string
	}{
		{name: "as discovered", table: keyed, role: integer, key: "user role", mode: "append_dedup", integers: []string{"role"}},
		{name: "the source's key", table: keyed, role: integer, key: "source: user role", mode: "append_dedup", integers: []string{"role"}},
		{name: "an old catalog", table: keyed, role: boolean, key: "user role", mode: "append_dedup", refused: `column "role" of its key is a boolean in the catalog`},
		{name: "an old catalog without a key", table: keyed, role: boolean, key: "", mode: "append", refused: `column "role" of its key is a boolean`},
		{name: "an old catalog with another key", table: keyed, role: boolean, key: "email", mode: "append_dedup"},
		{name: "an old catalog, integers by choice", table: keyed, role: boolean, key: "user role", mode: "append_dedup", chosen: row.Options{TinyIntAsInteger: true}},
		{name: "no types", table: keyed, role: `{}`, key: "user role", mode: "append_dedup", integers: []string{"role"}},
		{name: "not selected", table: keyed, role: "", key: "user role", mode: "append_dedup", refused: `"role", which the catalog does not select`},
		{name: "not selected, another key", table: keyed, role: "", key: "email", mode: "append_dedup", integers: []string{"role"}},
		{name: "not selected, no key", table: keyed, role: "", key: "", mode: "append", integers: []string{"role"}},
		{name: "half of the key", table: keyed, role: integer, key: "user", mode: "append_dedup", refused: "its keys are (user, role), (email)."},
		{name: "half of the key, all are kept", table: keyed, role: integer, key: "user", mode: "append", integers: []string{"role"}},
		{name: "renamed", table: keyed, role: integer, key: "user former", mode: "append", refused: `"former", which the table does not have`},
		{name: "one of the connector's columns beside the key", table: keyed, role: integer, key: "user role _ab_cdc_cursor", mode: "append_dedup", integers: []string{"role"}},
		{name: "keyless", table: keyless, role: boolean, key: "user role at", mode: "append_dedup", warnings: []string{"the table has no key", `column "role" of the key`, `column "at" of the key`}},
		{name: "keyless, all are kept", table: keyless, role: boolean, key: "user role", mode: "append"},
		{name: "every column may be NULL", table: empty, mode: "append", warnings: []string{"each of its 1 columns may be NULL"}},
		{name: "every column may be NULL, full refresh", table: empty, mode: "overwrite"},
		{name: "a boolean beside the key", table: beside, role: boolean, key: "user role", mode: "append_dedup"},
		{name: "a boolean of the shards'", table: beside, role: boolean, key: "source: user role", mode: "append_dedup", refused: `column "role" of its key is a boolean`},
		{name: "another cursor", table: keyed, role: integer, key: "email", mode: "append_dedup", cursor: []string{"at"}, warnings: []string{"cursor field is at"}, integers: []string{"role"}},
	} {
		properties := map[string]json.RawMessage{"user": json.RawMessage(integer), "email": json.RawMessage(`{}`), "at": json.RawMessage(`{}`), "_ab_cdc_cursor": json.RawMessage(`{}`)}
		if c.role != "" {
			properties["role"] = json.RawMessage(c.role)
		}
		text, err := json.Marshal(map[string]any{"properties": properties})
		if err != nil {
			t.Fatal(err)
		}
		stream := &airbyte.ConfiguredStream{
			Stream: airbyte.Stream{Name: c.table.Name, JSONSchema: text}, SyncMode: airbyte.Incremental, DestinationSyncMode: c.mode,
			CursorField: c.cursor,
		}
		names, ofSource := strings.CutPrefix(c.key, "source: ")
		var key [][]string
		for _, name := range strings.Fields(names) {
			key = append(key, []string{name})
		}
		if c.mode == "overwrite" {
			stream.SyncMode = airbyte.FullRefresh
		}
		if stream.PrimaryKey = key; ofSource {
			stream.PrimaryKey, stream.Stream.SourceDefinedPrimaryKey = nil, key
		}
		s, err := NewStream(stream, c.table, nil, &atomic.Int64{}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		warnings, err := CheckKey(s, stream, c.chosen)
		if (err != nil) != (c.refused != "") || err != nil && (!strings.Contains(err.Error(),
			c.refused) || failure.Judge(err).Kind != airbyte.ConfigError) {
			t.Errorf("%s: %v, want %q", c.name, err, c.refused)
		}
		if !slices.EqualFunc(warnings, c.warnings, strings.Contains) {
			t.Errorf("%s: warnings %q, want %q", c.name, warnings, c.warnings)
		}
		if err == nil && !slices.Equal(s.Records.Types.Integers, c.integers) {
			t.Errorf("%s: integers %q, want %q", c.name, s.Records.Types.Integers, c.integers)
		}
	}
}

// Rows that were sent before a column of the key existed under its current name have no value in it, and those that were sent before its
// values were converted have the former ones.
func TestAKeyThatRowsInTheDestinationDoNotHave(t *testing.T) {
	columns := func(declared string) (list []table.Column) {
		for _, column := range strings.Fields(declared) {
			name, columnType, found := strings.Cut(column, ":")
			if !found {
				columnType = "int"
			}
			list = append(list, table.Column{Name: name, Type: columnType})
		}
		return list
	}
	for name, c := range map[string]struct {
		was, now string // the table's columns
		key      string
		mode     airbyte.DestinationSyncMode
		refused  string
	}{
		"renamed":                  {"id v", "ident v", "ident", "append_dedup", `"ident"`},
		"one of two":               {"a v", "a b v", "a b", "append_dedup", `"b"`},
		"spelled otherwise":        {"id v", "ID v", "ID", "append_dedup", `"ID"`},
		"another column":           {"id v", "id v", "v", "append_dedup", ""},
		"the same":                 {"id v", "id v", "id", "append_dedup", ""},
		"converted":                {"id:varchar(9) v", "id:varbinary(9) v", "id", "append_dedup", `"id" of its primary key was changed from varchar(9) NOT NULL to varbinary(9) NOT NULL`},
		"converted, one of two":    {"a b:datetime(6)", "a b:datetime", "a b", "append_dedup", `"b"`},
		"widened":                  {"id v", "id:bigint v", "id", "append_dedup", ""},
		"another one converted":    {"id v", "id v:varchar(9)", "id", "append_dedup", ""},
		"converted, all are kept":  {"id:varchar(9) v", "id:varbinary(9) v", "id", "append", ""},
		"ours":                     {"id v", "id v", "id _ab_cdc_cursor", "append_dedup", ""},
		"every record is kept":     {"id v", "ident v", "ident", "append", ""},
		"a full refresh":           {"id v", "ident v", "ident", "overwrite_dedup", ""},
		"the former connector's":   {"", "id v", "ident", "append_dedup", ""},
		"a destination without it": {"id v", "ident v", "ident", "", ""},
	} {
		stream := &airbyte.ConfiguredStream{Stream: airbyte.Stream{Name: "users"}, SyncMode: airbyte.Incremental, DestinationSyncMode: c.mode}
		for _, column := range strings.Fields(c.key) {
			stream.PrimaryKey = append(stream.PrimaryKey, []string{column})
		}
		saved := &state.Stream{FullRefresh: c.mode == "overwrite_dedup", Columns: columns(c.was)}
		err := CheckSavedKey(stream, &table.Table{Name: "users", Columns: columns(c.now)}, saved)
		if (err != nil) != (c.refused != "") || err != nil && (!strings.Contains(err.Error(), c.refused) ||
			failure.Judge(err).Kind != airbyte.ConfigError) {
			t.Errorf("%s: %v, want %q", name, err, c.refused)
		}
	}
}
