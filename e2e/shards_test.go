package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"

	"source-planetscale/internal/destination"
)

// TestShardsSharedOut reads a keyspace once whole, and once with a process for each shard, side by side. Together the two
// must give exactly what the one gives, by copy and by replication.
func TestShardsSharedOut(t *testing.T) {
	name := "shards_shared_out"
	whole := newPipeline(t, name)
	parts := []*pipeline{whole.withShards("-80"), whole.withShards("80-")}
	for _, phase := range []struct {
		name    string
		changes []string
	}{
		{"copy", nil},
		{"replication", []string{
			fmt.Sprintf("update %s set v = v + 1 where id < 500", name),
			fmt.Sprintf("delete from %s where id >= 500 and id < 700", name),
			fmt.Sprintf("insert into %[1]s (id, part, v, note) values (%[2]d,1,1,'new'), (%[3]d,1,1,'new'), (%[4]d,1,1,'new')", name, killRows, killRows+1, killRows+2),
			fmt.Sprintf("update %s set part = part + 1 where id < 100", name),
		}},
		{"nothing new", nil},
	} {
		for _, statement := range phase.changes {
			whole.exec(statement)
		}
		whole.readToEnd()
		whole.mustEqualTheSource()
		readSideBySide(t, parts)

		records := 0
		union := map[string]map[string]any{}
		for i, p := range parts {
			records += len(p.last.Records)
			rows := p.rows()
			if len(rows) == 0 {
				t.Errorf("%s: part %d has no rows, so that nothing is tested", phase.name, i)
			}
			for key, row := range rows {
				if union[key] != nil {
					t.Errorf("%s: row %s is in both parts", phase.name, key)
				}
				union[key] = row
			}
		}
		if records != len(whole.last.Records) {
			t.Errorf("%s: the parts gave %d records, the whole %d", phase.name, records, len(whole.last.Records))
		}
		if !maps.EqualFunc(union, whole.rows(), sameRow) {
			t.Errorf("%s: the parts have %d rows, the whole %d, or they are not the same", phase.name, len(union), len(whole.rows()))
		}
		t.Logf("%s: %d records, %d rows", phase.name, records, len(union))
	}
}

// withShards is a pipeline of its own over some of the table's shards.
func (p *pipeline) withShards(shards string) *pipeline {
	p.t.Helper()
	part := *p
	part.dir = p.t.TempDir()
	part.config = part.file("config.json", changedConfig(p.t, p.config, map[string]any{"shards": shards}))
	part.reset()
	return &part
}

func (p *pipeline) rows() map[string]map[string]any {
	return p.tables[destination.Stream{Name: p.name, Namespace: "customer"}].Rows
}

// sameRow compares what is not the connector's own: times and cursors differ between runs.
func sameRow(a, b map[string]any) bool {
	ours := func(column string, _ any) bool { return strings.HasPrefix(column, "_ab_cdc_") }
	a, b = maps.Clone(a), maps.Clone(b)
	maps.DeleteFunc(a, ours)
	maps.DeleteFunc(b, ours)
	return maps.Equal(a, b)
}

// readSideBySide runs a sync of each at the same time.
func readSideBySide(t *testing.T, parts []*pipeline) {
	t.Helper()
	var running []*exec.Cmd
	var outputs []*os.File
	for _, p := range parts {
		cmd := exec.CommandContext(t.Context(), "source-planetscale", p.readArgs()...)
		out, err := os.CreateTemp(p.dir, "out")
		if err == nil {
			cmd.Stdout = out
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		running, outputs = append(running, cmd), append(outputs, out)
	}
	for i, p := range parts {
		err := running[i].Wait()
		out := read(t, outputs[i].Name())
		outputs[i].Close()
		if err != nil {
			t.Fatalf("the connector ended with %v: %s", err, notRecords(out))
		}
		p.deliver(out)
	}
}
