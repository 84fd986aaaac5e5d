package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"source-planetscale/internal/destination"
)

// TestAcceptance runs the checks of Airbyte's acceptance tests with the files in the folder that acceptance-test-config.yml names: the
// tests themselves are a Python project that needs Docker.
func TestAcceptance(t *testing.T) {
	p := newAcceptance(t)
	t.Run("spec", func(t *testing.T) { p.under(t).spec() })
	t.Run("connection", func(t *testing.T) { p.under(t).connection() })
	t.Run("discovery", func(t *testing.T) { p.under(t).discovery() })
	t.Run("basic_read", func(t *testing.T) { p.under(t).basicRead() })
	t.Run("full_refresh", func(t *testing.T) { p.under(t).fullRefreshTwice() })
	for _, namespace := range []bool{true, false} {
		t.Run(fmt.Sprintf("incremental, with namespace %t", namespace), func(t *testing.T) { p.under(t).incremental(namespace) })
	}
	t.Run("future state", func(t *testing.T) { p.under(t).future() })
}

type acceptance struct{ *pipeline }

// newAcceptance runs the statements of acceptance/tables.sql, and configures acceptance/catalog.json.
func newAcceptance(t *testing.T) *acceptance {
	t.Helper()
	c := shared(t)
	p := newPipeline(t, c, c.ConfigUnsharded)
	t.Cleanup(func() { execOn(t, p.db, "drop table if exists acceptance_orders") })
	for statement := range strings.SplitSeq(string(read(t, "../acceptance/tables.sql")), ";\n") {
		if strings.TrimSpace(statement) != "" {
			p.exec(statement)
		}
	}
	p.catalog = p.file("catalog.json", read(t, "../acceptance/catalog.json"))
	p.table, p.tables = "acceptance_orders", []string{"acceptance_orders"}
	p.clear()
	return &acceptance{p}
}

// under returns the same for a subtest, without a state.
func (a *acceptance) under(t *testing.T) *acceptance { return &acceptance{a.in(t, nil)} }

// spec checks the specification against its file and the rules, and the configuration against the specification.
func (a *acceptance) spec() {
	a.t.Helper()
	got := a.run("spec").Spec
	if !reflect.DeepEqual(document(a.t, got), document(a.t, read(a.t, "../internal/config/spec.json"))) {
		a.t.Error("spec prints another specification than spec.json")
	}
	var spec struct {
		ConnectionSpecification json.RawMessage `json:"connectionSpecification"`
	}
	if err := json.Unmarshal(got, &spec); err != nil {
		a.t.Fatal(err)
	}
	for _, refused := range []string{`"$ref"`, `"additionalProperties":false`, `"allOf"`, `"not"`} {
		if bytes.Contains(spec.ConnectionSpecification, []byte(refused)) {
			a.t.Errorf("the specification has %s", refused)
		}
	}
	schema := compiled(a.t, spec.ConnectionSpecification)
	if err := schema.Validate(document(a.t, read(a.t, a.config))); err != nil {
		a.t.Errorf("a configuration that works is not valid: %v", err)
	}
	if schema.Validate(map[string]any{}) == nil {
		a.t.Error("an empty configuration is valid")
	}
}

