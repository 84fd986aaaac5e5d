package e2e

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	topodatapb "vitess.io/vitess/go/vt/proto/topodata"

	"source-planetscale/internal/destination"
	"source-planetscale/internal/sandbox"
)

// Shards before and after a split or merge of the lower half of the keyspace.
var (
	whole  = []string{"-80"}
	halves = []string{"-40", "40-80"}
)

// TestReshard splits and merges shards around and in the middle of syncs, while the table is written to.
func TestReshard(t *testing.T) {
	long(t)
	p := newFaultPipeline(t, own(t, customer(1)), "reshard")
	t.Run("split between two syncs", func(t *testing.T) {
		p := p.in(t, nil)
		p.readToEnd()
		p.writePatiently()
		r := p.switchTo(whole, halves)
		p.finishReshard(r)
	})
	t.Run("merge between two syncs", func(t *testing.T) {
		p := p.in(t, nil)
		p.readToEnd()
		p.writePatiently()
		p.finishReshard(p.switchTo(halves, whole))
	})
	t.Run("split between two attempts of a copy", func(t *testing.T) { p.in(t, nil).betweenAttempts(whole, halves) })
	t.Run("merge between two attempts of a copy", func(t *testing.T) { p.in(t, nil).betweenAttempts(halves, whole) })
	t.Run("split in a copy", func(t *testing.T) { p.in(t, nil).duringSync(whole, halves) })
	t.Run("merge in a copy", func(t *testing.T) { p.in(t, nil).duringSync(halves, whole) })
	t.Run("split in a replication", func(t *testing.T) {
		p := p.in(t, nil)
		p.readToEnd()
		p.burst()
		p.duringSync(whole, halves)
	})
	t.Run("merge in a replication", func(t *testing.T) {
		p := p.in(t, nil)
		p.readToEnd()
		p.burst()
		p.duringSync(halves, whole)
	})
	t.Run("shards gone", func(t *testing.T) { p.in(t, nil).oldShardsRemoved() })
}

// TestReshardTwice splits a shard, and then one of its parts, between two syncs. Then it splits another part, which loses its binary logs
// before it is read.
func TestReshardTwice(t *testing.T) {
	long(t)
	p := newFaultPipeline(t, own(t, customer(1)), "reshard_twice")
	p.readToEnd()
	p.writePatiently()
	p.switchTo(whole, halves)
	p.pastTheJournal()
	// Workflows that remain from the first reshard would have to be completed before the second, which removes the former shard.
	execOn(t, p.mysqld(t, "-40"), "delete from _vt.vreplication")
	p.switchTo([]string{"-40"}, []string{"-20", "20-40"})
	p.readToEnd()
	p.writer.stop()
	p.readToEnd()
	p.mustEqualTheSource()

	p.writePatiently()
	execOn(t, p.mysqld(t, "-20"), "delete from _vt.vreplication")
	p.switchTo([]string{"-20"}, []string{"-10", "10-20"})
	p.writer.stop()
	p.purge(t, "-20")
	p.clear()
	// Each time vtgate searches for a tablet for a minute and a half.
	again := p.with(map[string]any{"invalid_cdc_cursor_position_behavior": "Re-sync data", "max_retries": 1})
	again.readToEnd()
	again.mustEqualTheSource()
	if !slices.ContainsFunc(again.last.Logs, func(l destination.Log) bool {
		return strings.Contains(l.Message, "is copied again: its shard -20") && strings.Contains(l.Message, "purged")
	}) {
		t.Error("no message about the shard that was purged")
	}
}

// TestReshardTakenBack splits shards and switches the traffic back to the former ones (ReverseTraffic): after a sync has continued in
// the new ones, and between two syncs.
func TestReshardTakenBack(t *testing.T) {
	long(t)
	p := newFaultPipeline(t, own(t, customer(1)), "reshard_back")
	p.readToEnd()
	p.writePatiently()
	r := p.switchTo(whole, halves)
	p.readToEnd()
	p.reverse(r)
	p.readToEnd()
	p.writer.stop()
	p.readToEnd()
	p.mustEqualTheSource()

	p.writePatiently()
	p.reverse(p.switchTo([]string{"80-"}, []string{"80-c0", "c0-"}))
	p.writer.stop()
	p.readToEnd() // up to the journal, which vtgate does not read past
	if err := p.start().finish(); err == nil {
		t.Error("a sync that cannot pass the journal succeeded")
	}
	if e := p.last.Errors; len(e) != 1 || e[0].FailureType != "transient_error" ||
		!strings.Contains(e[0].Message, "Shard 80- was split or merged") || !strings.Contains(e[0].Message, "clear the data") {
		t.Errorf("traces %+v", e)
	}
	p.reset()
	p.readToEnd()
	p.exec("update " + p.table + " set v = v + 1 where id < 100")
	p.readToEnd()
	p.mustEqualTheSource()
}

