package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"source-planetscale/internal/destination"
)

var stream = destination.Stream{Name: "t", Namespace: "k"}

// record returns a record with the key id and the cursor c.
func record(id, c string, deletedAt any) destination.Record {
	return destination.Record{Stream: stream, Data: map[string]any{
		"id": json.Number(id), "_ab_cdc_cursor": json.Number(c), columnDeletedAt: deletedAt,
	}}
}

func TestChangesAreCountedByWhatTheTablesHadBefore(t *testing.T) {
	tables, err := destination.NewTables([]byte(`{"streams":[{"stream":{"name":"t","namespace":"k"},"primary_key":[["id"]]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := tables.Fold([]destination.Record{record("1", "1", nil), record("2", "2", nil), record("3", "3", nil)}); err != nil {
		t.Fatal(err)
	}
	const at = "2026-01-02T03:04:05Z"
	counts, err := foldChanges(tables, []destination.Record{
		record("1", "4", nil), // updated
		record("2", "5", at),  // deleted
		record("4", "6", nil), // inserted
		record("4", "7", nil), // and updated
		record("3", "8", at),  // moved to the key 5
		record("5", "9", nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	deleted := record("2", "5", at)
	want := map[destination.Stream]*changeCount{stream: {inserted: 2, updated: 2, deleted: 2, delete: &deleted}}
	if d := cmp.Diff(want, counts, cmp.AllowUnexported(changeCount{})); d != "" {
		t.Errorf("counts (-want +got):\n%s", d)
	}
	if n := len(tables[stream].Rows); n != 3 {
		t.Errorf("%d rows remain, want 1, 4 and 5", n)
	}
}

func TestChangesOfAStreamNotConfiguredAreAnError(t *testing.T) {
	if _, err := foldChanges(destination.Tables{}, []destination.Record{record("1", "1", nil)}); err == nil {
		t.Error("no error")
	}
}

func TestReadDigest(t *testing.T) {
	status := func(at, status string) string {
		return `{"type":"TRACE","trace":{"type":"STREAM_STATUS","emitted_at":` + at +
			`,"stream_status":{"stream_descriptor":{"name":"t","namespace":"k"},"status":"` + status + `"}}}` + "\n"
	}
	const row = `{"type":"RECORD","record":{"stream":"t","namespace":"k","data":{"id":1},"emitted_at":1}}` + "\n"
	const state = `{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"t","namespace":"k"},"stream_state":{}}}}` + "\n"
	printed := status("1000", "STARTED") + status("3000", "RUNNING") + row + row + state + row + state + status("4500", "COMPLETE")
	output, err := destination.Parse(strings.NewReader(printed))
	if err != nil {
		t.Fatal(err)
	}
	times, err := parseTimes([]byte(printed))
	if err != nil {
		t.Fatal(err)
	}
	got := digestRead(&result{Output: output, times: times})
	want := map[destination.Stream]*readDigest{stream: {records: 3, states: 2, seconds: 1.5, status: "COMPLETE", sample: &output.Records[0]}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(readDigest{})); d != "" {
		t.Errorf("digest (-want +got):\n%s", d)
	}
	if got := got[stream].rate(); got != "2" {
		t.Errorf("rate %s, want 2 a second", got)
	}
}

func TestSpecDigestHasTheOptionsThatAUserSees(t *testing.T) {
	got, err := parseSpec(
		[]byte(`{"connectionSpecification":{"required":["host"],"groups":[{"id":"b","title":"B"},{"id":"a","title":"A"}],"properties":{
		"port":{"type":"integer","default":3306,"group":"b","order":2},"host":{"type":"string","group":"b","order":1},
		"password":{"type":"string","airbyte_secret":true,"group":"a","order":0},"old":{"airbyte_hidden":true,"group":"a","order":1}}}}`),
	)
	if err != nil {
		t.Fatal(err)
	}
	want := []optionGroup{{"B", []string{"host (required)", "port (default 3306)"}}, {"A", []string{"password (secret)"}}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(optionGroup{})); d != "" {
		t.Errorf("spec (-want +got):\n%s", d)
	}
}

func TestCutFitsTheScreen(t *testing.T) {
	for text, want := range map[string]string{
		"short":          "short",
		"eight ch":       "eight ch",
		"nine char":      "nine ch…",
		"煎茶煎茶":           "煎茶煎茶",
		"煎茶煎茶!":          "煎茶煎…",
		"Zu\u0308rich 1": "Zu\u0308rich 1",
	} {
		if got := cut(text, 8); got != want {
			t.Errorf("cut(%q, 8) = %q, want %q", text, got, want)
		}
	}
}

func TestShellLineIsReadByAShellAsItWasMeant(t *testing.T) {
	words := []string{"plain", "", "two words", "it's", `$HOME "x" \ * ;`, "/a-b/c_d.json"}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", `printf '%s\n' `+shellLine(words)).Output()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Join(words, "\n")+"\n", string(out)); d != "" {
		t.Errorf("arguments quoted for the shell (-want +got):\n%s", d)
	}
}
