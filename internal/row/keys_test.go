package row

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"source-planetscale/internal/table"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"
)

// roles is a table with TINYINT(1) columns in each kind of key, and in none.
func roles() *table.Table {
	return &table.Table{
		Name: "roles",
		Columns: []table.Column{
			{Name: "user_id", Type: "int"},
			{Name: "role", Type: "tinyint(1)"},
			{Name: "Level", Type: "TINYINT(1) unsigned", Nullable: true},
			{Name: "shard_by", Type: "tinyint(1)"},
			{Name: "active", Type: "tinyint(1)"},
			{Name: "wide", Type: "tinyint(4)"},
			{Name: "bit", Type: "bit(1)"},
		},
		Key: []string{"user_id", "role", "shard_by"}, MySQLKey: []string{"user_id", "role"},
		Unique: []table.UniqueKey{
			{Columns: []string{"user_id", "role"}, Identifies: true},
			{Columns: []string{"Level", "wide", "bit"}},
		},
	}
}

func TestTinyIntOfAKeyIsAnInteger(t *testing.T) {
	tab := roles()
	o := Options{}.InKeys(tab)
	schemas := map[string]json.RawMessage{}
	for _, c := range tab.Columns {
		schemas[c.Name] = JSONSchema(c, o)
		got := slices.Contains(typesOf(schemas[c.Name]), "boolean")
		if want := c.Name == "active" || c.Name == "bit"; got != want {
			t.Errorf("%s has the schema %s", c.Name, schemas[c.Name])
		}
	}
	// Rows match the discovered schema, even if the keys have changed since.
	tab.Key, tab.MySQLKey, tab.Unique = []string{"active"}, nil, nil
	o = Options{}.InCatalog(tab, schemas)
	f := &binlogdatapb.FieldEvent{}
	for _, c := range tab.Columns {
		f.Fields = append(f.Fields, &querypb.Field{Name: c.Name, ColumnType: c.Type})
	}
	for _, phase := range []Phase{Copy, Replicate} {
		got, _, err := compile(t, tab, f, phase, o).Append(nil, encoded(rowOf("7", "3", "2", "-1", "5", "4", "\x01")), nil, nil)
		want := `"user_id":7,"role":3,"Level":2,"shard_by":-1,"active":true,"wide":4,"bit":true`
		if err != nil || string(got) != want {
			t.Errorf("phase %d: %s, %v; want %s", phase, got, err, want)
		}
	}
}

func TestKeyThatIsABooleanInTheCatalogIsRefused(t *testing.T) {
	boolean, nullable := json.RawMessage(`{"type":"boolean"}`), json.RawMessage(`{"type":["null","boolean"]}`)
	integer := json.RawMessage(`{"type":["null","number"],"airbyte_type":"integer"}`)
	for _, c := range []struct {
		name    string
		schemas map[string]json.RawMessage
		o       Options
		refused string // the column
	}{
		{"all boolean", map[string]json.RawMessage{"role": boolean, "shard_by": nullable}, Options{}, "role"},
		{"refreshed", map[string]json.RawMessage{"role": integer, "shard_by": integer}, Options{}, ""},
		{"half refreshed", map[string]json.RawMessage{"role": integer, "shard_by": nullable}, Options{}, "shard_by"},
		{"without types", map[string]json.RawMessage{"role": json.RawMessage(`{}`), "shard_by": json.RawMessage(`true`)}, Options{}, ""},
		{"integers of JSON schema", map[string]json.RawMessage{"role": json.RawMessage(`{"type":"integer"}`), "shard_by": integer}, Options{}, ""},
		{"integers by choice", map[string]json.RawMessage{"role": boolean}, Options{TinyIntAsInteger: true}, ""},
	} {
		tab := roles()
		err := CheckKey(tab, append(slices.Clone(tab.Key), "wide", "bit", "none"), c.o.InCatalog(tab, c.schemas))
		if (err != nil) != (c.refused != "") || err != nil && !strings.Contains(err.Error(), strconv.Quote(c.refused)) {
			t.Errorf("%s: %v, want an error about %q", c.name, err, c.refused)
		}
	}
	if err := CheckKey(roles(), []string{"user_id", "wide"}, Options{}); err != nil {
		t.Errorf("a key without a boolean: %v", err)
	}
}

