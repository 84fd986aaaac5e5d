package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	topodatapb "vitess.io/vitess/go/vt/proto/topodata"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/state"
)

// checkPositions asks, before anything is streamed, whether every shard still has the changes since the saved positions.
// VStream itself does not say: from a purged position, or one with transactions that the server never had, it sends
// heartbeats for ever. Streams that cannot go on are moved from s.streams to failures, or start over where the user chose so.
func (s *syncer) checkPositions(ctx context.Context, db *schema.DB, failures map[airbyte.StreamDescriptor]*failure) error {
	lost := map[string]string{} // by shard and position: why it cannot be used, "" if it can
	var usable []*stream
	for _, st := range s.streams {
		shard, reason, err := s.lostShard(ctx, db, st, lost)
		switch {
		case err != nil:
			return err
		case reason == "":
			usable = append(usable, st)
		case s.cfg.InvalidPositionBehavior == resync:
			s.log.Warn(fmt.Sprintf("Stream %s is read afresh: shard %s %s. Rows deleted meanwhile stay at the destination unless it is refreshed.", st.descriptor, shard, reason))
			st.state.Shards = map[string]*state.Shard{}
			st.begin(s.shards, nil)
			usable = append(usable, st)
		default:
			failures[st.descriptor] = classify(configErrorf("Stream %s cannot go on from its saved position: shard %s %s. Clear the stream's data and sync again, or set invalid_cdc_cursor_position_behavior to \"Re-sync data\"; sync more often than the binary logs are kept.", st.descriptor, shard, reason))
		}
	}
	s.streams = usable
	return nil
}

// lostShard finds the first shard whose saved position cannot be used, and why.
func (s *syncer) lostShard(ctx context.Context, db *schema.DB, st *stream, known map[string]string) (shard, reason string, err error) {
	if !st.incremental {
		return "", "", nil
	}
	for _, shard := range slices.Concat(s.shards, st.formers(s.exist)) {
		if _, peeked := s.stop.Load(shard); !peeked {
			continue // a former shard that could not be asked
		}
		for _, p := range positionsOf(st.state.Shards[shard]) {
			key := shard + " " + p.String()
			reason, ok := known[key]
			if !ok {
				if reason, err = s.whyLost(ctx, db, shard, p); err != nil {
					return "", "", err
				}
				known[key] = reason
			}
			if reason != "" {
				return shard, reason, nil
			}
		}
	}
	return "", "", nil
}

// positionsOf are the positions that a shard will be streamed from.
func positionsOf(saved *state.Shard) []gtid.Position {
	switch {
	case saved == nil:
		return nil // it replaces a shard that was split or merged
	case saved.Copy == nil:
		return []gtid.Position{saved.Position}
	case saved.Copy.LastPK != nil && saved.Copy.Restarted:
		return []gtid.Position{saved.Position, saved.Copy.Oldest}
	case saved.Copy.LastPK != nil:
		return []gtid.Position{saved.Position}
	case !saved.Copy.Oldest.IsZero():
		return []gtid.Position{saved.Copy.Oldest}
	}
	return nil
}

func (s *syncer) whyLost(ctx context.Context, db *schema.DB, shard string, p gtid.Position) (string, error) {
	if p.Equal(s.stopOf(shard)) {
		return "", nil
	}
	if p.Contains(s.stopOf(shard)) {
		return s.whyAhead(ctx, shard, p)
	}
	if !s.stopOf(shard).Contains(p) {
		return "never had some of its transactions (another server, or changes lost in a failover)", nil
	}
	purged, err := db.Purged(ctx, shard, p.GTIDSet())
	switch {
	case errors.Is(err, schema.ErrRefused):
		s.log.Info(fmt.Sprintf("Shard %s does not say which binary logs it has purged; the sync goes on without knowing.", shard))
		return "", nil
	case err != nil:
		return "", err
	case purged:
		return "has purged the binary logs since then", nil
	}
	return "", nil
}

const (
	// aheadPatience is how long primaries may lack what was streamed from it: a transaction is in the binary log before it
	// is committed, which waits for a replica where replication is semi-synchronous.
	aheadPatience = 10 * time.Second
	aheadPoll     = time.Second
)

// whyAhead judges a position that holds all that the shard has, and more. A replica may lag behind the tablet that was read
// last: there is nothing to stream yet. A primary was set back, as to a backup, and will give transactions the same names
// again: they would be taken for those that were read already.
func (s *syncer) whyAhead(ctx context.Context, shard string, p gtid.Position) (string, error) {
	if s.cfg.tabletType() != topodatapb.TabletType_PRIMARY {
		s.log.Warn(fmt.Sprintf("Shard %s is behind a saved position, as a replica that lags behind the one that was read last: there is nothing to read until it has caught up.", shard))
		return "", nil
	}
	if s.aheadUntil.IsZero() {
		s.aheadUntil = time.Now().Add(aheadPatience)
	}
	for {
		now, err := s.client.Peek(ctx, s.cfg.Database, []string{shard})
		if err != nil {
			return "", classifyStream(err, "keyspace "+s.cfg.Database, shard)
		}
		switch {
		case now[shard].Contains(p):
			return "", nil
		case time.Now().After(s.aheadUntil):
			return "no longer has some of its transactions (its data was set back, as to a backup)", nil
		}
		select {
		case <-time.After(aheadPoll):
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}
