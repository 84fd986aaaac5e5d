package engine

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// TestUnchangedKeyspaces logs how long a sync without changes takes for one keyspace of 2 shards and 100 tables, and for four, with a
// server that is 20 ms away and has 16 connections for one and 24 for several. No time makes it fail: the machine may be busy.
func TestUnchangedKeyspaces(t *testing.T) {
	const tables = 100
	took := map[int][]time.Duration{}
	for range 5 {
		for _, keyspaces := range [][]string{{"shop"}, {"shop", "b", "c", "d"}} {
			r := newRig(t, 20, nil)
			r.configure(`,"keyspaces":["b","c","d"]`)
			in := noState()
			var streams []airbyte.StreamDescriptor
			for i := range tables {
				name := fmt.Sprintf("t%03d", i)
				r.exists(name)
				for _, keyspace := range keyspaces {
					d := airbyte.StreamDescriptor{Name: name, Namespace: keyspace}
					shards := map[gtid.Shard]*state.Shard{}
					for _, shard := range gtid.Shards(keyspace, "-80", "80-") {
						shards[shard] = &state.Shard{Position: at(20)}
					}
					streams = append(streams, d)
					for _, data := range r.handedBack(map[string]*state.Stream{name: {Columns: testTable(name).Columns, Shards: shards}}).Streams {
						in.Streams[d] = data
					}
				}
			}
			connections := 16
			if len(keyspaces) > 1 {
				connections = 24
			}
			shared, catalog, places := r.shared(), r.catalog(streams...), make(chan struct{}, connections)
			of := func(keyspace string) *Engine {
				return New(Options{Shared: shared, Config: r.cfg.Of(keyspace), Client: r.client, Server: distant(r.answers(), keyspace, places)})
			}
			began := time.Now()
			if err := ReadAll(t.Context(), r.cfg, shared, of, catalog, in); err != nil {
				t.Fatal(err)
			}
			took[len(keyspaces)] = append(took[len(keyspaces)], time.Since(began))
			if out, _ := r.ended(nil); len(out.Statuses) != len(streams) || len(out.Records) > 0 {
				t.Errorf("%d streams, %d records", len(out.Statuses), len(out.Records))
			}
		}
	}
	slices.Sort(took[1])
	slices.Sort(took[4])
	t.Logf("one keyspace: %v; four: %v: %.1f times", took[1][2], took[4][2], float64(took[4][2])/float64(took[1][2]))
}

// distant is a server at which each query takes a round trip on one of the connections.
func distant(s Server, keyspace string, connections chan struct{}) Server {
	ask := func() {
		connections <- struct{}{}
		time.Sleep(40 * time.Millisecond)
		<-connections
	}
	shards := gtid.Shards(keyspace, "-80", "80-")
	tables, variables := s.TablesAt, s.Variables
	s.Shards = func(context.Context) ([]gtid.Shard, error) { ask(); return shards, nil }
	s.TablesAt = func(ctx context.Context, shard gtid.Shard, names []string, keys bool) (map[string]table.Table, schema.Moment, error) {
		ask()
		return tables(ctx, shard, names, keys)
	}
	s.Variables = func(ctx context.Context, shard gtid.Shard) (schema.Variables, error) {
		ask()
		return variables(ctx, shard)
	}
	s.Primary.Incarnations = func(context.Context, gtid.Shard, []string) (map[string]table.Incarnation, error) {
		ask()
		return map[string]table.Incarnation{}, nil
	}
	s.Cascades = func(context.Context, []gtid.Shard) ([]schema.Cascade, error) { ask(); return nil, nil }
	s.References = func(context.Context, []string) (map[string]bool, error) { ask(); return nil, nil }
	s.Moved = func(context.Context, []string) (map[string]string, error) { ask(); return nil, nil }
	s.Journals = func(ctx context.Context, of []gtid.Shard) (map[gtid.Shard][]*binlogdatapb.Journal, error) {
		journals := map[gtid.Shard][]*binlogdatapb.Journal{}
		for _, shard := range of {
			journals[shard] = nil
		}
		return journals, schema.EachShard(ctx, of, func(context.Context, gtid.Shard) error { ask(); return nil })
	}
	return s
}