func compiled(t *testing.T, schema []byte) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7)
	err := compiler.AddResource("schema.json", document(t, schema))
	if err != nil {
		t.Fatal(err)
	}
	s, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func document(t *testing.T, data []byte) any {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func (a *acceptance) connection() {
	a.t.Helper()
	if check := a.check(); check.Status != "SUCCEEDED" {
		a.t.Errorf("check returns %+v", check)
	}
	a.config = "../acceptance/invalid_config.json"
	if check := a.check(); check.Status != "FAILED" || check.Message == "" {
		a.t.Errorf("with a configuration that cannot work check returns %+v", check)
	}
}

// discovery checks that each stream's schema, key and cursor match each other.
func (a *acceptance) discovery() {
	a.t.Helper()
	var catalog struct {
		Streams []struct {
			destination.Stream
			Schema       json.RawMessage `json:"json_schema"`
			Modes        []string        `json:"supported_sync_modes"`
			Key          [][]string      `json:"source_defined_primary_key"`
			Cursor       []string        `json:"default_cursor_field"`
			ItsOwnCursor bool            `json:"source_defined_cursor"`
		} `json:"streams"`
	}
	if err := json.Unmarshal(a.run("discover", "--config", a.config).Catalog, &catalog); err != nil {
		a.t.Fatal(err)
	}
	seen := map[destination.Stream]bool{}
	for _, s := range catalog.Streams {
		if seen[s.Stream] {
			a.t.Errorf("stream %s is listed twice", s.Stream)
		}
		seen[s.Stream] = true
		compiled(a.t, s.Schema)
		var columns struct{ Properties map[string]any }
		if err := json.Unmarshal(s.Schema, &columns); err != nil {
			a.t.Fatal(err)
		}
		for _, path := range append(s.Key, s.Cursor) {
			if len(path) != 1 || columns.Properties[path[0]] == nil {
				a.t.Errorf("stream %s has no column %v, which is part of its key or cursor", s.Stream, path)
			}
		}
		if !s.ItsOwnCursor || !slices.Equal(s.Modes, []string{"full_refresh", "incremental"}) {
			a.t.Errorf("stream %s: %+v", s.Stream, s)
		}
	}
	if !seen[a.stream(a.table)] {
		a.t.Errorf("discover lacks %s", a.table)
	}
}

// basicRead checks that a read follows the protocol, and has records of every stream.
func (a *acceptance) basicRead() {
	a.t.Helper()
	a.readToEnd()
	for _, table := range a.tables {
		if len(a.rows(table)) == 0 {
			a.t.Errorf("there is no record of %s", table)
		}
	}
}

// twiceTheSame does two full refreshes: everything except the columns that acceptance-test-config.yml exempts must be the same.
func (a *acceptance) fullRefreshTwice() {
	a.t.Helper()
	a.catalog = a.file("full.json", bytes.ReplaceAll(read(a.t, a.catalog), []byte(`"incremental",`+"\n"), []byte(`"full_refresh",`+"\n")))
	var runs [2][]destination.Record
	for i := range runs {
		a.reset()
		a.readToEnd()
		runs[i] = a.last.Records
		for _, r := range runs[i] {
			delete(r.Data, "_ab_cdc_cursor")
			delete(r.Data, "_ab_cdc_updated_at")
		}
	}
	if first, second := fmt.Sprint(runs[0]), fmt.Sprint(runs[1]); first != second || len(runs[0]) == 0 {
		a.t.Errorf("two full refreshes differ:\n%s\n%s", first, second)
	}
}

// incremental reads twice, then from each state of the first run. The acceptance tests pass states back without a namespace.
func (a *acceptance) incremental(namespace bool) {
	a.t.Helper()
	a.readToEnd()
	first := a.last
	if len(first.Records) == 0 || len(first.States) < 2 {
		a.t.Fatalf("the first read has %d records and %d states", len(first.Records), len(first.States))
	}
	for i := len(first.States) - 1; i >= 0; i-- {
		a.state = stateFile(a.t, first.States[i], namespace)
		a.readToEnd()
		// Records before the state must not be emitted again; those after it must.
		if got, want := len(a.last.Records), len(first.Records)-first.States[i].Before; got != want {
			a.t.Errorf("from state %d of %d there are %d records instead of %d", i+1, len(first.States), got, want)
		}
	}
}

// stateFile returns the file with one state, as the platform passes it back, or without its namespace.
func stateFile(t *testing.T, state destination.State, namespace bool) []byte {
	t.Helper()
	var message map[string]any
	if err := json.Unmarshal(state.Message, &message); err != nil {
		t.Fatal(err)
	}
	if !namespace {
		delete(message["stream"].(map[string]any)["stream_descriptor"].(map[string]any), "namespace")
	}
	data, err := json.Marshal([]any{message})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// future reads from a position that the server has not reached: it belongs to another server, which is reported before anything is read.
func (a *acceptance) future() {
	a.t.Helper()
	a.readToEnd()
	last := a.last.States[len(a.last.States)-1]
	const ours, foreign = "MySQL56/", "MySQL56/00000000-0000-0000-0000-000000000001:1-1000,"
	a.state = bytes.ReplaceAll(stateFile(a.t, last, true), []byte(ours), []byte(foreign))
	if failed := a.readFails(); !strings.Contains(failed.Message, "saved position") || len(a.last.Records) > 0 {
		a.t.Errorf("for a position in the future the message is %q, after %d records", failed.Message, len(a.last.Records))
	}
}
