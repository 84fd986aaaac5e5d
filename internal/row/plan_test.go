package row

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"source-planetscale/internal/table"

	"github.com/google/go-cmp/cmp"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"
)

// users is a table with the common types; its key is (id, region).
func users() (*table.Table, *binlogdatapb.FieldEvent, *querypb.Row) {
	t := &table.Table{Name: "users", Key: []string{"id", "region"}}
	f := &binlogdatapb.FieldEvent{}
	r := &querypb.Row{}
	for _, c := range [][3]string{
		{"id", "bigint unsigned", "1234567"},
		{"email", "varchar(255)", "someone@example.com"},
		{"active", "tinyint(1)", "1"},
		{"balance", "decimal(10,2)", "-12.50"},
		{"created", "datetime(6)", "2026-11-22 10:30:00.123456"},
		{"region", "int", "42"},
		{"seen", "timestamp", "2026-11-22 10:30:00"},
		{"score", "double", "2.5E-10"},
	} {
		t.Columns = append(t.Columns, table.Column{Name: c[0], Type: c[1]})
		f.Fields = append(f.Fields, &querypb.Field{Name: c[0], ColumnType: c[1], Charset: 255})
		r.Lengths = append(r.Lengths, int64(len(c[2])))
		r.Values = append(r.Values, c[2]...)
	}
	return t, f, r
}

func TestAppendEmitsTheColumnsAskedForInTheOrderOfTheRow(t *testing.T) {
	tab, f, r := users()
	r.Lengths[1] = -1
	r.Values = []byte(strings.Replace(string(r.Values), "someone@example.com", "", 1))
	for _, test := range []struct {
		columns []string
		want    string
	}{
		{[]string{"score", "active", "email"}, `x"email":null,"active":true,"score":2.5e-10`},
		{[]string{"id"}, `x"id":1234567`},
	} {
		p, err := Compile(tab, f, test.columns, Replicate, Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, changes, err := p.Append([]byte("x"), encoded(r), nil, nil)
		if err != nil || changes != nil || string(got) != test.want {
			t.Errorf("%s %v %v, want %s", got, changes, err, test.want)
		}
	}
}

func TestColumnNamesAreEscaped(t *testing.T) {
	name := "a\"b\\c.`d`\n\xff日"
	tab := &table.Table{Name: "t", Columns: []table.Column{{Name: name, Type: "int"}}}
	f := &binlogdatapb.FieldEvent{Fields: []*querypb.Field{{Name: name}}}
	got, _, err := compile(t, tab, f, Copy, Options{}).Append(nil, encoded(rowOf("1")), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var record map[string]int
	if err := json.Unmarshal([]byte("{"+string(got)+"}"), &record); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"a\"b\\c.`d`\n\uFFFD日": 1}, record); diff != "" {
		t.Error(diff)
	}
}

func TestTheEventsColumnTypeDecides(t *testing.T) {
	for _, test := range []struct{ event, schema, want string }{
		{"bit(1)", "int", `"v":true`},
		{"", "bit(1)", `"v":true`},
		{"", "", `"v":"\u0001"`},
	} {
		tab := &table.Table{Name: "t", Columns: []table.Column{{Name: "v", Type: test.schema}}}
		f := &binlogdatapb.FieldEvent{Fields: []*querypb.Field{{Name: "v", ColumnType: test.event, Type: querypb.Type_VARBINARY}}}
		got, _, err := compile(t, tab, f, Copy, Options{}).Append(nil, encoded(rowOf("\x01")), nil, nil)
		if err != nil || string(got) != test.want {
			t.Errorf("%s %v, want %s", got, err, test.want)
		}
	}
}

func TestTheCharsetIsTheSchemasElseTheFields(t *testing.T) {
	for _, test := range []struct {
		schema string
		field  uint32
		want   string
	}{
		{"latin1", 255, `"v":"é"`},
		{"latin1", 0, `"v":"é"`}, // as for gbk, whose collations Vitess does not know
		{"", 47, `"v":"é"`},      // latin1_bin
		{"", 51, `"v":"й"`},      // cp1251_general_ci
		{"", 0, `"v":"�"`},
		{"", 63, `"v":"�"`},
	} {
		tab, f := oneColumn("varchar(9)", test.schema)
		f.Fields[0].Charset = test.field
		got, _, err := compile(t, tab, f, Copy, Options{}).Append(nil, encoded(rowOf("\xe9")), nil, nil)
		if err != nil || string(got) != test.want {
			t.Errorf("%q %d: %s %v, want %s", test.schema, test.field, got, err, test.want)
		}
	}
}

