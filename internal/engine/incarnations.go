package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/table"
)

// incarnations queries in each shard whether the tables are still the same ones: a table that was replaced since the last sync lost its
// rows silently, if no statement in the binary log explains it. This is queried before the peek, so that none is missed.
func (s *survey) incarnations(ctx context.Context, catalog *airbyte.ConfiguredCatalog) error {
	if s.found != nil {
		return nil // from the first query
	}
	var names []string
	for _, c := range catalog.Streams {
		if c.SyncMode == airbyte.Incremental {
			names = append(names, c.Stream.Name)
		}
	}
	found := map[gtid.Shard]map[string]table.Incarnation{}
	s.found = found
	if names == nil {
		return nil
	}
	var mu sync.Mutex
	refused := false
	s.foundAt = map[gtid.Shard]gtid.Position{}
	err := schema.EachShard(ctx, s.wanted, func(ctx context.Context, shard gtid.Shard) error {
		here, err := s.server.Primary.Incarnations(ctx, shard, names)
		var known primary
		if err == nil {
			known, err = s.primaryKnows(ctx, shard)
		}
		mu.Lock()
		defer mu.Unlock()
		if errors.Is(err, schema.ErrRefused) && ctx.Err() == nil {
			refused = true
			return nil
		}
		found[shard], s.foundAt[shard] = here, known.executed
		return err
	})
	if refused {
		s.shared.Log.Info(fmt.Sprintf("The server does not say whether tables of keyspace %s were replaced (this requires the PROCESS privilege): a table that is truncated or exchanged without a statement in the binary log goes unnoticed.", s.cfg.Database))
	}
	return err
}

// know records for the partitions which tables theirs are now. If replicas are read that are behind the primary, whose tables these are,
// it is left to the next sync: a statement that they have yet to execute may explain them.
func (s *survey) know() {
	for _, st := range s.streams {
		for _, shard := range s.shardsOf(st) {
			if s.targets.Of(shard).Contains(s.foundAt[shard]) {
				st.In(shard).Witness(s.found[shard][st.Table.Name])
			}
		}
	}
}
