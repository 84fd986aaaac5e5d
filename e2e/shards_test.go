package e2e

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

// TestShardsSharedOut reads a keyspace once with one process, and once with a process for each shard, in parallel. Together the two
// must emit exactly what the one emits, by copy and by replication.
func TestShardsSharedOut(t *testing.T) {
	name := "shards_shared_out"
	whole := newKillPipeline(t, name)
	parts := []*pipeline{whole.in(t, map[string]any{"shards": "-80"}), whole.in(t, map[string]any{"shards": "80-"})}
	for _, phase := range []struct {
		name    string
		changes []string
	}{
		{"copy", nil},
		{"replication", []string{
			fmt.Sprintf("update %s set v = v + 1 where id < 500", name),
			fmt.Sprintf("delete from %s where id >= 500 and id < 700", name),
			fmt.Sprintf("insert into %s (id, part, v, note) values (%d,1,1,'new'), (%d,1,1,'new'), (%d,1,1,'new')",
				name, killRows, killRows+1, killRows+2),
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
			rows := p.rows(name)
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
			t.Errorf("%s: the parts have %d records, the whole %d", phase.name, records, len(whole.last.Records))
		}
		if !maps.EqualFunc(union, whole.rows(name), sameRow) {
			t.Errorf("%s: the parts have %d rows, the whole %d, or they are not the same", phase.name, len(union), len(whole.rows(name)))
		}
		t.Logf("%s: %d records, %d rows", phase.name, records, len(union))
	}
}

// sameRow compares everything but the connector's own columns: times and cursors differ between runs.
func sameRow(a, b map[string]any) bool {
	ours := func(column string, _ any) bool { return strings.HasPrefix(column, "_ab_cdc_") }
	a, b = maps.Clone(a), maps.Clone(b)
	maps.DeleteFunc(a, ours)
	maps.DeleteFunc(b, ours)
	return maps.Equal(a, b)
}
