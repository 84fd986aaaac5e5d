package airbyte

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func configured(t *testing.T, streams ...string) *ConfiguredCatalog {
	t.Helper()
	c, err := ParseConfiguredCatalog([]byte(`{"streams":[` + strings.Join(streams, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestKeyOfTheDestination(t *testing.T) {
	const source = `"source_defined_primary_key":[["id"],["region"]]`
	for _, c := range []struct{ stream, key, wrong string }{
		{`{"stream":{"name":"t",` + source + `},"sync_mode":"incremental"}`, "id region", ""},
		{`{"stream":{"name":"t",` + source + `},"sync_mode":"incremental","primary_key":[]}`, "id region", ""},
		{`{"stream":{"name":"t",` + source + `},"sync_mode":"incremental","primary_key":[["Email"]]}`, "Email", ""},
		{`{"stream":{"name":"t"},"sync_mode":"incremental","primary_key":[["a"],["b"]]}`, "a b", ""},
		{`{"stream":{"name":"t"},"sync_mode":"incremental"}`, "", ""},
		{`{"stream":{"name":"t"},"sync_mode":"incremental","primary_key":[["doc","id"]]}`, "", "doc.id"},
		{`{"stream":{"name":"t"},"sync_mode":"incremental","primary_key":[["id"],[]]}`, "", `""`},
	} {
		key, err := configured(t, c.stream).Streams[0].Key()
		if strings.Join(key, " ") != c.key || (err != nil) != (c.wrong != "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: key %q, %v", c.stream, key, err)
		}
	}
}

func TestDeduplicates(t *testing.T) {
	for mode, want := range map[DestinationSyncMode]bool{
		"": false, "append": false, "overwrite": false, "append_dedup": true, "overwrite_dedup": true, "update": true, "soft_delete": true,
	} {
		if got := (&ConfiguredStream{DestinationSyncMode: mode}).Deduplicates(); got != want {
			t.Errorf("%q deduplicates: %v", mode, got)
		}
	}
}

func TestCursorWarning(t *testing.T) {
	const with, without = `"json_schema":{"properties":{"id":{},"_c":{}}}`, `"json_schema":{"properties":{"id":{}}}`
	for _, c := range []struct{ schema, mode, rest, want string }{
		{with, "incremental", `,"destination_sync_mode":"append_dedup","cursor_field":["id"]`, "is id instead of _c"},
		{with, "incremental", `,"destination_sync_mode":"append_dedup","cursor_field":["doc","at"]`, "is doc.at instead of _c"},
		{with, "incremental", `,"destination_sync_mode":"overwrite_dedup","cursor_field":["_C"]`, "is _C instead of _c"},
		{without, "incremental", `,"destination_sync_mode":"append_dedup","cursor_field":["_c"]`, "does not select the column _c"},
		{without, "incremental", `,"destination_sync_mode":"append_dedup"`, "does not select the column _c"},
		{with, "incremental", `,"destination_sync_mode":"append_dedup","cursor_field":["_c"]`, ""},
		{with, "incremental", `,"destination_sync_mode":"append_dedup","cursor_field":[]`, ""},
		{with, "incremental", `,"destination_sync_mode":"append","cursor_field":["id"]`, ""},
		{with, "incremental", `,"cursor_field":["id"]`, ""},
		{with, "full_refresh", `,"destination_sync_mode":"overwrite_dedup","cursor_field":["id"]`, ""},
	} {
		stream := `{"stream":{"name":"t",` + c.schema + `},"sync_mode":"` + c.mode + `"` + c.rest + `}`
		got, err := configured(t, stream).Streams[0].CursorWarning("_c")
		if err != nil || (got != "") != (c.want != "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, %v", stream, got, err)
		}
	}
}

// An absent namespace means the configured keyspace, in the catalog, the state and the output.
func TestAbsentNamespaceIsTheKeyspace(t *testing.T) {
	catalog := configured(
		t,
		`{"stream":{"name":"a"},"sync_mode":"incremental"}`,
		`{"stream":{"name":"b","namespace":"shop"},"sync_mode":"incremental"}`,
		`{"stream":{"name":"c","namespace":"other"},"sync_mode":"incremental"}`,
	)
	if err := catalog.Resolve("shop"); err != nil {
		t.Fatal(err)
	}
	var streams []string
	for i := range catalog.Streams {
		streams = append(streams, catalog.Streams[i].Stream.Descriptor().String())
	}
	if want := "shop.a shop.b other.c"; strings.Join(streams, " ") != want {
		t.Errorf("the catalog has %q, want %s", streams, want)
	}

	message := func(descriptor, state string) string {
		return `{"type":"STREAM","stream":{"stream_descriptor":{` + descriptor + `},"stream_state":{"n":` + state + `}}}`
	}
	state, err := ParseState([]byte("[" + strings.Join([]string{
		message(`"name":"a"`, "1"),
		message(`"name":"b","namespace":"shop"`, "2"), message(`"name":"b"`, "3"),
		message(`"name":"c"`, "4"), message(`"name":"c","namespace":""`, "5"),
		message(`"name":"d","namespace":"elsewhere"`, "6"), message(`"name":"a","namespace":"elsewhere"`, "7"),
	}, ",") + "]"))
	if err != nil {
		t.Fatal(err)
	}
	state.Resolve("shop")
	var got []string
	for d, data := range state.Streams {
		got = append(got, d.String()+string(data))
	}
	slices.Sort(got)
	if want := `b{"n":3} elsewhere.a{"n":7} elsewhere.d{"n":6} shop.a{"n":1} shop.b{"n":2} shop.c{"n":5}`; strings.Join(got, " ") != want {
		t.Errorf("the state has %q, want %s", got, want)
	}
	// b without a namespace (shop.b has another state), and c and a with another namespace than in the catalog; d is not in the catalog.
	unused := map[string]bool{}
	for _, d := range state.Unused(catalog) {
		unused[d.String()] = true
	}
	if want := []string{"b", "elsewhere.a", "shop.c"}; !slices.Equal(slices.Sorted(maps.Keys(unused)), want) {
		t.Errorf("unused: %v, want %v", unused, want)
	}

	for d, want := range map[StreamDescriptor]string{
		{Name: "a"}:                    `{"type":"RECORD","record":{"stream":"a"`,
		{Name: "a", Namespace: "shop"}: `{"type":"RECORD","record":{"namespace":"shop","stream":"a"`,
	} {
		if p, err := NewRecordPrefix(d); err != nil || string(p.text) != want {
			t.Errorf("a record of %s begins %s, %v", d, p.text, err)
		}
	}
}

func TestStreamThatIsTwiceInTheCatalog(t *testing.T) {
	catalog := configured(
		t,
		`{"stream":{"name":"a"},"sync_mode":"incremental"}`,
		`{"stream":{"name":"a","namespace":"shop"},"sync_mode":"incremental"}`,
	)
	if err := catalog.Resolve("other"); err != nil {
		t.Errorf("two keyspaces: %v", err)
	}
	catalog.Streams[0].Stream.Namespace = ""
	if err := catalog.Resolve("shop"); err == nil || !strings.Contains(err.Error(), "shop.a is in the catalog twice") {
		t.Errorf("one keyspace: %v", err)
	}
}
