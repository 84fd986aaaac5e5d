package e2e

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	topodatapb "vitess.io/vitess/go/vt/proto/topodata"

	"source-planetscale/internal/destination"
	"source-planetscale/internal/sandbox"
)

// split and merge of the lower half of the keyspace.
var (
	whole  = []string{"-80"}
	halves = []string{"-40", "40-80"}
)

// TestReshard splits and merges shards around and in the middle of syncs, while the table is written to.
func TestReshard(t *testing.T) {
	long(t)
	f := newRig(t, "reshard", 1)
	t.Run("split between two syncs", func(t *testing.T) {
		f := f.in(t, nil)
		f.readToEnd()
		f.writer = newWriter(t, f.db, f.name)
		r := f.reshard(whole, halves)
		f.ends(r)
	})
	t.Run("merge between two syncs", func(t *testing.T) {
		f := f.in(t, nil)
		f.readToEnd()
		f.writer = newWriter(t, f.db, f.name)
		f.ends(f.reshard(halves, whole))
	})
	t.Run("split between two attempts of a copy", func(t *testing.T) { f.in(t, nil).betweenAttempts(whole, halves) })
	t.Run("merge between two attempts of a copy", func(t *testing.T) { f.in(t, nil).betweenAttempts(halves, whole) })
	t.Run("split in a copy", func(t *testing.T) { f.in(t, nil).inTheMiddle(whole, halves) })
	t.Run("merge in a copy", func(t *testing.T) { f.in(t, nil).inTheMiddle(halves, whole) })
	t.Run("split in a replication", func(t *testing.T) {
		f := f.in(t, nil)
		f.readToEnd()
		f.burst()
		f.inTheMiddle(whole, halves)
	})
	t.Run("merge in a replication", func(t *testing.T) {
		f := f.in(t, nil)
		f.readToEnd()
		f.burst()
		f.inTheMiddle(halves, whole)
	})
	t.Run("shards gone", func(t *testing.T) { f.in(t, nil).gone() })
}

// TestReshardTwice splits a shard, and one of its parts again, between two syncs; then the former shard has lost its binary logs
// when it is to be read.
func TestReshardTwice(t *testing.T) {
	long(t)
	f := newRig(t, "reshard_twice", 1)
	f.readToEnd()
	f.writer = newWriter(t, f.db, f.name)
	f.reshard(whole, halves)
	f.pastTheJournal()
	// What is left of the first would have to be complete before the second, which removes the former shard.
	execOn(t, shardMySQL(t, f.Sandbox, "-40"), "delete from _vt.vreplication")
	f.reshard([]string{"-40"}, []string{"-20", "20-40"})
	f.readToEnd()
	f.writer.stop()
	f.readToEnd()
	f.mustEqualTheSource()

	f.writer = newWriter(t, f.db, f.name)
	execOn(t, shardMySQL(t, f.Sandbox, "-20"), "delete from _vt.vreplication")
	f.reshard([]string{"-20"}, []string{"-10", "10-20"})
	f.writer.stop()
	purge(t, shardMySQL(t, f.Sandbox, "-20"))
	state := f.state
	f.reset()
	f.state = state
	// vtgate looks for a tablet for a minute and a half each time.
	again := f.with(map[string]any{"invalid_cdc_cursor_position_behavior": "Re-sync data", "max_retries": 1})
	again.readToEnd()
	again.mustEqualTheSource()
	if !slices.ContainsFunc(again.last.Logs, func(l destination.Log) bool {
		return strings.Contains(l.Message, "is read afresh: its shard -20") && strings.Contains(l.Message, "purged")
	}) {
		t.Error("nothing is said of the shard that was purged")
	}
}

// TestReshardTakenBack splits shards and gives the traffic back to the former ones (ReverseTraffic): after a sync has gone on in
// the new ones, and between two syncs.
func TestReshardTakenBack(t *testing.T) {
	long(t)
	f := newRig(t, "reshard_back", 1)
	f.readToEnd()
	f.writer = newWriter(t, f.db, f.name)
	r := f.reshard(whole, halves)
	f.readToEnd()
	f.takeBack(r)
	f.readToEnd()
	f.writer.stop()
	f.readToEnd()
	f.mustEqualTheSource()

	f.writer = newWriter(t, f.db, f.name)
	f.takeBack(f.reshard([]string{"80-"}, []string{"80-c0", "c0-"}))
	f.writer.stop()
	f.readToEnd() // as far as to the journal, beyond which vtgate does not go
	if err := f.start().finish(); err == nil {
		t.Error("a sync that cannot pass the journal ended well")
	}
	if len(f.last.Errors) != 1 || f.last.Errors[0].FailureType != "transient_error" || !strings.Contains(f.last.Errors[0].Message, "Shard 80- was split or merged") || !strings.Contains(f.last.Errors[0].Message, "clear the data") {
		t.Errorf("traces %+v", f.last.Errors)
	}
	f.reset()
	f.readToEnd()
	f.exec("update " + f.name + " set v = v + 1 where id < 100")
	f.readToEnd()
	f.mustEqualTheSource()
}

