package vstream

import (
	"context"
	"fmt"
	"time"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/wire"
)

// current requests a stream from now on. Shards that have not reported their position yet report it, too.
const current = "current"

// Peek returns the current position of each shard, in one RPC. A shard that does not answer before ctx ends, or within Silence of the
// request, is named in the error: vtgate sends heartbeats while it waits for the shard's tablet, for ten minutes if that one hangs.
func (c *Client) Peek(ctx context.Context, shards ...gtid.Shard) (map[gtid.Shard]gtid.Position, error) {
	v := &binlogdatapb.VGtid{}
	for _, shard := range shards {
		v.ShardGtids = append(v.ShardGtids, &binlogdatapb.ShardGtid{Keyspace: shard.Keyspace, Shard: shard.Name, Gtid: current})
	}
	s, err := c.open(ctx, &vtgatepb.VStreamRequest{
		TabletType: c.cfg.TabletType,
		Vgtid:      v,
		// A rule that matches no table: only positions are needed.
		Filter: &binlogdatapb.Filter{Rules: []*binlogdatapb.Rule{{Match: "/^$/", Filter: ""}}},
	})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	// Not a deadline: gRPC tells the server of it, which may end the stream just before, as if it had answered.
	silence := time.AfterFunc(c.cfg.Silence, func() { s.cancel(ErrSilent) })
	defer silence.Stop()
	positions := make(map[gtid.Shard]gtid.Position, len(shards))
	for len(positions) < len(shards) {
		response, err := s.Recv()
		if err == nil {
			err = collectAll(positions, response)
			s.Keep(0)
		}
		if err != nil {
			s := missing(shards, positions)
			return nil, fmt.Errorf("asking for the current position of shard %s of keyspace %s: %w", s.Name, s.Keyspace, err)
		}
	}
	return positions, nil
}

func collectAll(positions map[gtid.Shard]gtid.Position, response wire.Response) error {
	for {
		var ev wire.Event
		if more, err := response.Next(&ev); err != nil || !more {
			return err
		}
		if ev.Type != binlogdatapb.VEventType_VGTID {
			continue
		}
		m, err := ev.Message()
		if err != nil {
			return err
		}
		if err := collect(positions, m.Vgtid); err != nil {
			return err
		}
	}
}

func collect(positions map[gtid.Shard]gtid.Position, v *binlogdatapb.VGtid) error {
	for _, g := range v.GetShardGtids() {
		if g.Gtid == current {
			continue
		}
		p, err := gtid.Parse(g.Gtid)
		if err != nil {
			return fmt.Errorf("shard %s: %w", g.Shard, err)
		}
		positions[gtid.Shard{Keyspace: g.Keyspace, Name: g.Shard}] = p
	}
	return nil
}

func missing(shards []gtid.Shard, have map[gtid.Shard]gtid.Position) gtid.Shard {
	for _, s := range shards {
		if _, ok := have[s]; !ok {
			return s
		}
	}
	return gtid.Shard{}
}
