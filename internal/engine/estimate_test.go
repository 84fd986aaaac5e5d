package engine

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/state"
)

// estimated returns the ESTIMATE traces so far, by stream.
func (r *rig) estimated() map[string]schema.TableSize {
	r.t.Helper()
	found := map[string]schema.TableSize{}
	for line := range strings.Lines(r.out.buf.String()) {
		var m struct {
			Trace struct{ Estimate *airbyte.Estimate }
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			r.t.Fatal(err)
		}
		if e := m.Trace.Estimate; e != nil {
			found[e.Name] = schema.TableSize{Rows: e.Rows, Bytes: e.Bytes}
		}
	}
	return found
}

// A stream's estimate covers only the shards that are copied: apart from changes, this sync reads no other rows.
func TestEstimatesAreOfTheShardsThatAreCopied(t *testing.T) {
	r := newRig(t, 0, nil)
	r.newShards("-40", "40-80", "80-")
	resumed := &state.Shard{Position: at(5), Copy: &state.Copy{Oldest: at(5), LastPK: pk("users", "1").Lastpk}}
	users := r.addSaved("users", map[string]*state.Shard{"40-80": resumed, "80-": {Position: at(5)}})
	r.addSaved("done", map[string]*state.Shard{"-40": {Position: at(5)}, "40-80": {Position: at(5)}, "80-": {Position: at(20)}})
	r.addSaved("split", map[string]*state.Shard{"-80": {Position: at(5)}, "80-": {Position: at(5)}})
	r.add(testTable("unknown"), airbyte.FullRefresh, nil)
	r.add(testTable("notes"), airbyte.FullRefresh, nil)
	r.sizes = map[gtid.Shard]map[string]schema.TableSize{}
	for shard, rows := range map[string]int64{"-40": 100, "40-80": 20, "80-": 3} {
		size := schema.TableSize{Rows: rows, Bytes: 8 * rows}
		r.sizes[in(shard)] = map[string]schema.TableSize{"users": size, "done": size, "split": size, "notes": size}
	}
	if err := (&survey{Sync: r.sync()}).estimate(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]schema.TableSize{"users": {Rows: 120, Bytes: 960}, "notes": {Rows: 123, Bytes: 984}}
	if got := r.estimated(); !maps.Equal(got, want) {
		t.Errorf("estimates %+v", got)
	}
	type expectation struct {
		rows    int64
		resumed bool
	}
	for shard, want := range map[string]expectation{"-40": {rows: 100}, "40-80": {20, true}, "80-": {}} {
		if p := users.In(in(shard)); (expectation{p.Expected, p.Resumed}) != want {
			t.Errorf("shard %s: %d rows expected, resumed %v", shard, p.Expected, p.Resumed)
		}
	}
}
