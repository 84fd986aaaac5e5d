package row

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"

	"source-planetscale/internal/table"
)

// large returns a value of size bytes: a front, repetitions of the middle, and an end.
func large(size int, front, middle, end string) []byte {
	value := append(make([]byte, 0, size), front...)
	value = append(value, bytes.Repeat([]byte(middle), (size-len(front)-len(end))/len(middle))...)
	return append(value, end...)
}

// The memory for a value that is too long is bounded by Airbyte's limit, not by the value: control characters, say, take six bytes.
func TestMemoryForValuesTooLong(t *testing.T) {
	number := make([]byte, 4)
	binary.LittleEndian.PutUint32(number, math.Float32bits(-1.17549435e-38))
	texts := []string{"x", "\x01", "\xE4", "€"}
	for _, c := range []struct {
		columnType, charset string
		front, end          string
		middle              []string
		widest              int  // most bytes for one UTF-16 code unit, 1 if not set
		malformed           bool // an error instead of a null: MySQL has no such value
	}{
		{columnType: "longtext", charset: "utf8mb4", middle: texts},
		{columnType: "longtext", charset: "latin1", middle: texts[:2]},
		{columnType: "longtext", charset: "gbk", widest: 2, middle: texts[1:2]},
		{columnType: "longtext", charset: "utf32", widest: 4, middle: []string{"\x00\x00\x00\x01"}},
		{columnType: "set('a','b')", charset: "utf8mb4", middle: texts[1:2]},
		{columnType: "enum('a','b')", charset: "sjis", widest: 2, middle: texts[1:2]},
		{columnType: "a type of the future", charset: "", middle: texts[1:2]},
		{columnType: "json", front: `["`, middle: []string{"x", "\x01", `\a`, `\U00000001`, "€"}, end: `"]`},
		{columnType: "json", front: `[`, middle: []string{".1,", "\n", "[],"}, end: `1]`},
		{columnType: "longblob", middle: []string{"\x00"}},
		{columnType: "bit(64)", middle: []string{"\x00"}},
		{columnType: "geometry", middle: []string{"\xFF"}},
		{columnType: "vector(16383)", widest: 2, middle: []string{string(number), "\x00"}},
		{columnType: "bigint", middle: []string{"1", "0"}, malformed: true},
		{columnType: "tinyint(1)", middle: []string{"-"}, malformed: true},
		{columnType: "decimal(65,30)", middle: []string{"1", "0"}, malformed: true},
		{columnType: "double", middle: []string{"1", "0"}, malformed: true},
		{columnType: "float", middle: []string{"1"}, malformed: true},
		{columnType: "date", middle: []string{"1"}, malformed: true},
		{columnType: "datetime", middle: []string{"1"}, malformed: true},
		{columnType: "time", middle: []string{"1"}, malformed: true},
		{columnType: "bit(1)", middle: []string{"1"}, malformed: true},
	} {
		tab, f := oneColumn(c.columnType, c.charset)
		p := compile(t, tab, f, Copy, Options{})
		for i, middle := range c.middle {
			sizes := []int{MaxLength * max(1, c.widest)} // the largest that is not refused by its size alone
			if c.malformed {
				sizes = []int{1 << 20}
			}
			if i == 0 && (c.columnType == "json" || c.charset == "utf8mb4" && c.columnType == "longtext") {
				sizes = append(sizes, 100<<20)
			}
			for _, size := range sizes {
				value := large(size, c.front, middle, c.end)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				dst, err := p.columns[0].encode(nil, value)
				runtime.ReadMemStats(&after)
				// With the race detector the compiler cannot omit copies of the value.
				if got := after.TotalAlloc - before.TotalAlloc; got > 5*enough/2+2*uint64(min(size, 80<<20)) {
					t.Errorf("%s %s of %d bytes, %.4q: %d MiB were allocated", c.columnType, c.charset, size, middle, got>>20)
				}
				var long *tooLong
				switch {
				case c.malformed && !errors.Is(err, errMalformed):
					t.Errorf("%s of %d bytes: error %v", c.columnType, size, err)
				case !c.malformed && size > MaxLength*max(1, c.widest) && !errors.As(err, &long):
					t.Errorf("%s %s of %d bytes, %.4q: %d bytes, error %v", c.columnType, c.charset, size, middle, len(dst), err)
				}
			}
		}
	}
}

