package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// refer makes a table that was just created a reference table: no statement does that, so the keyspace's vschema is replaced.
func (p *play) refer(ctx context.Context, name string) {
	p.mirrored[name] = true
	vschema := map[string]any{}
	out, err := vtctl(ctx, p.Sandbox, "GetVSchema", p.keyspace)
	if err == nil {
		err = json.Unmarshal(out, &vschema)
	}
	if err != nil {
		p.failed(err)
		return
	}
	tables, _ := vschema["tables"].(map[string]any)
	if tables == nil {
		tables = map[string]any{}
	}
	tables[name] = map[string]string{"type": "reference"}
	vschema["tables"] = tables
	text, err := json.Marshal(vschema)
	if err == nil {
		_, err = vtctl(ctx, p.Sandbox, "ApplyVSchema", "--vschema", string(text), p.keyspace)
	}
	p.failed(err)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	p.await(ctx, func() error {
		var plan string
		err := p.gate(p.keyspace).QueryRowContext(ctx, "vexplain plan select 1 from "+name).Scan(&plan)
		if err == nil && !strings.Contains(plan, `"Reference"`) {
			return fmt.Errorf("vtgate does not know that %s is a reference table", name)
		}
		return err
	})
}

// split takes out the statements about reference tables, which vtgate refuses unless they are sent to a shard.
func (p *play) split(statements []string) (mirrored, others []string) {
	for _, statement := range statements {
		named := p.named(statement)
		if slices.ContainsFunc(slices.Collect(maps.Keys(p.mirrored)), func(table string) bool { return strings.Contains(named, table) }) {
			mirrored = append(mirrored, statement)
		} else {
			others = append(others, statement)
		}
	}
	return mirrored, others
}

// shardsWith are those of these shards, or of all, that a table's rows are read in: of a reference table each has all of them.
func (p *play) shardsWith(name string, shards []string) []string {
	if !p.mirrored[name] {
		return shards
	}
	if shards == nil {
		shards = p.shardsOf(p.homes[name])
	}
	return shards[:1]
}
