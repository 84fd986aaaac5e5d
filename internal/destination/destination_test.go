package destination

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

const catalog = `{"streams":[{"stream":{"name":"users","namespace":"shop"},"primary_key":[["id"]]}]}`

func record(id, cursor, extra string) string {
	return `{"type":"RECORD","record":{"namespace":"shop","stream":"users","emitted_at":1,"data":{"id":` + id + `,"_ab_cdc_cursor":` + cursor + extra + `}}}` + "\n"
}

func fold(t *testing.T, output string) (*Table, error) {
	t.Helper()
	out, err := Parse(strings.NewReader(output))
	if err != nil {
		t.Fatal(err)
	}
	tables, err := NewTables([]byte(catalog))
	if err != nil {
		t.Fatal(err)
	}
	return tables[Stream{Name: "users", Namespace: "shop"}], tables.Fold(out.Records)
}

func TestFold(t *testing.T) {
	users, err := fold(t, record("1", "10", `,"v":"old"`)+record("1", "12", `,"v":"new"`)+record("1", "11", `,"v":"late"`)+
		record("2", "13", "")+record("2", "14", `,"_ab_cdc_deleted_at":"2026-01-01T00:00:00Z"`)+record("2", "12", ""))
	if err != nil {
		t.Fatal(err)
	}
	if len(users.Rows) != 1 || users.Rows["[1]"]["v"] != "new" {
		t.Errorf("rows %v", users.Rows)
	}
}

func TestFoldRefuses(t *testing.T) {
	for name, output := range map[string]string{
		"a cursor used twice":   record("1", "10", "") + record("1", "10", ""),
		"a record without key":  record("null", "10", ""),
		"a stream not selected": strings.ReplaceAll(record("1", "1", ""), "users", "others"),
	} {
		if _, err := fold(t, output); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestParseIgnoresALineThatWasCutOff(t *testing.T) {
	whole := record("1", "10", "")
	out, err := Parse(strings.NewReader(whole + whole[:20]))
	if err != nil || len(out.Records) != 1 {
		t.Errorf("%d records, %v", len(out.Records), err)
	}
	if _, err := Parse(strings.NewReader(whole[:20] + "\n" + whole)); err == nil {
		t.Error("a damaged line was accepted")
	}
}

func TestStateFileHoldsTheLastStateOfEachStream(t *testing.T) {
	state := func(name, v string) string {
		return `{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"` + name + `","namespace":"shop"},"stream_state":{"v":` + v + `}},"sourceStats":{"recordCount":0.0}}}` + "\n"
	}
	out, err := Parse(strings.NewReader(state("a", "1") + state("b", "2") + state("a", "3")))
	if err != nil {
		t.Fatal(err)
	}
	data, err := StateFile(out.States)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(`{"v":3}`)) || !bytes.Contains(data, []byte(`{"v":2}`)) || bytes.Contains(data, []byte(`{"v":1}`)) {
		t.Errorf("got %s", data)
	}
}

func TestValuesAreComparedByWhatTheyMean(t *testing.T) {
	types, err := typesOf(json.RawMessage(`{"properties":{
		"n":{"type":["null","number"]},"b":{"type":"boolean"},"raw":{"type":"string","contentEncoding":"base64"},"s":{"type":["null","string"]},
		"at":{"type":"string","airbyte_type":"timestamp_without_timezone"},"ts":{"type":"string","airbyte_type":"timestamp_with_timezone"},
		"doc":{"oneOf":[],"airbyte_type":"json"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		column, got string // got is JSON
		want        []byte
		equal       bool
	}{
		{"n", `1.50`, []byte("1.5"), true},
		{"n", `1.51`, []byte("1.5"), false},
		{"n", `18446744073709551615`, []byte("18446744073709551615"), true},
		{"n", `18446744073709551614`, []byte("18446744073709551615"), false},
		{"n", `"1"`, []byte("1"), false},
		{"n", `null`, nil, true},
		{"n", `null`, []byte("0"), false},
		{"n", `0`, nil, false},
		{"b", `true`, []byte("1"), true},
		{"b", `false`, []byte("\x00"), true},
		{"b", `true`, []byte("0"), false},
		{"raw", `"AP8="`, []byte{0, 255}, true},
		{"raw", `"AP8="`, []byte{0, 254}, false},
		{"s", `"é"`, []byte("é"), true},
		{"s", `"e"`, []byte("é"), false},
		{"at", `"2026-01-02T03:04:05.500"`, []byte("2026-01-02 03:04:05.500"), true},
		{"ts", `"2026-01-02T03:04:05Z"`, []byte("2026-01-02 03:04:05"), true},
		{"ts", `"2026-01-02T03:04:05"`, []byte("2026-01-02 03:04:05"), false},
		{"doc", `{"a":[1,{"b":null}]}`, []byte(`{"a": [1, {"b": null}]}`), true},
		{"doc", `{"a":[1]}`, []byte(`{"a": [2]}`), false},
		{"doc", `"{}"`, []byte(`{}`), false},
	} {
		var got any
		d := json.NewDecoder(strings.NewReader(c.got))
		d.UseNumber()
		if err := d.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if types[c.column].equal(got, c.want) != c.equal {
			t.Errorf("%s: %s against %q: expected equal %v", c.column, c.got, c.want, c.equal)
		}
	}
}