// Whatever an encoder has written when it stops because the value is too long, the result is null.
func TestValuesThatAreBrokenOffAreNull(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"longtext", "utf8mb4", strings.Repeat("\x01", MaxLength/2)},
		{"longtext", "latin1", strings.Repeat("\x01", MaxLength/2)},
		{"longtext", "gbk", strings.Repeat("\x01", MaxLength/2)},
		{"json", "", `"` + strings.Repeat("\x01", MaxLength/2) + `"`},
		{"json", "", `["` + strings.Repeat(`\a`, MaxLength/3) + `", 1]`},
	} {
		tab, f := oneColumn(c[0], c[1])
		got, changes, err := compile(t, tab, f, Replicate, Options{}).Append(nil, encoded(rowOf(c[2])), nil, nil)
		if err != nil || string(got) != `"v":null` || len(changes) != 1 || changes[0].Reason != FieldSizeLimitation ||
			changes[0].Length <= MaxLength {
			t.Errorf("%s %s: %.20s, %v, %v", c[0], c[1], got, changes, err)
		}
	}
}

func TestDocumentsTooDeepAreNull(t *testing.T) {
	tab, f := oneColumn("json", "")
	p := compile(t, tab, f, Replicate, Options{})
	for depth, fits := range map[int]bool{100: true, 128: true, 129: false, 1_000_000: false} {
		document := strings.Repeat("[", depth) + "1" + strings.Repeat("]", depth)
		got, changes, err := p.Append(nil, encoded(rowOf(document)), nil, nil)
		if err != nil || fits != (string(got) == `"v":`+document) || fits != (len(changes) == 0) {
			t.Errorf("%d deep: %.20s, %v, %v", depth, got, changes, err)
		}
	}
}

// A declaration is text from the server; the time to parse it must be bounded.
func TestLabelsAreBounded(t *testing.T) {
	for n, fits := range map[int]bool{65_535: true, maxLabels: false} {
		_, f := oneColumn("enum("+strings.TrimSuffix(strings.Repeat("'a',", n), ",")+")", "utf8mb4")
		labels, err := declaredLabels(source{declaration: table.ParseType(f.Fields[0].ColumnType)})
		if fits != (err == nil) || fits && len(labels) != n+1 || !fits && strings.Contains(err.Error(), "'a'") {
			t.Errorf("%d labels became %d, %.100v", n, len(labels), err)
		}
	}
}

// A row with large values is written in pieces, so that no value is copied to make room for the next one. Joined, they equal the row in
// one piece, and none has more capacity than it needs.
func TestLargeValuesComeInPieces(t *testing.T) {
	tab, f, r := rowsOf([][3]string{
		{"a", "int", "1"},
		{"b", "longtext", strings.Repeat("Zürich \"\x01\n", 1<<20)},
		{"c", "json", `["` + strings.Repeat("x", piece) + `"]`},
		{"e", "longtext", strings.Repeat("\xE4", piece)},
		{"f", "longtext", strings.Repeat("\xC4\xD6", piece)},
		{"d", "longtext", strings.Repeat("x", MaxLength)},
		{"g", "int", "2"},
	})
	tab.Columns[3].Charset, tab.Columns[4].Charset = "latin1", "gbk"
	p := compile(t, tab, f, Replicate, Options{})
	whole, changes, err := p.Append([]byte("{"), encoded(r), nil, nil)
	if err != nil || len(changes) != 1 || changes[0].Field != "d" {
		t.Fatalf("%v, %v", changes, err)
	}
	var front [][]byte
	last, _, err := p.Append([]byte("{"), encoded(r), nil, &front)
	if err != nil || len(front) != 4 {
		t.Fatalf("%d pieces before the last one, %v", len(front), err)
	}
	for i, one := range front {
		if cap(one)-len(one) > len(one)/8 {
			t.Errorf("piece %d of %d bytes has a capacity of %d", i, len(one), cap(one))
		}
	}
	if together := append(bytes.Join(front, nil), last...); !bytes.Equal(together, whole) || !json.Valid(append(together, '}')) {
		t.Error("the joined pieces are not the row")
	}
}