func TestARowThatDoesNotFitIsAnError(t *testing.T) {
	tab, f, good := users()
	p := compile(t, tab, f, Replicate, Options{})
	with := func(change func(r *querypb.Row)) *querypb.Row {
		r := good.CloneVT()
		change(r)
		return r
	}
	for name, r := range map[string]*querypb.Row{
		"no row":              nil,
		"too few values":      with(func(r *querypb.Row) { r.Lengths = r.Lengths[:7] }),
		"too many values":     with(func(r *querypb.Row) { r.Lengths = append(r.Lengths, -1) }),
		"bytes left over":     with(func(r *querypb.Row) { r.Values = append(r.Values, '1') }),
		"bytes missing":       with(func(r *querypb.Row) { r.Values = r.Values[:len(r.Values)-1] }),
		"a length below -1":   with(func(r *querypb.Row) { r.Lengths[7], r.Values = -2, r.Values[:len(r.Values)-len("2.5E-10")] }),
		"an enormous length":  with(func(r *querypb.Row) { r.Lengths[1] = 1<<63 - 1 }),
		"shifted by a column": with(func(r *querypb.Row) { r.Lengths[0], r.Lengths[1] = r.Lengths[1], r.Lengths[0] }),
	} {
		earlier := []Change{{Field: "earlier"}}
		got, changes, err := p.Append([]byte("x"), encoded(r), earlier, nil)
		if err == nil || string(got) != "x" || len(changes) != 1 {
			t.Errorf("%s: %s %v %v", name, got, changes, err)
			continue
		}
		if !strings.Contains(err.Error(), `"users"`) || !strings.Contains(err.Error(), "clear the stream") {
			t.Errorf("%s: the error names no table or no fix: %v", name, err)
		}
	}
}

func TestMalformedValuesAreErrorsWithoutTheValue(t *testing.T) {
	for columnType, values := range map[string][]string{
		"int":           {"", "-", "1.5", "secret", "1 ", "+1", "--1"},
		"tinyint(1)":    {"", "-", "secret", "true"},
		"decimal(5,2)":  {"-", ".", "-.", "1.2.3", "secret", "1e5", "+1"},
		"float":         {"", "inf", "NaN", "0x1p-2", "secret", "1e39", "-", "1_0"},
		"double":        {"", "Infinity", "-inf", "1e309", "e"},
		"bit(1)":        {"", "\x00\x01"},
		"date":          {"", "secret", "2026-11-2", "2026/11/22", "2026-11-22 ", "2026-1x-22"},
		"datetime":      {"", "2026-11-22", "2026-11-22T10:30:00", "2026-11-22 10:30:00.", "2026-11-22 10:30:00.1234567", "2026-11-22 10:30:00,1"},
		"timestamp":     {"", "secret"},
		"time":          {"", "-", "secret", "1:00:00", "10:30", "10:30:00.", "1000:00:00", "10:30:00.1234567", "--10:30:00"},
		"vector(1)":     {"\x00\x00\x00"},
		"enum('a','b')": {"3", "18446744073709551615"},
		"set('a','b')":  {"4", "18446744073709551615"},
	} {
		tab, f := oneColumn(columnType, "")
		f.EnumSetStringValues = false
		p := compile(t, tab, f, Replicate, Options{})
		for _, value := range values {
			got, _, err := p.Append(nil, encoded(rowOf(value)), nil, nil)
			if err == nil {
				t.Errorf("%s %q: %s, no error", columnType, value, got)
				continue
			}
			if !strings.Contains(err.Error(), `"v"`) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s %q: the error names no column, or contains the value: %v", columnType, value, err)
			}
		}
	}
}

func TestCompileNamesTheColumnThatIsMissing(t *testing.T) {
	tab, f, _ := users()
	for _, test := range []struct {
		fields  []*querypb.Field
		columns []string
		missing string
	}{
		{f.Fields, []string{"id", "nickname"}, `"nickname"`},
		{f.Fields[:5], []string{"id"}, `"region"`}, // a key column
		{[]*querypb.Field{{Name: "@1"}, {Name: "@2"}}, []string{"id"}, `"id"`},
		{f.Fields, nil, "any of the columns to send"},
	} {
		_, err := Compile(tab, &binlogdatapb.FieldEvent{Fields: test.fields}, test.columns, Replicate, Options{})
		if err == nil || !strings.Contains(err.Error(), test.missing) || !strings.Contains(err.Error(), `"users"`) {
			t.Errorf("%v does not name %s", err, test.missing)
		}
	}
}

