package source

import (
	"context"
	"maps"
	"slices"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/schema"
)

// journals are those of MoveTables, by shard as in "commerce:-80".
type journals map[string][]*binlogdatapb.Journal

// departure is a switch of MoveTables that led a stream's table away from a shard.
type departure struct {
	st    *stream
	shard string
	at    gtid.Position         // where the shard stood
	to    *binlogdatapb.Journal // the shards that have the table since
	// sure tells that the table was not dropped and made anew since then, or the stream fails of that by itself: its saved
	// position is from before. Of a stream that begins afresh nothing tells it, since the journal stays.
	sure bool
}

// whereabouts of a table that went to a keyspace; the zero one is here.
type whereabouts struct {
	keyspace string
	sure     bool // it is still there
}

// departed finds the streams whose tables MoveTables led away, and not back, since their saved positions: an earlier move was
// told by the sync after it. One question to each shard tells of most keyspaces that there is none. all is false if the service
// did not let us ask some shard.
func (s *syncer) departed(ctx context.Context, db *schema.DB) (found map[*stream]whereabouts, all bool, err error) {
	ours := make([]string, len(s.shards))
	for i, shard := range s.shards {
		ours[i] = s.cfg.Database + ":" + shard
	}
	from, err := db.Journals(ctx, ours)
	if err != nil {
		return nil, true, err
	}
	departures := s.departures(from)
	others := map[string]bool{}
	for _, d := range departures {
		for _, to := range d.to.ShardGtids {
			others[to.Keyspace+":"+to.Shard] = true
		}
	}
	to, err := db.Journals(ctx, slices.Sorted(maps.Keys(others)))
	if err != nil {
		return nil, true, err
	}
	return s.away(departures, to), len(from) == len(ours), nil
}

// away are the streams whose tables were not led back. One shard that is sure decides.
func (s *syncer) away(departures []departure, to journals) map[*stream]whereabouts {
	found := map[*stream]whereabouts{}
	for _, d := range departures {
		if now := d.now(s.cfg.Database, to); now.keyspace != "" && !found[d.st].sure {
			found[d.st] = now
		}
	}
	return found
}

func (s *syncer) departures(from journals) []departure {
	byTable := make(map[string]*stream, len(s.streams))
	for _, st := range s.streams {
		byTable[st.table.Name] = st
	}
	var departures []departure
	for _, shard := range s.shards {
		for _, j := range from[s.cfg.Database+":"+shard] {
			at, err := gtid.Parse(j.LocalPosition)
			if err != nil || len(j.ShardGtids) == 0 {
				continue // of a form that we do not know
			}
			for _, name := range j.Tables {
				st := byTable[name]
				if st == nil {
					continue
				}
				saved := st.replay(shard)
				// The journal is written after its position: a saved one that equals it is from before.
				if !saved.Contains(at) || at.Contains(saved) {
					departures = append(departures, departure{st, shard, at, j, !saved.IsZero()})
				}
			}
		}
	}
	return departures
}

// replay is the position since which changes of a shard are read; zero for none.
func (s *stream) replay(shard string) gtid.Position {
	saved := s.state.Shards[shard]
	if saved == nil {
		return gtid.Position{}
	}
	at, _ := saved.Replay()
	return at
}

// now tells where the table is, by the journals of the shards it went to: when it is led back, they have one that names the
// position of this shard from which it is here again.
func (d departure) now(keyspace string, to journals) whereabouts {
	sure := d.sure
	for _, other := range d.to.ShardGtids {
		back, asked := to[other.Keyspace+":"+other.Shard]
		sure = sure && asked
		for _, j := range back {
			if !slices.Contains(j.Tables, d.st.table.Name) {
				continue
			}
			for _, into := range j.ShardGtids {
				at, err := gtid.Parse(into.Gtid)
				switch {
				case into.Keyspace != keyspace, err != nil:
					sure = false // it went on to a third keyspace, which may have given it back
				case into.Shard != d.shard:
				case at.Contains(d.at):
					return whereabouts{}
				case !d.at.Contains(at):
					sure = false // after a failover that lost transactions positions do not tell which was first
				}
			}
		}
	}
	return whereabouts{d.to.ShardGtids[0].Keyspace, sure}
}
