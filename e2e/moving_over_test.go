package e2e

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"source-planetscale/e2e/script"
)

// formerOptions are the options that the settings page of planetscale/airbyte-source saves besides the connection, changed or not.
var formerOptions = map[string]any{
	"shards": "", "use_replica": false, "use_rdonly": false, "starting_gtids": "", "max_retries": 3, "timeout_seconds": 300,
	"options": map[string]any{"storage": "HTTPS", "do_not_treat_tiny_int_as_boolean": false},
}

// formerStates is script.LegacyState or script.FormerState.
type formerStates func(positions []byte, names []string, lastKey ...string) ([]byte, error)

// formerPipeline returns a pipeline with two tables that the former connector has synced up to a position, and its configuration, catalog
// and state, in the form of one of its releases. This connector copies the rows in place of the former one, then its state is dropped.
func formerPipeline(t *testing.T, state formerStates) *pipeline {
	t.Helper()
	c := shared(t)
	p := newPipeline(t, c, c.ConfigSharded, "moving_orders", "moving_users").with(formerOptions)
	for _, table := range p.tables {
		p.exec("insert into " + table + " (id, part, v, note) values (1,1,1,'a'), (2,1,1,'b'), (3,1,1,'c'), (4,1,1,'d'), (5,1,1,'e'), (6,1,1,'f')")
	}
	p.readToEnd()
	var err error
	if p.state, err = state(p.positions(), p.tables); err != nil {
		t.Fatal(err)
	}
	return p
}

// positions returns the output of the command position.
func (p *pipeline) positions() []byte {
	p.t.Helper()
	out, err := p.command("position", "--config", p.config).Output()
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

func (p *pipeline) change() {
	p.t.Helper()
	for _, table := range p.tables {
		p.exec("update "+table+" set v = 2 where id < 3", "delete from "+table+" where id > 4", "insert into "+table+" (id, part, v) values (7,1,1), (8,1,1)")
	}
}

// formerCatalog is the configured catalog of a connection that was created for the former connector. After a refresh it has this
// connector's streams, and still the cursor field.
func (p *pipeline) formerCatalog(refreshed bool) string {
	p.t.Helper()
	return p.editedCatalog("former.json", func(s map[string]any) {
		s["cursor_field"], s["destination_sync_mode"] = []string{"part"}, "append_dedup"
		if refreshed {
			return
		}
		s["stream"] = map[string]any{
			"name": s["stream"].(map[string]any)["name"], "namespace": p.keyspace,
			"supported_sync_modes":  []string{"full_refresh", "incremental"},
			"source_defined_cursor": true, "default_cursor_field": []string{"part"}, "source_defined_primary_key": [][]string{{"id"}, {"part"}},
			"json_schema": map[string]any{"type": "object", "properties": map[string]any{
				"id": map[string]any{"type": "integer"}, "part": map[string]any{"type": "integer"},
				"v": map[string]any{"type": []string{"null", "integer"}}, "note": map[string]any{"type": []string{"null", "string"}},
			}},
		}
	})
}

// editedCatalog is a file with the pipeline's configured catalog after a change of each stream.
func (p *pipeline) editedCatalog(file string, edit func(stream map[string]any)) string {
	p.t.Helper()
	var catalog struct {
		Streams []map[string]any `json:"streams"`
	}
	if err := json.Unmarshal(read(p.t, p.catalog), &catalog); err != nil {
		p.t.Fatal(err)
	}
	for _, s := range catalog.Streams {
		edit(s)
	}
	data, err := json.Marshal(catalog)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.file(file, data)
}

// TestMovingOver follows both procedures of docs/moving-over.md.
func TestMovingOver(t *testing.T) {
	t.Run("in place", func(t *testing.T) { movingInPlace(t, script.FormerState, 0) })
	t.Run("in place, from an earlier release", func(t *testing.T) { movingInPlace(t, script.LegacyState, 2) })
	t.Run("in place, with the schema not refreshed", movingUnrefreshed)
	t.Run("side by side", movingSideBySide)
}

// movingInPlace moves from a release that leaves such states; first is how many streams must have a new state before the first record.
func movingInPlace(t *testing.T, state formerStates, first int) {
	p := formerPipeline(t, state)
	p.change()
	fresh := p.catalog
	p.catalog = p.formerCatalog(true)
	p.readToEnd()
	p.mustEqualTheSource()
	// The platform drops the document of all states when it receives the first new one: each stream must have its state by then.
	saved := map[string]bool{}
	for _, s := range p.last.States {
		if s.Before == 0 {
			saved[s.Stream.Name] = true
		}
	}
	if len(saved) < first {
		t.Errorf("before the first record there are states of %v, not of all of %v", saved, p.tables)
	}
	const warning = "the connection's cursor field is "
	if !strings.Contains(p.logged("WARN"), warning) {
		t.Errorf("no warning about the former cursor field: %s", p.logged("WARN"))
	}
	p.catalog = fresh // as after the PATCH
	p.exec("update " + p.table + " set v = 3")
	p.readToEnd()
	p.mustEqualTheSource()
	if strings.Contains(p.logged("WARN"), warning) {
		t.Error("there is still a warning about the cursor field")
	}
}

func movingUnrefreshed(t *testing.T) {
	p := formerPipeline(t, script.FormerState)
	p.change()
	p.catalog = p.formerCatalog(false)
	s := p.start()
	if err := s.rest(); err != nil { // without a cursor a destination cannot fold the records
		t.Fatalf("the connector ended with %v: %s", err, notRecords(s.out.Bytes()))
	}
	if err := script.Validate(s.out.String(), string(read(t, p.catalog))); err != nil {
		t.Error(err)
	}
	if n := bytes.Count(s.out.Bytes(), []byte(`{"type":"RECORD"`)); n != 2*4 {
		t.Errorf("%d records from 2 updates and 2 inserts in 2 tables", n)
	}
	if n := bytes.Count(s.out.Bytes(), []byte(": 2 deletes were dropped, because the catalog has no column ")); n != 2 {
		t.Errorf("%d streams warn that deletes are lost: %s", n, notRecords(s.out.Bytes()))
	}
}

func movingSideBySide(t *testing.T) {
	p := formerPipeline(t, script.FormerState)
	printed := p.positions()
	p.change()
	p.state = nil // a last sync of the former connector before it is paused; this connector runs in place of it
	p.clear()
	p.readToEnd()
	p.exec("update "+p.table+" set v = 4 where id = 7", "delete from "+p.table+" where id = 1")
	q := p.with(map[string]any{"starting_gtids": string(printed)})
	q.state = nil
	q.readToEnd()
	q.mustEqualTheSource()
	for _, r := range q.last.Records {
		if r.Data["id"] == json.Number("3") {
			t.Error("a row was copied that has not changed since the position")
		}
	}
}