func TestCompileNamesTheColumnWhoseLabelsCannotBeRead(t *testing.T) {
	for _, columnType := range []string{"enum('a", "enum", "set()", "enum(1)", "set('a') = ('b')", "enum('a',b)"} {
		tab, f := oneColumn(columnType, "")
		f.EnumSetStringValues = false
		if _, err := Compile(tab, f, []string{"v"}, Replicate, Options{}); err == nil || !strings.Contains(err.Error(), `"v"`) {
			t.Errorf("%s: %v", columnType, err)
		}
	}
}

func TestKeyChanged(t *testing.T) {
	tab, f, before := users()
	p := compile(t, tab, f, Replicate, Options{})
	with := func(i int, value string) *querypb.Row {
		r := &querypb.Row{}
		rest := before.Values
		for j, n := range before.Lengths {
			v := string(rest[:n])
			rest = rest[n:]
			if i == j {
				v = value
			}
			r.Lengths = append(r.Lengths, int64(len(v)))
			r.Values = append(r.Values, v...)
		}
		return r
	}
	cutOff := before.CloneVT()
	cutOff.Lengths[7]++
	null := with(5, "")
	null.Lengths[5] = -1
	for name, test := range map[string]struct {
		after *querypb.Row
		want  bool
	}{
		"the same":             {before, false},
		"another email":        {with(1, "other@example.com"), false},
		"another id":           {with(0, "7654321"), true},
		"another region":       {with(5, "43"), true},
		"region becomes NULL":  {null, true},
		"region becomes empty": {with(5, ""), true},
		"no after":             {nil, true},
		"too long a last one":  {cutOff, false}, // Append refuses it
		"bytes missing":        {&querypb.Row{Lengths: before.Lengths, Values: before.Values[:9]}, true},
	} {
		if got := p.KeyChanged(encoded(before), encoded(test.after)); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
		if got := p.KeyChanged(encoded(test.after), encoded(before)); got != test.want {
			t.Errorf("%s, swapped: %v", name, got)
		}
	}
	if p.KeyChanged(encoded(null), encoded(with(5, ""))) != true || p.KeyChanged(encoded(null), encoded(null)) {
		t.Error("NULL is not distinguished from the empty value, or differs from itself")
	}
	tab.Key = nil
	if compile(t, tab, f, Replicate, Options{}).KeyChanged(encoded(before), encoded(with(0, "2"))) {
		t.Error("a key changed in a table without one")
	}
}

func TestTooLongAValueIsNull(t *testing.T) {
	t.Parallel()
	full := MaxLength - len(`""`)
	for _, test := range []struct {
		name, columnType, value string
		length                  int // 0: the value fits
	}{
		{"just fits", "longtext", strings.Repeat("x", full), 0},
		{"one too many", "longtext", strings.Repeat("x", full+1), MaxLength + 1},
		{"characters count, not bytes", "longtext", strings.Repeat("é", full), 0},
		{"a character of two UTF-16 units", "longtext", strings.Repeat("x", full-1) + "😀", MaxLength + 1},
		{"escapes count", "longtext", strings.Repeat("\n", full/2+1), MaxLength + 2},
		{"a document", "json", `"` + strings.Repeat("x", full+1) + `"`, MaxLength + 1},
		{"base64", "longblob", strings.Repeat("x", MaxLength/4*3), MaxLength + 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			tab, f := oneColumn(test.columnType, "utf8mb4")
			got, changes, err := compile(t, tab, f, Copy, Options{}).Append(nil, encoded(rowOf(test.value)), nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			var want []Change
			if test.length > 0 {
				want = []Change{{Field: "v", Change: "NULLED", Reason: "SOURCE_FIELD_SIZE_LIMITATION", Length: test.length}}
			}
			if diff := cmp.Diff(want, changes); diff != "" {
				t.Error(diff)
			}
			if isNull := string(got) == `"v":null`; isNull != (test.length > 0) {
				t.Errorf("%.20s… of %d bytes", got, len(got))
			}
		})
	}
}

