package row

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"source-planetscale/internal/table"
	"source-planetscale/internal/wire"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"
)

var update = flag.Bool("update", false, "rewrite TYPES.md")

// example is a value as it was received on a stream, and its JSON.
type example struct {
	columnType string
	charset    string
	copied     string // the bytes of a copy
	replicated string // the bytes from the binlog
	want       string
	wantCopied string // if the copy's result differs
	options    Options
}

// same is a value with the same bytes in both phases.
func same(columnType, value, want string) example {
	return example{columnType: columnType, copied: value, replicated: value, want: want}
}

func text(columnType, charset, value, want string) example {
	return example{columnType: columnType, charset: charset, copied: value, replicated: value, want: want}
}

// examples have bytes from a real server (Vitess 24.0.3, MySQL 9.7.4), or from older ones where a comment says so. The
// first of each kind is printed in TYPES.md.
var examples = []example{
	same("tinyint(1)", "1", `true`),
	same("tinyint(1)", "0", `false`),
	same("tinyint(1)", "-1", `true`),
	same("tinyint(1)", "127", `true`),
	same("tinyint(1) unsigned zerofill", "42", `true`),
	same("tinyint(1) unsigned zerofill", "0", `false`),
	same("tinyint(1) unsigned zerofill", "00", `false`), // not observed
	same("tinyint(1) unsigned zerofill", "01", `true`),  // not observed
	{columnType: "tinyint(1)", copied: "1", replicated: "1", want: `1`, options: Options{TinyIntAsInteger: true}},
	{columnType: "tinyint(1)", copied: "-128", replicated: "-128", want: `-128`, options: Options{TinyIntAsInteger: true}},

	same("bigint unsigned", "18446744073709551615", `18446744073709551615`),
	same("tinyint", "-128", `-128`),
	same("tinyint unsigned", "255", `255`),
	same("tinyint(4)", "1", `1`),
	same("smallint", "-32768", `-32768`),
	same("mediumint", "8388607", `8388607`),
	same("int", "-2147483648", `-2147483648`),
	same("int", "0", `0`),
	same("bigint", "-9223372036854775808", `-9223372036854775808`),
	{columnType: "int(8) unsigned zerofill", copied: "00000042", replicated: "42", want: `42`},
	{columnType: "int(8) unsigned zerofill", copied: "00000000", replicated: "0", want: `0`},

	same("year", "2026", `2026`),
	same("year", "0000", `0`),

	same("decimal(12,0)", "999999999999", `999999999999`),
	same("decimal(20,0)", "-12", `-12`),
	{columnType: "decimal(12,0)", copied: "12", replicated: "000000012", want: `12`}, // older Vitess
	{columnType: "decimal(12,0)", copied: "0", replicated: "000000000", want: `0`},   // older Vitess
	{columnType: "decimal(5,0)", copied: "0", replicated: "", want: `0`},             // older Vitess
	same("decimal(20,0)", "99999999999999999999", `99999999999999999999`),

	same("decimal(10,2)", "12.30", `12.30`),
	{columnType: "decimal(10,2)", copied: "0.10", replicated: ".10", want: `0.10`},          // Vitess 24.0.0
	{columnType: "decimal(10,2)", copied: "-0.50", replicated: "-.50", want: `-0.50`},       // Vitess 24.0.0
	{columnType: "decimal(10,2)", copied: "0.00", replicated: "-.00", want: `0.00`},         // no such value is known
	{columnType: "decimal(20,2)", copied: "1.50", replicated: "000000001.50", want: `1.50`}, // older Vitess
	{columnType: "decimal(10,2) unsigned zerofill", copied: "00000001.50", replicated: "1.50", want: `1.50`},
	same("decimal(5,5)", "-0.00001", `-0.00001`),
	same("decimal(65,30)", "12345678901234567890123456789012345.123456789012345678901234567890",
		`12345678901234567890123456789012345.123456789012345678901234567890`),

	{columnType: "float", copied: "1.1", replicated: "1.1E+00", want: `1.1`},
	{columnType: "float", copied: "0", replicated: "0E+00", want: `0`},
	{columnType: "float", copied: "1e20", replicated: "1E+20", want: `100000000000000000000`},
	{columnType: "float", copied: "1e-20", replicated: "1E-20", want: `1e-20`},
	{columnType: "float", copied: "16777200", replicated: "1.6777216E+07", want: `16777216`, wantCopied: `16777200`},
	{columnType: "float", copied: "3.40282e38", replicated: "3.4028235E+38", want: `3.4028235e+38`, wantCopied: `3.40282e+38`},
	{columnType: "float(7,4)", copied: "999.0001", replicated: "9.990001E+02", want: `999.0001`},
	{columnType: "float unsigned", copied: "1.5000", replicated: "1.5E+00", want: `1.5`},

	{columnType: "double", copied: "0.00000000025", replicated: "2.5E-10", want: `2.5e-10`},
	{columnType: "double", copied: "1e300", replicated: "1E+300", want: `1e+300`},
	{columnType: "double", copied: "0.1", replicated: "1E-01", want: `0.1`},
	{columnType: "double", copied: "0.0000001", replicated: "1E-07", want: `1e-7`},
	{columnType: "double", copied: "1.7976931348623157e308", replicated: "1.7976931348623157E+308", want: `1.7976931348623157e+308`},
	{columnType: "double", copied: "2.2250738585072014e-308", replicated: "2.2250738585072014E-308", want: `2.2250738585072014e-308`},
	{columnType: "double", copied: "1.2345678901234568e17", replicated: "1.2345678901234568E+17", want: `123456789012345680`},
	{columnType: "double(10,2)", copied: "1.50", replicated: "1.5E+00", want: `1.5`},

	same("bit(1)", "\x01", `true`),
	same("bit(1)", "\x00", `false`),
	same("bit(8)", "\xaa", `"qg=="`),
	same("bit(10)", "\x03\xff", `"A/8="`),
	same("bit(64)", "\xff\xff\xff\xff\xff\xff\xff\xff", `"//////////8="`),

	same("date", "2026-11-22", `"2026-11-22"`),
	same("date", "2024-02-29", `"2024-02-29"`),
	same("date", "2000-02-29", `"2000-02-29"`),
	same("date", "0001-01-01", `"0001-01-01"`),
	same("date", "9999-12-31", `"9999-12-31"`),
	same("date", "0000-00-00", `null`),
	same("date", "2026-00-00", `null`),
	same("date", "2026-01-00", `null`),
	same("date", "2026-02-30", `null`),
	same("date", "2026-02-29", `null`),
	same("date", "1900-02-29", `null`),
	same("date", "2026-04-31", `null`),
	same("date", "2026-06-31", `null`),
	same("date", "2026-09-31", `null`),
	same("date", "2026-11-31", `null`),
	same("date", "2026-12-32", `null`),
	same("date", "2026-10-31", `"2026-10-31"`),
	same("date", "2026-13-01", `null`),
	same("date", "0000-01-01", `null`),

	same("datetime(6)", "2026-11-22 10:30:00.123456", `"2026-11-22T10:30:00.123456"`),
	same("datetime", "2026-11-22 10:30:00", `"2026-11-22T10:30:00"`),
	same("datetime(1)", "2026-11-22 23:59:59.0", `"2026-11-22T23:59:59.0"`),
	same("datetime(3)", "2026-11-22 10:30:00.120", `"2026-11-22T10:30:00.120"`),
	same("datetime", "0000-00-00 00:00:00", `null`),
	same("datetime(6)", "0000-00-00 00:00:00.000000", `null`),
	same("datetime", "2026-02-30 10:00:00", `null`),
	same("datetime", "2026-01-00 10:00:00", `null`),

	same("timestamp(2)", "2026-11-22 10:30:00.12", `"2026-11-22T10:30:00.12Z"`),
	same("timestamp", "1970-01-01 00:00:01", `"1970-01-01T00:00:01Z"`),
	same("timestamp", "0000-00-00 00:00:00", `null`),
	same("timestamp(6)", "0000-00-00 00:00:00.000000", `null`),

	same("time(1)", "10:30:00.5", `"10:30:00.5"`),
	same("time", "00:00:00", `"00:00:00"`),
	same("time(6)", "23:59:59.999999", `"23:59:59.999999"`),
	same("time", "24:00:00", `null`),
	same("time", "838:59:59", `null`),
	same("time", "-10:30:00", `null`),
	same("time(6)", "-00:00:00.000001", `null`),
	same("time(4)", "-838:59:59.0000", `null`),

	text("varchar(50)", "utf8mb4", "é😀", `"é😀"`),
	text("varchar(50)", "utf8mb4", "", `""`),
	text("varchar(50)", "utf8mb4", "a ", `"a "`),
	text("char(10)", "utf8mb4", "x\ty\n\r\"q\\\x00\x1f/", `"x\ty\n\r\"q\\\u0000\u001f/"`),
	text("char(10)", "utf8mb3", "é中", `"é中"`),
	// sql_mode PAD_CHAR_TO_FULL_LENGTH
	{columnType: "char(5)", charset: "utf8mb4", copied: "a b  ", replicated: "a b", want: `"a b"`},
	{columnType: "char(3)", charset: "utf8mb4", copied: "   ", replicated: "", want: `""`},
	{columnType: "char(3)", charset: "latin1", copied: "\xe9  ", replicated: "\xe9", want: `"é"`},
	{columnType: "char(3)", charset: "utf16", copied: "\x00\xe9\x00 \x00 ", replicated: "\x00\xe9", want: `"é"`},
	{columnType: "char(3)", charset: "gbk", copied: "\xd6\xd0  ", replicated: "\xd6\xd0", want: `"中"`},
	{columnType: "char(0)", charset: "utf8mb4", copied: "", replicated: "", want: `""`},
	text("tinytext", "utf8mb4", "a\xff\xc3", `"a��"`),
	text("text", "latin1", "\xe9\x80\x81\x9d\"", "\"é€\u0081\u009d\\\"\""),
	text("varchar(50)", "ascii", "abc\xe9", `"abc�"`),
	text("varchar(50)", "utf16", "\x00\xe9\xd8=\xde\x00", `"é😀"`),
	text("varchar(50)", "utf16", "\x00\xe9\xd8=", `"é�"`),
	text("varchar(50)", "utf16le", "\xe9\x00", `"é"`),
	text("varchar(50)", "utf32", "\x00\x00\x00\xe9\x00\x01\xf6\x00", `"é😀"`),
	text("varchar(50)", "ucs2", "\x00\xe9", `"é"`),
	text("varchar(50)", "gbk", "\xd6\xd0\xce\xc4", `"中文"`),
	text("varchar(50)", "gbk", "\xd6", `"�"`),
	text("varchar(50)", "gbk", "\xd6\"", `"�\""`),   // not a valid pair
	text("varchar(50)", "gbk", "\xa1\x40a", `"�a"`), // a pair that is not assigned a character
	text("varchar(50)", "big5", "\xa4\xa4\xa4\xe5", `"中文"`),
	text("varchar(50)", "gb18030", "\xd6\xd0\xce\xc4\x949\xfc6", `"中文😀"`),
	text("varchar(50)", "tis620", "\xa1\xa2", `"กข"`),
	text("varchar(50)", "cp932", "\x93\xfa\x96{\x87@", `"日本①"`),
	text("varchar(50)", "koi8r", "\xd0\xd2\xc9\xd7\xc5\xd4", `"привет"`),
	text("varchar(50)", "klingon", "é", `"é"`), // no such character set

	text("longtext", "utf8mb4", "é", `"é"`),
	text("mediumtext", "latin1", "\xe9", `"é"`),

	text("enum('a','b,c','it''s','é','1')", "utf8mb4", "b,c", `"b,c"`),
	text("enum('a','b,c','it''s','é','1')", "utf8mb4", "it's", `"it's"`),
	text("enum('a','b,c','it''s','é','1')", "utf8mb4", "1", `"1"`),
	text("enum('a','b,c','it''s','é','1')", "utf8mb4", "", `""`),
	{columnType: "enum('x','é')", charset: "latin1", copied: "\xe9", replicated: "é", want: `"é"`},
	{columnType: "enum('x','中')", charset: "gbk", copied: "\xd6\xd0", replicated: "中", want: `"中"`},
	{columnType: "enum('x','é')", charset: "utf16", copied: "\x00\xe9", replicated: "é", want: `"é"`},

	text("set('a','b','é','it''s')", "utf8mb4", "é,it's", `"é,it's"`),
	text("set('a','b','é','it''s')", "utf8mb4", "", `""`),
	{columnType: "set('a','é')", charset: "latin1", copied: "a,\xe9", replicated: "a,é", want: `"a,é"`},

	same("json", `{"a": [1, 2.50, null], "b": "é\u0001\n\"\\ /"}`, `{"a": [1, 2.50, null], "b": "é\u0001\n\"\\ /"}`),
	same("json", `[]`, `[]`),
	same("json", `{}`, `{}`),
	same("json", `"s"`, `"s"`),
	same("json", `true`, `true`),
	same("json", `null`, `null`),
	same("json", `18446744073709551615`, `18446744073709551615`),
	same("json", `1e300`, `1e300`),
	same("json", `-0.0`, `-0.0`),
	{
		columnType: "json", copied: `{"d": 0.50, "e": -0.50, "l": [0.1, 0.2]}`, replicated: `{"d": .50, "e": -.50, "l": [.1, .2]}`,
		want: `{"d": 0.50, "e": -0.50, "l": [0.1, 0.2]}`, // Vitess 24.0.0
	},
	{columnType: "json", copied: `[12, 0.5]`, replicated: `[000000012, 000000000.5]`, want: `[12, 0.5]`}, // older Vitess
	{
		columnType: "json", copied: `"\u001f\u0007\u000b😀�\u007f"`, replicated: `"\x1f\a\v\U0001f600\xff\x7f"`,
		want: "\"\\u001f\\u0007\\u000b😀�\u007f\"", wantCopied: `"\u001f\u0007\u000b😀�\u007f"`, // older Vitess
	},
	{
		columnType: "json", copied: `{"bin": "base64:type15:AP8="}`, replicated: `"base64:type15:AP8="}`,
		want: `null`, wantCopied: `{"bin": "base64:type15:AP8="}`, // Vitess 24.0.0
	},
	same("json", ``, `null`),
	same("json", "[1,\n\r2]", `[1,  2]`),

	same("binary(4)", "a\x00\x00\x00", `"YQAAAA=="`),
	same("varbinary(10)", "\x00\xff", `"AP8="`),
	same("varbinary(10)", "", `""`),
	same("tinyblob", "\x00\xff", `"AP8="`),
	same("blob", "  ", `"ICA="`),
	same("longblob", "\x00\xff", `"AP8="`),
	same("mediumblob", "\x00\xff", `"AP8="`),

	same(
		"geometry",
		"\x00\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf0?\x00\x00\x00\x00\x00\x00\x00@",
		`"AAAAAAEBAAAAAAAAAAAA8D8AAAAAAAAAQA=="`,
	),
	same(
		"point",
		"\x00\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf0?\x00\x00\x00\x00\x00\x00\x00@",
		`"AAAAAAEBAAAAAAAAAAAA8D8AAAAAAAAAQA=="`,
	),
	same("geomcollection", "\x00\x00\x00\x00\x01\x07\x00\x00\x00\x00\x00\x00\x00", `"AAAAAAEHAAAAAAAAAA=="`),

	same("vector(3)", "\x00\x00\x80?\x00\x00 @?\xed\xa4\xaf", `[1,2.5,-3e-10]`),
	same("vector(3)", "", `[]`),
	same("vector(1)", "\x00\x00\xc0\x7f", `null`), // NaN

	same("inet6", "::1", `"::1"`), // MariaDB's
	same("uuid", "\xff", `"�"`),
}