// TestReshardOfReplicas reads from replicas, whose traffic is switched to the new shards before the traffic of the primaries.
func TestReshardOfReplicas(t *testing.T) {
	long(t)
	p := newFaultPipeline(t, own(t, customer(2)), "reshard_replicas").in(t, map[string]any{"use_replica": true})
	p.awaitReplicas(t, "-80", "80-")
	p.readToEnd()
	p.writePatiently()
	r, err := p.Reshard(t.Context(), "customer", whole, halves)
	if err == nil {
		err = r.SwitchReplicas(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	p.mustServe(topodatapb.TabletType_REPLICA, "-40", "40-80", "80-")
	p.mustServe(topodatapb.TabletType_PRIMARY, "-80", "80-")
	p.readToEnd()
	if err := r.Switch(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.writer.recovered(t)
	p.readToEnd()
	p.writer.stop()
	p.awaitReplicas(t, "-40", "40-80", "80-")
	p.readToEnd()
	p.mustEqualTheSource()
}

// mustServe checks the shards of the tablets of a type that vtgate uses for the keyspace.
func (p *pipeline) mustServe(tabletType topodatapb.TabletType, shards ...string) {
	p.t.Helper()
	out, err := p.vtctl(p.t, "GetSrvKeyspaces", "customer")
	var cells map[string]struct {
		Partitions []struct {
			ServedType topodatapb.TabletType `json:"served_type"`
			Shards     []struct {
				Name string `json:"name"`
			} `json:"shard_references"`
		} `json:"partitions"`
	}
	if err == nil {
		err = json.Unmarshal(out, &cells)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	var serve []string
	for _, cell := range cells {
		for _, p := range cell.Partitions {
			for _, shard := range p.Shards {
				if p.ServedType == tabletType {
					serve = append(serve, shard.Name)
				}
			}
		}
	}
	slices.Sort(serve)
	if !slices.Equal(serve, shards) {
		p.t.Errorf("the shards that serve as %s are %v, expected %v", tabletType, serve, shards)
	}
}

// reverse switches the traffic back to the former shards.
func (p *pipeline) reverse(r *sandbox.Reshard) {
	p.t.Helper()
	if err := r.Reverse(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	p.writer.recovered(p.t)
}

// pastTheJournal reads from the position of the former shard, to which Vitess writes changes back. The sync must end.
func (p *pipeline) pastTheJournal() {
	p.t.Helper()
	var now string
	if err := p.mysqld(p.t, "-80").QueryRow("select replace(@@global.gtid_executed, char(10), '')").Scan(&now); err != nil {
		p.t.Fatal(err)
	}
	state := p.state
	p.state = regexp.MustCompile(`("-80":\{"position":)"[^"]*"`).ReplaceAll(state, []byte(`$1"MySQL56/`+now+`"`))
	if bytes.Equal(state, p.state) {
		p.t.Fatalf("the state has no position of -80: %s", state)
	}
	const says = "does not record where the new shards continue"
	if failed := p.readFails(); !strings.Contains(failed.Message, "shard -80") || !strings.Contains(failed.Message, says) {
		p.t.Errorf("the message is %s", failed.Message)
	}
	p.state = state
}

// switchTo reshards, up to the point at which the new shards serve.
func (p *pipeline) switchTo(from, to []string) *sandbox.Reshard {
	p.t.Helper()
	r, err := p.Reshard(p.t.Context(), "customer", from, to)
	if err == nil {
		err = r.Switch(p.t.Context())
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.writer.recovered(p.t)
	return r
}

// finishReshard reads what remains, compares, removes the old shards, and then reads and compares again.
func (p *pipeline) finishReshard(r *sandbox.Reshard) {
	p.t.Helper()
	p.readToEnd()
	p.readToEnd()
	p.writer.stop()
	p.readToEnd()
	p.mustEqualTheSource()
	if err := r.Complete(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	p.exec("update " + p.table + " set v = v + 1 where id < 100")
	p.readToEnd()
	p.mustEqualTheSource()
}

func (p *pipeline) betweenAttempts(from, to []string) {
	p.writePatiently()
	if !p.readUntilKilled(faultRows() / 2) {
		p.t.Fatal("the sync ended before it was killed")
	}
	p.finishReshard(p.switchTo(from, to))
}

func (p *pipeline) duringSync(from, to []string) {
	p.writePatiently()
	p.proxy.shut(2 * faultGate) // for up to three shards
	sync := p.start()
	sync.until(faultRecords)
	r := p.switchTo(from, to)
	p.proxy.open()
	if err := sync.finish(); err != nil {
		p.t.Logf("the sync ended with %v; the next one continues: %+v", err, p.last.Errors) // as the platform does after a transient error
		for _, e := range p.last.Errors {
			if e.FailureType != "transient_error" {
				p.t.Errorf("%s: %s", e.FailureType, e.Message)
			}
		}
	}
	p.finishReshard(r)
}

// oldShardsRemoved removes the old shards before the changes in them were read. A sync must report this.
func (p *pipeline) oldShardsRemoved() {
	p.readToEnd()
	p.writePatiently()
	r := p.switchTo(whole, halves)
	p.writer.stop()
	if err := r.Complete(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	if err := p.start().finish(); err == nil {
		p.t.Error("a sync from positions in shards that no longer exist succeeded")
	}
	for _, e := range p.last.Errors {
		if e.FailureType == "config_error" && strings.Contains(e.Message, p.table) && strings.Contains(e.Message, "-80") {
			return
		}
	}
	p.t.Errorf("no config_error names stream and shard: %+v", p.last.Errors)
}
