package row

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"source-planetscale/internal/table"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// FuzzKinds checks for every type, in both phases, that arbitrary bytes either are an error or become JSON that
// encoding/json decodes to the same value, and that matches the type's schema.
func FuzzKinds(f *testing.F) {
	targets := make([]fuzzTarget, len(examples))
	for i, e := range examples {
		targets[i] = newFuzzTarget(f, e)
		f.Add(uint8(i), []byte(e.copied))
		f.Add(uint8(i), []byte(e.replicated))
	}
	f.Fuzz(func(t *testing.T, i uint8, value []byte) {
		target := targets[int(i)%len(targets)]
		for _, p := range target.plans {
			target.check(t, p, value)
		}
	})
}

// fuzzTarget is a column of one type.
type fuzzTarget struct {
	example
	kind   *kind
	schema *jsonschema.Schema
	plans  [2]*Plan // by phase
}

func newFuzzTarget(f *testing.F, e example) fuzzTarget {
	tab, field := oneColumn(e.columnType, e.charset)
	return fuzzTarget{
		example: e, kind: kindOf(table.ParseType(e.columnType), e.options),
		schema: compileFragment(f, JSONSchema(tab.Columns[0], e.options)),
		plans:  [2]*Plan{compile(f, tab, field, Copy, e.options), compile(f, tab, field, Replicate, e.options)},
	}
}

func (f *fuzzTarget) check(t *testing.T, p *Plan, value []byte) {
	out, changes, err := p.Append(nil, encoded(rowOf(string(value))), nil, nil)
	if err != nil {
		return
	}
	text := bytes.TrimPrefix(out, []byte(`"v":`))
	var got any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&got); err != nil {
		t.Fatalf("%s: %q became %q: %v", f.columnType, value, text, err)
	}
	if err := f.schema.Validate(got); err != nil {
		t.Errorf("%s: %q became %s, which does not match the schema: %v", f.columnType, value, text, err)
	}
	if len(changes) > 0 {
		if got != nil {
			t.Errorf("%s: %q became %s, with the change %v", f.columnType, value, text, changes)
		}
		return
	}
	if want, known := f.meaning(value, got); known && !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %q became %s, want %v", f.columnType, value, text, want)
	}
}

// meaning decodes a value independently of the encoders; known is false if another fuzzer compares this type. A number
// keeps got's notation if that means the same.
func (f *fuzzTarget) meaning(value []byte, got any) (want any, known bool) {
	switch f.kind.shape {
	case booleanShape:
		if f.kind.bases[0] == "bit" {
			return value[0] == 1, value[0] < 2
		}
		n, ok := new(big.Int).SetString(string(value), 10)
		return ok && n.Sign() != 0, true
	case integerShape, numberShape:
		return sameNumber(f.kind.bases[0], string(value), got), true
	case binaryShape:
		return base64.StdEncoding.EncodeToString(value), true
	case dateShape, timeShape, timestampShape:
		return strings.Replace(string(value), " ", "T", 1), true
	case timestampTZShape:
		return strings.Replace(string(value), " ", "T", 1) + "Z", true
	case documentShape:
		d := json.NewDecoder(bytes.NewReader(value))
		d.UseNumber()
		return want, json.Valid(value) && d.Decode(&want) == nil
	case vectorShape:
		return sameVector(value, got), true
	}
	if strings.HasPrefix(f.columnType, "char") && bytes.HasSuffix(value, []byte(" ")) {
		return nil, false // in a copy it is padding
	}
	utf8 := f.charset == "" || f.charset == "utf8mb4" || f.charset == "utf8mb3"
	return strings.ToValidUTF8(string(value), "\uFFFD"), utf8 && bytes.Equal(value, []byte(strings.ToValidUTF8(string(value), "")))
}

// sameNumber returns got if it is the number in text, otherwise that number.
func sameNumber(base, text string, got any) any {
	n, _ := got.(json.Number)
	if base == "float" || base == "double" {
		bits := map[string]int{"float": 32, "double": 64}[base]
		want, err := strconv.ParseFloat(text, bits)
		if have, err2 := strconv.ParseFloat(n.String(), bits); err == nil && err2 == nil && have == want {
			return got
		}
		return want
	}
	if text == "" { // the 0 of a DECIMAL(p,0) in older releases of Vitess
		text = "0"
	}
	want, _ := new(big.Rat).SetString(text)
	if have, ok := new(big.Rat).SetString(n.String()); ok && want != nil && have.Cmp(want) == 0 {
		return got
	}
	return want
}

// sameVector returns got if its elements are the floats in value, otherwise those floats.
func sameVector(value []byte, got any) any {
	want := make([]any, len(value)/4)
	for i := range want {
		want[i] = math.Float32frombits(binary.LittleEndian.Uint32(value[4*i:]))
	}
	list, _ := got.([]any)
	for i, element := range list {
		n, _ := element.(json.Number)
		if have, err := strconv.ParseFloat(n.String(), 32); err == nil && i < len(want) && float32(have) == want[i] {
			want[i] = element
		}
	}
	return want
}