// oneColumn returns a table with the column v, and its FIELD event.
func oneColumn(columnType, charset string) (*table.Table, *binlogdatapb.FieldEvent) {
	t := &table.Table{Name: "t", Columns: []table.Column{{Name: "v", Type: columnType, Charset: charset}}}
	f := &binlogdatapb.FieldEvent{Fields: []*querypb.Field{{Name: "v", ColumnType: columnType}}, EnumSetStringValues: true}
	return t, f
}

func rowOf(values ...string) *querypb.Row {
	r := &querypb.Row{}
	for _, v := range values {
		r.Lengths = append(r.Lengths, int64(len(v)))
		r.Values = append(r.Values, v...)
	}
	return r
}

// encoded returns a row as it is received.
func encoded(r *querypb.Row) wire.Row {
	data, err := (&binlogdatapb.RowChange{After: r}).MarshalVT()
	if err != nil {
		panic(err)
	}
	change, err := wire.NewChange(data)
	if err != nil {
		panic(err)
	}
	return change.After
}

func compile(t testing.TB, tab *table.Table, f *binlogdatapb.FieldEvent, ph Phase, o Options) *Plan {
	t.Helper()
	var names []string
	for _, field := range f.Fields {
		names = append(names, field.Name)
	}
	p, err := Compile(tab, f, names, ph, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEveryTypeInBothPhases(t *testing.T) {
	for _, e := range examples {
		check := func(ph Phase, value, want string) {
			t.Run(fmt.Sprintf("%s/%.30q/%d", e.columnType, value, ph), func(t *testing.T) {
				tab, f := oneColumn(e.columnType, e.charset)
				got, changes, err := compile(t, tab, f, ph, e.options).Append(nil, encoded(rowOf(value)), nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(`"v":`+want, string(got)); diff != "" {
					t.Error(diff)
				}
				var wantChanges []Change
				if want == "null" && value != "null" {
					wantChanges = []Change{{Field: "v", Change: "NULLED", Reason: "SOURCE_SERIALIZATION_ERROR"}}
				}
				if diff := cmp.Diff(wantChanges, changes); diff != "" {
					t.Error(diff)
				}
				matchesSchema(t, JSONSchema(tab.Columns[0], e.options), got[len(`"v":`):])
			})
		}
		wantCopied := e.wantCopied
		if wantCopied == "" {
			wantCopied = e.want
		}
		check(Copy, e.copied, wantCopied)
		check(Replicate, e.replicated, e.want)
	}
}

// matchesSchema validates a value, with the formats as Airbyte defines them: without a time zone if airbyte_type says so.
func matchesSchema(t *testing.T, fragment json.RawMessage, value []byte) {
	t.Helper()
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		t.Fatalf("%q: %v", value, err)
	}
	if err := compileFragment(t, fragment).Validate(instance); err != nil {
		t.Errorf("%s does not match %s: %v", value, fragment, err)
	}
}

func compileFragment(t testing.TB, fragment json.RawMessage) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	c.AssertFormat()
	c.AssertContent()
	moment := `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$`
	if bytes.Contains(fragment, []byte("timestamp_with_timezone")) {
		moment = strings.Replace(moment, "$", "Z$", 1)
	}
	c.RegisterFormat(&jsonschema.Format{Name: "date-time", Validate: matches(moment)})
	c.RegisterFormat(&jsonschema.Format{Name: "time", Validate: matches(`^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?$`)})
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(fragment))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddResource("column.json", doc); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile("column.json")
}

