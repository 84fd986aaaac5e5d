package row

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"source-planetscale/internal/table"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"
)

// declare writes labels as MySQL does in COLUMN_TYPE (append_unescaped in sql/unireg.cc).
func declare(base string, labels []string) string {
	escape := strings.NewReplacer("'", "''", "\\", "\\\\", "\x00", "\\0", "\n", "\\n", "\r", "\\r")
	quoted := make([]string, len(labels))
	for i, label := range labels {
		quoted[i] = "'" + escape.Replace(label) + "'"
	}
	return base + "(" + strings.Join(quoted, ",") + ")"
}

// FuzzLabels checks that each number finds the label it was declared with.
func FuzzLabels(f *testing.F) {
	for _, label := range []string{"", "a", "b,c", "it's", "''", "é日😀", "12", "\\", "\\'", "a\nb\r\t\x00", "q\"", ")", "('", "\x1a%_"} {
		f.Add(label, "x", "y'")
		f.Add("x", label, label+label)
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		labels := []string{a, b, c}
		for i, label := range labels {
			if !utf8.ValidString(label) {
				t.Skip()
			}
			checkLabel(t, declare("enum", labels), strconv.Itoa(i+1), label)
		}
		checkLabel(t, declare("set", labels), "5", a+","+c)
	})
}

func checkLabel(t *testing.T, declaration, number, want string) {
	t.Helper()
	tab, f := oneColumn(declaration, "")
	f.EnumSetStringValues = false
	out, _, err := compile(t, tab, f, Replicate, Options{}).Append(nil, encoded(rowOf(number)), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ V string }
	if err := json.Unmarshal([]byte("{"+string(out)+"}"), &got); err != nil {
		t.Fatal(err)
	}
	if got.V != want {
		t.Errorf("%s %s: %q, want %q", declaration, number, got.V, want)
	}
}

// FuzzDeclaration checks that no declaration and no value causes a panic.
func FuzzDeclaration(f *testing.F) {
	for _, e := range examples {
		f.Add(e.columnType, e.charset, e.replicated)
	}
	f.Add("enum('a','b", "latin1", "1")
	f.Add("set(", "utf16", "18446744073709551616")
	f.Add("enum('a'), drop table t", "", "0")
	f.Add("a)(", "", "")
	f.Fuzz(func(t *testing.T, columnType, charset, value string) {
		tab, field := oneColumn(columnType, charset)
		Warning(tab.Columns[0], Options{})
		for _, labels := range []bool{true, false} {
			field.EnumSetStringValues = labels
			for _, ph := range []Phase{Copy, Replicate} {
				p, err := Compile(tab, field, []string{"v"}, ph, Options{})
				if err != nil {
					continue
				}
				checkRow(t, p, rowOf(value))
			}
		}
	})
}

// checkRow checks that a row is either an error or one valid object on one line, with a null for each change.
func checkRow(t *testing.T, p *Plan, r *querypb.Row) {
	t.Helper()
	out, changes, err := p.Append([]byte("{"), encoded(r), nil, nil)
	if err != nil {
		if string(out) != "{" || changes != nil {
			t.Errorf("an error, and yet %s %v", out, changes)
		}
		return
	}
	record := append(out, '}')
	if !json.Valid(record) || !utf8.Valid(record) || bytes.ContainsAny(record, "\n\r") {
		t.Errorf("%q is not JSON on one line", record)
	}
	for _, c := range changes {
		if !bytes.Contains(record, append(appendMember("", c.Field), "null"...)) {
			t.Errorf("%v without a null: %s", c, record)
		}
	}
}

