package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/lineage"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/schema"
)

// movedTables finds the streams whose tables MoveTables moved to another keyspace.
type movedTables struct{ *Sync }

// journals are those of MoveTables.
type journals map[gtid.Shard][]*binlogdatapb.Journal

// location is the keyspace that a table went to; the zero value means that it is here.
type location struct {
	keyspace string
	sure     bool // it is certainly still there
}

// moves are the server's answers about tables that went to another keyspace.
type moves struct {
	routed  map[string]string // keyspaces that the planner reads tables from, by table
	answers bool              // the planner's
	from    journals
}

// ask queries, once the target of this sync is known, which of the tables are now in another keyspace. The planner shows a move from
// SwitchTraffic until MoveTables is completed, the journals show it afterwards as well.
func (m movedTables) ask(ctx context.Context, names []string) (moves, error) {
	var of moves
	err := together(ctx, func(ctx context.Context) (err error) {
		of.routed, err = m.server.Moved(ctx, names)
		if of.answers = err == nil; errors.Is(err, schema.ErrRefused) {
			return nil
		}
		return err
	}, func(ctx context.Context) (err error) {
		of.from, err = m.server.Journals(ctx, m.wanted)
		return err
	})
	return of, err
}

// check leaves out the streams of tables that went to another keyspace: up to the target of this sync, a stream of this keyspace has
// their changes, but later it may simply fall silent. They are moved from s.streams to refused.
func (m movedTables) check(ctx context.Context, of moves, refused failures) error {
	left, err := m.find(ctx, of.from)
	if err != nil {
		return err
	}
	if !of.answers || len(of.from) < len(m.wanted) {
		m.shared.Log.Info(fmt.Sprintf("The server does not say whether tables of %s were moved to another keyspace; the sync continues without knowing.", m.cfg.Database))
	}
	m.leaveOut(of.routed, left, refused)
	return nil
}

func (m movedTables) leaveOut(routed map[string]string, left map[*partition.Stream]location, refused failures) {
	s := m.Sync
	var here []*partition.Stream
	for _, st := range s.streams {
		keyspace, gone := routed[st.Table.Name]
		if !gone {
			keyspace, gone = left[st].keyspace, left[st].sure
		}
		if gone {
			refused[st.Descriptor] = failure.Config(s.successor(st.Descriptor, keyspace),
				"The rows of table %s are now in keyspace %s, because MoveTables moved them there (or has not moved them here yet): they are changed there, and those changes may not reach this keyspace", st.Descriptor, keyspace)
			continue
		}
		if keyspace != "" {
			s.shared.Log.Warn(fmt.Sprintf("MoveTables moved table %s to keyspace %s, and it is not known whether the table is back (moved back, or created again). If it is not, its rows here no longer change: %s.", st.Descriptor, keyspace, s.successor(st.Descriptor, keyspace)))
		}
		here = append(here, st)
	}
	s.streams = here
}

// successor says which stream has the rows of a table that went to another keyspace.
func (e *Engine) successor(d airbyte.StreamDescriptor, keyspace string) string {
	if e.cfg.Reads(keyspace) {
		other := airbyte.StreamDescriptor{Name: d.Name, Namespace: keyspace}
		return fmt.Sprintf("stream %s of this source has them: select it, if it is not selected, and remove the stream %s from this connection", other, d)
	}
	return fmt.Sprintf("read the table with a source of database %s, or add %s to "+failure.Option("Keyspaces", "keyspaces")+" of this one, and remove the stream from this connection", keyspace, keyspace)
}

// find finds the streams whose tables MoveTables moved away, and not back, since their saved positions: an earlier move was reported by
// the sync after it. For most keyspaces, the journals show that there is none.
func (m movedTables) find(ctx context.Context, from journals) (map[*partition.Stream]location, error) {
	departures := m.departures(from)
	others := map[gtid.Shard]bool{}
	for _, d := range departures {
		for _, to := range d.to.ShardGtids {
			others[gtid.Shard{Keyspace: to.Keyspace, Name: to.Shard}] = true
		}
	}
	to, err := m.server.Journals(ctx, slices.SortedFunc(maps.Keys(others), lineage.ByName))
	return away(departures, to), err
}

// away are the streams whose tables were not moved back. One shard that is sure decides.
func away(departures []departure, to journals) map[*partition.Stream]location {
	found := map[*partition.Stream]location{}
	for _, d := range departures {
		if now := d.now(to); now.keyspace != "" && !found[d.st].sure {
			found[d.st] = now
		}
	}
	return found
}

func (m movedTables) departures(from journals) []departure {
	byTable := make(map[string]*partition.Stream, len(m.streams))
	for _, st := range m.streams {
		byTable[st.Table.Name] = st
	}
	var departures []departure
	for _, shard := range m.wanted {
		for _, j := range from[shard] {
			at, err := gtid.Parse(j.LocalPosition)
			if err != nil || len(j.ShardGtids) == 0 {
				continue // of a form that we do not know
			}
			for _, name := range j.Tables {
				st := byTable[name]
				if st == nil {
					continue
				}
				saved := replayFrom(st, shard)
				// The journal is written after its position: a saved position equal to it is from before the move.
				if !saved.Contains(at) || at.Contains(saved) {
					departures = append(departures, departure{st, shard, at, j, !saved.IsZero()})
				}
			}
		}
	}
	return departures
}

// replayFrom is the position from which changes of a shard are read; zero for none.
func replayFrom(st *partition.Stream, shard gtid.Shard) gtid.Position {
	saved := st.Saved()[shard]
	if saved == nil {
		return gtid.Position{}
	}
	at, _ := saved.Replay()
	return at
}

// departure is a switch of MoveTables that moved a stream's table out of a shard.
type departure struct {
	st    *partition.Stream
	shard gtid.Shard
	at    gtid.Position         // the shard's position
	to    *binlogdatapb.Journal // the shards that have had the table since then
	// sure reports that the table was not dropped and recreated since then, or that the stream fails because of that anyway: its saved
	// position is older. For a stream that starts over this cannot be known, since the journal stays.
	sure bool
}

// now finds out where the table is from the journals of the shards it went to: if it was moved back, they have one that names the
// position of this shard from which it is here again.
func (d departure) now(to journals) location {
	sure := d.sure
	for _, other := range d.to.ShardGtids {
		back, asked := to[gtid.Shard{Keyspace: other.Keyspace, Name: other.Shard}]
		sure = sure && asked
		for _, j := range back {
			if !slices.Contains(j.Tables, d.st.Table.Name) {
				continue
			}
			for _, into := range j.ShardGtids {
				at, err := gtid.Parse(into.Gtid)
				switch {
				case into.Keyspace != d.shard.Keyspace, err != nil:
					sure = false // it went on to a third keyspace, which may have returned it
				case into.Shard != d.shard.Name:
				case at.Contains(d.at):
					return location{}
				case !d.at.Contains(at):
					sure = false // after a failover that lost transactions, positions do not show which was first
				}
			}
		}
	}
	return location{d.to.ShardGtids[0].Keyspace, sure}
}