func matches(pattern string) func(any) error {
	re := regexp.MustCompile(pattern)
	return func(v any) error {
		if s, ok := v.(string); ok && !re.MatchString(s) {
			return fmt.Errorf("%q does not match %s", s, pattern)
		}
		return nil
	}
}

func TestEveryKindHasAnExample(t *testing.T) {
	for _, k := range allKinds() {
		if exampleOf(k).columnType == "" {
			t.Errorf("no example of %s", k.title)
		}
	}
}

func allKinds() []*kind {
	var all []*kind
	for i := range kinds {
		all = append(all, &kinds[i])
	}
	return append(all, &unknownKind)
}

func exampleOf(k *kind) example {
	for _, e := range examples {
		if !e.options.TinyIntAsInteger && kindOf(table.ParseType(e.columnType), e.options) == k {
			return e
		}
	}
	return example{}
}

func TestADocumentThatIsNoneIsNull(t *testing.T) {
	for _, value := range []string{
		``, ` `, `-`, `[-]`, `.`, `-.`, `1.`, `1e`, `1e+`, `+1`, `1 2`, `1x`, `nul`, `truefalse`, `NaN`, `[`, `]`, `[1`, `[1,]`, `[,1]`, `[1 2]`, `[}`, `{]`, `[1}`, `{"a":1]`, `{`, `{"a"`, `{"a":`,
		`{"a":1,}`, `{"a" 1}`, `{a:1}`, `{1:1}`, `"`, `"\`, `"\q"`, `"\u12"`, `"\u00g0"`, `"\x1"`, `'a'`, "\xef\xbb\xbf1", "\v1", "\x00", strings.Repeat("[", 130) + strings.Repeat("]", 130),
		`"base64:type15:AP8="]`, `"base64:type15:AP8="}, "c": 1}`,
	} {
		if out, err := appendDocument(nil, []byte(value)); !errors.Is(err, errNoJSON) {
			t.Errorf("%q became %q, %v", value, out, err)
		}
	}
}

func TestJSONSchema(t *testing.T) {
	for _, test := range []struct {
		column table.Column
		o      Options
		want   string
	}{
		{table.Column{Type: "tinyint(1)"}, Options{}, `{"type":"boolean"}`},
		{table.Column{Type: "tinyint(1)", Nullable: true}, Options{TinyIntAsInteger: true}, `{"type":["null","number"],"airbyte_type":"integer"}`},
		{table.Column{Type: "INT UNSIGNED"}, Options{}, `{"type":"number","airbyte_type":"integer"}`},
		{table.Column{Type: "decimal(10,0) unsigned"}, Options{}, `{"type":"number","airbyte_type":"integer"}`},
		{table.Column{Type: "decimal(10,2)"}, Options{}, `{"type":"number"}`},
		{table.Column{Type: "date"}, Options{}, `{"type":["null","string"],"format":"date"}`},
		{table.Column{Type: "datetime(6)"}, Options{}, `{"type":["null","string"],"format":"date-time","airbyte_type":"timestamp_without_timezone"}`},
		{table.Column{Type: "timestamp"}, Options{}, `{"type":["null","string"],"format":"date-time","airbyte_type":"timestamp_with_timezone"}`},
		{table.Column{Type: "time"}, Options{}, `{"type":["null","string"],"format":"time","airbyte_type":"time_without_timezone"}`},
		{table.Column{Type: "varchar(20)", Nullable: true}, Options{}, `{"type":["null","string"]}`},
		{table.Column{Type: "varchar(20)"}, Options{}, `{"type":"string"}`},
		{table.Column{Type: "longtext"}, Options{}, `{"type":["null","string"]}`},
		{table.Column{Type: "blob"}, Options{}, `{"type":"string","contentEncoding":"base64"}`},
		{table.Column{Type: "vector(3)"}, Options{}, `{"type":["null","array"],"items":{"type":"number"}}`},
		{table.Column{Type: "json"}, Options{}, `{"oneOf":[{"type":"null"},{"type":"array"},{"type":"object"},{"type":"number"},{"type":"string"},{"type":"boolean"}],"airbyte_type":"json"}`},
		{table.Column{Type: "uuid"}, Options{}, `{"type":["null","string"]}`},
	} {
		if got := string(JSONSchema(test.column, test.o)); got != test.want {
			t.Errorf("%s: %s, want %s", test.column.Type, got, test.want)
		}
	}
}

func TestTypesMD(t *testing.T) {
	const path = "../../TYPES.md"
	var b strings.Builder
	b.WriteString(typesHead)
	for _, k := range allKinds() {
		e := exampleOf(k)
		fmt.Fprintf(&b, "| %s | `%s` | `%s` | %s |\n", k.title, k.shape.fragment(k.nulls), e.want, k.note)
	}
	appendDifferences(&b)
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(got)); diff != "" {
		t.Errorf("TYPES.md is outdated; run go test ./internal/row -run TypesMD -update: %s", diff)
	}
}

const typesHead = `<!-- Printed from the type table in internal/row/types.go: go test ./internal/row -run TypesMD -update -->

# From a MySQL column to JSON

A row has the same JSON whether it was copied or replicated from the binary log, except for the values listed at the end. The type test
(go test -run TestTypes ./e2e) checks all of this on a real server.

- A nullable column has ` + "`\"null\"`" + ` before its type. The types that show it below have it even in a NOT NULL column, because some of their values
  cannot be represented in JSON or Airbyte. Such a value is null, and *marked*: the record's ` + "`meta.changes`" + ` has an entry with ` + "`NULLED`" + ` and
  ` + "`SOURCE_SERIALIZATION_ERROR`" + `.
- A value whose JSON is longer than 20,000,000 characters is null, and marked with ` + "`SOURCE_FIELD_SIZE_LIMITATION`" + `; the log has a warning.
- Generated and invisible columns are synced like all others.
- MySQL 8.0.19 and later drop the (1) of ` + "`TINYINT(1) UNSIGNED`" + `: such a column is an integer.

| MySQL | JSON schema | example | notes |
|---|---|---|---|
`