// FuzzString compares the encoder of strings with encoding/json.
func FuzzString(f *testing.F) {
	for _, e := range examples {
		f.Add([]byte(e.copied))
	}
	f.Add([]byte("\xed\xa0\x80\xf4\x90\x80\x80\u2028\u2029\x7f\x00"))
	f.Fuzz(func(t *testing.T, value []byte) {
		theirs, err := json.Marshal(string(value))
		if err != nil {
			t.Fatal(err)
		}
		var want, got string
		if err := json.Unmarshal(theirs, &want); err != nil {
			t.Fatal(err)
		}
		ours := appendString(nil, value)
		if err := json.Unmarshal(ours, &got); err != nil {
			t.Fatalf("%q: %v", ours, err)
		}
		if got != want || !utf8.Valid(ours) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// FuzzCharsets checks that no bytes make a decoder panic, loop forever or produce anything but JSON.
func FuzzCharsets(f *testing.F) {
	samples := charsetSamples(f)
	for i, s := range samples {
		f.Add(uint8(i), s.bytes)
		f.Add(uint8(i), s.bytes[1:])
	}
	f.Fuzz(func(t *testing.T, set uint8, value []byte) {
		encode, err := compileText(source{charset: samples[int(set)%len(samples)].name})
		if err != nil {
			t.Fatal(err)
		}
		out, err := encode(nil, value)
		if err != nil || !json.Valid(out) || !utf8.Valid(out) {
			t.Errorf("%q %v", out, err)
		}
	})
}

var temporals = []struct {
	encode encoder
	form   *regexp.Regexp
	layout string // for time.Parse, which accepts optional fractions
	suffix string
}{
	{appendDate, regexp.MustCompile(`^\d{4}-\d\d-\d\d\z`), "2006-01-02", ""},
	{appendDatetime, regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?\z`), "2006-01-02 15:04:05", ""},
	{appendTimestamp, regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?\z`), "2006-01-02 15:04:05", "Z"},
	{appendTime, regexp.MustCompile(`^-?\d{2,3}:\d\d:\d\d(\.\d{1,6})?\z`), "15:04:05", ""},
}

// FuzzTemporal compares dates and times with time.Parse.
func FuzzTemporal(f *testing.F) {
	for _, e := range examples {
		f.Add(e.copied)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for i, temporal := range temporals {
			out, err := temporal.encode(nil, []byte(value))
			parsed, invalid := time.Parse(temporal.layout, value)
			possible := invalid == nil && (parsed.Year() > 0 || i == 3)
			switch {
			case !temporal.form.MatchString(value):
				if !errors.Is(err, errMalformed) {
					t.Errorf("%d %q: %s %v, want malformed", i, value, out, err)
				}
			case !possible:
				if !errors.Is(err, errNoJSON) {
					t.Errorf("%d %q: %s %v, want null", i, value, out, err)
				}
			default:
				if want := `"` + strings.Replace(value, " ", "T", 1) + temporal.suffix + `"`; err != nil || string(out) != want {
					t.Errorf("%d %q: %s %v, want %s", i, value, out, err, want)
				}
			}
		}
	})
}

var (
	decimalForm    = regexp.MustCompile(`^(-?(\d+(\.\d*)?|\.\d+))?\z`)
	canonicalForm  = regexp.MustCompile(`^-?(0|[1-9]\d*)(\.\d+)?\z`)
	integerForm    = regexp.MustCompile(`^-?\d+\z`)
	zeroWithAMinus = regexp.MustCompile(`^-[0.]+\z`)
)

// FuzzNumber compares DECIMAL and the integers with math/big, FLOAT and DOUBLE with strconv.
func FuzzNumber(f *testing.F) {
	for _, e := range examples {
		f.Add(e.replicated)
	}
	for _, s := range []string{"-0", "-00", "-007", "-", ".", "-.", "1.", "+1", "1e5", "inf", "nan", "0x1", "1_0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		checkExact(t, appendDecimal, decimalForm, value)
		checkExact(t, appendInteger, integerForm, value)
		for _, bits := range []int{32, 64} {
			out, err := appendFloat(nil, []byte(value), bits)
			if err != nil {
				continue
			}
			want, _ := strconv.ParseFloat(value, bits)
			got, err := strconv.ParseFloat(string(out), bits)
			if err != nil || got != want || !json.Valid(out) || len(out) > 25 {
				t.Errorf("%q as %d bits: %s", value, bits, out)
			}
		}
	})
}

func checkExact(t *testing.T, encode encoder, form *regexp.Regexp, value string) {
	t.Helper()
	out, err := encode(nil, []byte(value))
	if form.MatchString(value) != (err == nil) {
		t.Fatalf("%q: %s %v", value, out, err)
	}
	if err != nil {
		return
	}
	if !canonicalForm.Match(out) || zeroWithAMinus.Match(out) {
		t.Errorf("%q: %s is not canonical", value, out)
	}
	if value == "" {
		value = "0"
	}
	want, ok := new(big.Rat).SetString(value)
	got, ok2 := new(big.Rat).SetString(string(out))
	if !ok || !ok2 || got.Cmp(want) != 0 {
		t.Errorf("%q became %s", value, out)
	}
}