// TestReshardOfReplicas reads from replicas, whose traffic is switched to the new shards before that of the primaries.
func TestReshardOfReplicas(t *testing.T) {
	long(t)
	f := newRig(t, "reshard_replicas", 2).in(t, map[string]any{"use_replica": true})
	f.awaitReplicas("-80", "80-")
	f.readToEnd()
	f.writer = newWriter(t, f.db, f.name)
	r, err := f.Reshard(t.Context(), "customer", whole, halves)
	if err == nil {
		err = r.SwitchReplicas(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	f.mustServe(topodatapb.TabletType_REPLICA, "-40", "40-80", "80-")
	f.mustServe(topodatapb.TabletType_PRIMARY, "-80", "80-")
	f.readToEnd()
	if err := r.Switch(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.writer.recovered(t)
	f.readToEnd()
	f.writer.stop()
	f.awaitReplicas("-40", "40-80", "80-")
	f.readToEnd()
	f.mustEqualTheSource()
}

// mustServe checks which shards the keyspace's tablets of a type are in that vtgate uses.
func (f *rig) mustServe(tabletType topodatapb.TabletType, shards ...string) {
	f.t.Helper()
	out, err := exec.CommandContext(f.t.Context(), f.VTCtldClient, "--server", f.VTCtld, "GetSrvKeyspaces", "customer").Output()
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
		f.t.Fatal(err)
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
		f.t.Errorf("the shards that serve as %s are %v, expected %v", tabletType, serve, shards)
	}
}

// takeBack gives the traffic to the former shards again.
func (f *rig) takeBack(r *sandbox.Reshard) {
	f.t.Helper()
	if err := r.Reverse(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	f.writer.recovered(f.t)
}

// pastTheJournal reads from where the former shard stands, to which Vitess writes changes back. That must end.
func (f *rig) pastTheJournal() {
	f.t.Helper()
	var now string
	if err := shardMySQL(f.t, f.Sandbox, "-80").QueryRow("select replace(@@global.gtid_executed, char(10), '')").Scan(&now); err != nil {
		f.t.Fatal(err)
	}
	state := f.state
	f.state = regexp.MustCompile(`("-80":\{"position":)"[^"]*"`).ReplaceAll(state, []byte(`$1"MySQL56/`+now+`"`))
	if bytes.Equal(state, f.state) {
		f.t.Fatalf("the state has no position of -80: %s", state)
	}
	if failed := f.readFails(); !strings.Contains(failed.Message, "shard -80") || !strings.Contains(failed.Message, "nothing in it tells where the new shards go on") {
		f.t.Errorf("the message is %s", failed.Message)
	}
	f.state = state
}

// reshard goes as far as to the point where the new shards serve.
func (f *rig) reshard(from, to []string) *sandbox.Reshard {
	f.t.Helper()
	r, err := f.Reshard(f.t.Context(), "customer", from, to)
	if err == nil {
		err = r.Switch(f.t.Context())
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.writer.recovered(f.t)
	return r
}

// ends reads what is left, compares, removes the old shards and does both again.
func (f *rig) ends(r *sandbox.Reshard) {
	f.t.Helper()
	f.readToEnd()
	f.readToEnd()
	f.writer.stop()
	f.readToEnd()
	f.mustEqualTheSource()
	if err := r.Complete(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	f.exec("update " + f.name + " set v = v + 1 where id < 100")
	f.readToEnd()
	f.mustEqualTheSource()
}

func (f *rig) betweenAttempts(from, to []string) {
	f.writer = newWriter(f.t, f.db, f.name)
	if !f.readUntilKilled(faultRows() / 2) {
		f.t.Fatal("the sync ended before it was killed")
	}
	f.ends(f.reshard(from, to))
}

func (f *rig) inTheMiddle(from, to []string) {
	f.writer = newWriter(f.t, f.db, f.name)
	f.proxy.shut(2 * faultGate) // there may be three shards
	sync := f.start()
	sync.until(faultRecords)
	r := f.reshard(from, to)
	f.proxy.open()
	if err := sync.finish(); err != nil {
		f.t.Logf("the sync ended with %v; the next one goes on: %+v", err, f.last.Errors) // as the platform does with a transient error
		for _, e := range f.last.Errors {
			if e.FailureType != "transient_error" {
				f.t.Errorf("%s: %s", e.FailureType, e.Message)
			}
		}
	}
	f.ends(r)
}

// gone lets the old shards go before the changes in them were read. Then a sync must say so.
func (f *rig) gone() {
	f.readToEnd()
	f.writer = newWriter(f.t, f.db, f.name)
	r := f.reshard(whole, halves)
	f.writer.stop()
	if err := r.Complete(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	if err := f.start().finish(); err == nil {
		f.t.Error("a sync from positions in shards that are gone ended well")
	}
	for _, e := range f.last.Errors {
		if e.FailureType == "config_error" && strings.Contains(e.Message, f.name) && strings.Contains(e.Message, "-80") {
			return
		}
	}
	f.t.Errorf("no config_error names stream and shard: %+v", f.last.Errors)
}