func TestKeyWarnings(t *testing.T) {
	for _, c := range []struct{ columnType, charset, want string }{
		{"tinyint(1)", "", "true"},
		{"float", "", "six digits"},
		{"float(7,4) unsigned", "", "six digits"},
		{"date", "", "dates become null"},
		{"datetime(6)", "", "dates become null"},
		{"timestamp", "", "dates become null"},
		{"time(3)", "", "times outside"},
		{"varchar(20)", "ascii", "invalid bytes become U+FFFD"},
		{"varchar(20)", "gbk", "invalid bytes become U+FFFD"},
		{"char(20)", "utf16", "invalid bytes become U+FFFD"},
		{"mediumtext", "ujis", "invalid bytes become U+FFFD"},
		{"varchar(20)", "klingon", "does not know"},
		{"enum('','a')", "utf8mb4", "empty label"},
		{"set('a','')", "latin1", "empty label"},
		{"enum('?','a')", "utf8mb4", "question marks"},
		{"enum('a',x'ff')", "binary", "labels"},
		{"uuid", "klingon", "does not know"},

		{"tinyint(4)", "", ""},
		{"bigint unsigned", "", ""},
		{"decimal(10,2)", "", ""},
		{"double", "", ""},
		{"year", "", ""},
		{"bit(1)", "", ""},
		{"bit(8)", "", ""},
		{"varchar(20)", "utf8mb4", ""},
		{"varchar(20)", "utf8mb3", ""},
		{"varchar(20)", "latin1", ""},
		{"enum('a','b')", "utf8mb4", ""},
		{"enum('?','a')", "latin1", ""},
		{"set('a','b')", "utf8mb4", ""},
		{"varbinary(20)", "", ""},
		{"binary(16)", "", ""},
	} {
		tab := &table.Table{Name: "t", Columns: []table.Column{{Name: "k", Type: c.columnType, Charset: c.charset}}}
		got := strings.Join(KeyWarnings(tab, []string{"k", "none"}, Options{}), "|")
		if (got != "") != (c.want != "") || !strings.Contains(got, c.want) {
			t.Errorf("%s %s: %q, want %q", c.columnType, c.charset, got, c.want)
		}
	}
	tab := roles()
	if got := KeyWarnings(tab, tab.Key, Options{}.InKeys(tab)); got != nil {
		t.Errorf("TINYINT(1) columns of a key that are integers: %q", got)
	}
}

// MySQL's default sql_mode refuses to compare these (seen on 9.7): a year, month or day that is zero, except for the year 0000 of a
// possible day, and days that a month does not have.
func TestDatesThatMySQLDoesNotCompare(t *testing.T) {
	key := func(columnType querypb.Type, value string) *querypb.QueryResult {
		return &querypb.QueryResult{
			Fields: []*querypb.Field{{Name: "id", Type: querypb.Type_INT64}, {Name: "k", Type: columnType}},
			Rows:   []*querypb.Row{{Lengths: []int64{1, int64(len(value))}, Values: []byte("7" + value)}},
		}
	}
	for value, want := range map[string]bool{
		"2026-01-01": true, "9999-12-31": true, "1000-01-01": true, "2024-02-29": true,
		"0000-00-00": false, "0000-00-01": false, "0000-01-00": false, "2026-00-00": false, "2026-00-10": false, "2026-10-00": false,
		"2026-02-30": false, "2026-06-31": false, "1900-02-29": false, "0000-02-29": false,
	} {
		for columnType, clocks := range map[querypb.Type][]string{
			querypb.Type_DATE: {""}, querypb.Type_DATETIME: {" 00:00:00", " 10:00:00.000001"}, querypb.Type_TIMESTAMP: {" 00:00:00", " 00:00:00.000"},
		} {
			for _, clock := range clocks {
				if got := Comparable(key(columnType, value+clock)); got != want {
					t.Errorf("%v %q: %v", columnType, value+clock, got)
				}
			}
		}
		if !Comparable(key(querypb.Type_VARCHAR, value)) {
			t.Errorf("the text %s is not compared", value)
		}
	}
	long := key(querypb.Type_DATE, "2026-01-01")
	long.Rows[0].Lengths[1]++
	for _, last := range []*querypb.QueryResult{nil, {}, key(querypb.Type_DATE, ""), long} {
		if Comparable(last) {
			t.Errorf("%v is compared", last)
		}
	}
}