// FuzzDocument checks that every output is JSON, and that valid JSON is unchanged, whether or not it passes through the repair of
// older releases' spellings.
func FuzzDocument(f *testing.F) {
	for _, e := range examples {
		f.Add([]byte(e.replicated))
	}
	for _, s := range []string{
		`{"a":{"b":[{},[],""]}}`, `[`, `{`, `{"a"`, `{"a":`, `{"a":1,}`, `[1,]`, `[,1]`, `1 2`, `{a:1}`, `nul`, `truefalse`, `-`, `.`, `-.`, `1.`, `01`, `-007.50e+1`, `1e`,
		`"\u12"`, `"\UFFFFFFFF"`, `"\U0010ffff"`, `"\x"`, `"\q"`, `"\`, `"`, `]`, `}`, `[}`, "\"\n\x01\xff\"", "\xef\xbb\xbf1", "[1,\n2]", "\"\\\n\"", "\v1", "\x00",
		strings.Repeat("[", 100) + strings.Repeat("]", 100), strings.Repeat("[", 128) + strings.Repeat("]", 128), strings.Repeat(`{"a":`,
			129) + "1" + strings.Repeat("}", 129),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		out, err := appendDocument(nil, value)
		if mended, mendErr := mendDocument(nil, value); !bytes.Equal(out, mended) || !errors.Is(err, mendErr) {
			t.Fatalf("%q became %q (%v), or %q (%v)", value, out, err, mended, mendErr)
		}
		if err == nil && (!json.Valid(out) || !utf8.Valid(out) || bytes.ContainsAny(out, "\n\r")) {
			t.Fatalf("%q became %q", value, out)
		}
		if !json.Valid(value) || deeperThan(value, maxDepth) {
			return
		}
		if err != nil {
			t.Fatalf("%q was refused", value)
		}
		if got, want := decode(t, out), decode(t, value); !reflect.DeepEqual(got, want) {
			t.Errorf("%q became %q", want, got)
		}
	})
}

// FuzzMending writes numbers and texts of a document as older releases of Vitess did, and checks that the original values are restored.
func FuzzMending(f *testing.F) {
	for _, number := range []string{"0.5", "-0.50", "0", "12", "-7.25", "0.00"} {
		f.Add(number, uint8(3), "é\x1f\a\v😀\x7f\u2028\"\\")
	}
	f.Fuzz(func(t *testing.T, number string, zeros uint8, text string) {
		if !canonicalForm.MatchString(number) || !utf8.ValidString(text) {
			t.Skip()
		}
		digits, negative := strings.CutPrefix(number, "-")
		minus := strings.Repeat("-", map[bool]int{true: 1}[negative])
		spellings := []string{minus + strings.Repeat("0", int(zeros%20)) + digits}
		if strings.HasPrefix(digits, "0.") {
			spellings = append(spellings, minus+digits[1:])
		}
		for _, spelling := range spellings {
			out, err := appendDocument(nil, []byte(`{".5": [`+spelling+`, `+strconv.Quote(text)+`]}`))
			if err != nil {
				t.Fatalf("%s %q: %v", spelling, text, err)
			}
			want := map[string]any{".5": []any{json.Number(number), text}}
			if got := decode(t, out); !reflect.DeepEqual(got, want) {
				t.Errorf("%s %q became %s", spelling, text, out)
			}
		}
	})
}

func deeperThan(value []byte, limit int) bool {
	return bytes.Count(value, []byte("["))+bytes.Count(value, []byte("{")) > limit
}

func decode(t *testing.T, value []byte) (v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// FuzzAppend encodes arbitrary rows of a table with a column of every kind.
func FuzzAppend(f *testing.F) {
	tab := &table.Table{Name: "t", Key: []string{"c1"}}
	field := &binlogdatapb.FieldEvent{}
	var good querypb.Row
	var names []string
	for i, k := range allKinds() {
		e := exampleOf(k)
		names = append(names, "c"+strconv.Itoa(i))
		tab.Columns = append(tab.Columns, table.Column{Name: names[i], Type: e.columnType, Charset: e.charset})
		field.Fields = append(field.Fields, &querypb.Field{Name: names[i], ColumnType: e.columnType})
		good.Lengths = append(good.Lengths, int64(len(e.replicated)))
		good.Values = append(good.Values, e.replicated...)
	}
	var lengths []byte
	for _, n := range good.Lengths {
		lengths = append(lengths, byte(n))
	}
	f.Add(lengths, good.Values)
	f.Add(bytes.Repeat([]byte{0xFF}, len(names)), []byte{})
	f.Add([]byte{}, []byte{})
	p, err := Compile(tab, field, names, Replicate, Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, lengths, values []byte) {
		r := &querypb.Row{Values: values}
		for _, n := range lengths {
			r.Lengths = append(r.Lengths, int64(int8(n)))
		}
		checkRow(t, p, r)
		p.KeyChanged(encoded(r), encoded(&good))
		if p.KeyChanged(encoded(r), encoded(r)) && len(lengths) == len(names) {
			if _, _, err := p.Append(nil, encoded(r), nil, nil); err == nil {
				t.Error("a valid row differs from itself")
			}
		}
	})
}
