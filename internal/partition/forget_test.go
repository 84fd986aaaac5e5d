package partition

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// One shard of a stream is copied again while another one is read. Go aborts a program that reads a map during a write, without an error
// that could be reported. The race detector finds that every time; without it, the changed earlier state shows it.
func TestOneShardIsForgottenWhileAnotherIsRead(t *testing.T) {
	users := &table.Table{Name: "users", Columns: []table.Column{{Name: "id", Type: "bigint"}}}
	shards := map[gtid.Shard]*state.Shard{}
	for _, shard := range gtid.Shards("shop", "-80", "80-") {
		shards[shard] = &state.Shard{Position: gtid.Position{}, Copy: &state.Copy{Restarted: true}}
	}
	s, err := NewStream(&airbyte.ConfiguredStream{
		Stream: airbyte.Stream{Name: "users", JSONSchema: []byte(`{"properties":{"id":{}}}`)}, SyncMode: airbyte.Incremental,
	}, users, &state.Stream{Shards: shards}, &atomic.Int64{}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	one, other := s.In(gtid.Shard{Keyspace: "shop", Name: "-80"}), s.In(gtid.Shard{Keyspace: "shop", Name: "80-"})
	before := one.Saved()
	var reader sync.WaitGroup
	reader.Go(func() { other.Saved() })
	one.Forget(nil)
	reader.Wait()
	if one.Saved() != before || before.Copy.Restarted || !other.Saved().Copy.Restarted {
		t.Errorf("one shard has %+v, the other %+v", one.Saved(), other.Saved())
	}
}