func TestChangesAreAddedToThoseBefore(t *testing.T) {
	tab, f := oneColumn("date", "")
	p := compile(t, tab, f, Copy, Options{})
	_, changes, err := p.Append(nil, encoded(rowOf("0000-00-00")), []Change{{Field: "a"}}, nil)
	if err != nil || len(changes) != 2 || changes[0].Field != "a" || changes[1].Field != "v" {
		t.Error(changes, err)
	}
}

func TestCommonTypesAllocateNothing(t *testing.T) {
	tab, f, r := users()
	p := compile(t, tab, f, Replicate, Options{})
	buffer := make([]byte, 0, 4096)
	var err error
	row := encoded(r)
	run := func() { _, _, err = p.Append(buffer, row, nil, nil) }
	if n := testing.AllocsPerRun(100, run); n != 0 || err != nil {
		t.Errorf("%v allocations, %v", n, err)
	}
	if n := testing.AllocsPerRun(100, func() { p.KeyChanged(row, row) }); n != 0 {
		t.Errorf("%v allocations to compare keys", n)
	}
	for _, e := range examples {
		if e.want == "null" || bytes.ContainsAny([]byte(e.replicated), "\\\n") || e.replicated != e.copied {
			continue // changes and repaired documents may allocate
		}
		tab, f := oneColumn(e.columnType, e.charset)
		p, row := compile(t, tab, f, Replicate, e.options), encoded(rowOf(e.replicated))
		if n := testing.AllocsPerRun(10, func() { _, _, err = p.Append(buffer, row, nil, nil) }); n != 0 || err != nil {
			t.Errorf("%s %q: %v allocations, %v", e.columnType, e.replicated, n, err)
		}
	}
}

func BenchmarkAppend5(b *testing.B) { benchmarkAppend(b, 5) }

func BenchmarkAppend8(b *testing.B) { benchmarkAppend(b, 8) }

func benchmarkAppend(b *testing.B, columns int) {
	tab, f, r := users()
	tab.Key = nil
	f.Fields, r.Lengths = f.Fields[:columns], r.Lengths[:columns]
	var size int64
	for _, n := range r.Lengths {
		size += n
	}
	r.Values = r.Values[:size]
	p := compile(b, tab, f, Replicate, Options{})
	row := encoded(r)
	var buffer []byte
	var err error
	b.ReportAllocs()
	for b.Loop() {
		if buffer, _, err = p.Append(buffer[:0], row, nil, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkText(b *testing.B) {
	value := []byte(strings.Repeat("The quick brown fox jumps over the lazy dog, é. ", 200))
	buffer := make([]byte, 0, 2*len(value))
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		appendString(buffer, value)
	}
}

func BenchmarkDocument(b *testing.B) {
	value := []byte(`[` + strings.Repeat(`{"name": "someone", "n": [1, 2.5, null]}, `, 200) + `0]`)
	buffer := make([]byte, 0, 2*len(value))
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		if _, err := appendDocument(buffer, value); err != nil {
			b.Fatal(err)
		}
	}
}

func TestPlainLen(t *testing.T) {
	text := []byte("abcdefghijklmnopqrstuvwxyz ~!#[]\x7f0")
	for at := range text {
		for b := range 256 {
			s := bytes.Clone(text)
			s[at] = byte(b)
			want := 0
			for want < len(s) && ' ' <= s[want] && s[want] < utf8.RuneSelf && s[want] != '"' && s[want] != '\\' {
				want++
			}
			if got := plainLen(s); got != want {
				t.Fatalf("byte %#x at %d: %d, want %d", b, at, got, want)
			}
		}
	}
}

func TestForms(t *testing.T) {
	for _, text := range []string{"0000-00-00", "0000-00-00 00:00:00", "00:00:00"} {
		f := newForm(text)
		for at := range text {
			for b := range 256 {
				value := []byte(strings.ReplaceAll(text, "0", "7"))
				value[at] = byte(b)
				want := text[at] == byte(b) || text[at] == '0' && isDigit(byte(b))
				if f.has(value) != want {
					t.Fatalf("%q has the form %s: %v", value, text, !want)
				}
			}
		}
		if f.has([]byte(text[1:])) || f.has([]byte(text+"0")) {
			t.Errorf("a value of another length has the form %s", text)
		}
	}
}
