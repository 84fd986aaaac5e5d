package source

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/wire"
)

// candidate is a position that the next boundary makes the reader's.
type candidate struct {
	gtid    string // "" for none
	key     *querypb.QueryResult
	copying bool // the server copies, after the key if there is one
}

// vgtid notes a position. Those of a copy are decoded; of the others there is one per transaction.
func (r *reader) vgtid(ctx context.Context, ev *wire.Event) error {
	if shard, gtid, ok := ev.Position(); ok {
		return r.reaches(ctx, string(shard) == r.shard, candidate{gtid: string(gtid)})
	}
	m, err := ev.Message()
	if err != nil {
		return err
	}
	shards := m.Vgtid.GetShardGtids()
	if len(shards) != 1 {
		return r.reaches(ctx, false, candidate{})
	}
	next := candidate{gtid: shards[0].Gtid}
	if pks := shards[0].TablePKs; len(pks) > 0 {
		next.copying, next.key = true, describe(pks[0].Lastpk, r.described)
	}
	return r.reaches(ctx, shards[0].Shard == r.shard, next)
}

func (r *reader) reaches(ctx context.Context, ours bool, next candidate) error {
	if !ours {
		return r.outlived()
	}
	r.next = next
	switch {
	case !r.copying || next.copying:
		return nil
	case r.at.IsZero():
		return r.copyStarted(ctx)
	case r.replaying:
		return errRestart // the server forgot the copy, and will not complete it
	}
	return nil
}

// errOutlived says that a shard was split or merged while the sync went on, which finds the new ones only at its start.
var errOutlived = errors.New("the shard no longer serves")

func (r *reader) outlived() error {
	return because(airbyte.TransientError, errOutlived, "Shard %s of keyspace %s was split or merged while it was read; the next attempt reads the new shards.", r.shard, r.sync.cfg.Database)
}

// copyStarted saves the position of a copy's snapshot before its first row. It is no position to replicate from until the
// copy is complete.
func (r *reader) copyStarted(ctx context.Context) error {
	exist, err := r.sync.serving(ctx)
	if err != nil {
		return err
	}
	// vtgate copies from a shard that no longer serves, too. The position would be past the journal, and lead nowhere.
	if !slices.Contains(exist, r.shard) {
		return r.outlived()
	}
	at, err := r.at.Follow(r.next.gtid)
	if err != nil {
		return err
	}
	r.at = at
	r.moves()
	return r.commit(ctx, func() ([]airbyte.StreamState, error) {
		t := r.tables[r.names[0]]
		s := t.stream
		if s.incremental {
			s.state.Shards[r.shard].Copy.Start(at, t.layout)
		}
		state, err := s.snapshot()
		return []airbyte.StreamState{state}, err
	})
}

// boundary is where a position may be saved: between transactions.
func (r *reader) boundary(ctx context.Context) (done bool, err error) {
	if r.next.gtid != "" {
		at, err := r.at.Follow(r.next.gtid)
		if err != nil {
			return false, err
		}
		if former := r.key; r.next.key != nil {
			r.key = r.next.key
			if !proto.Equal(former, r.key) {
				r.moves()
			}
			if former != nil && !slices.EqualFunc(former.Fields, r.key.Fields, sameColumn) {
				r.key = nil              // not to go on after the new one, which the table now has
				return false, errRestart // the table's key was changed, and rows of the new one may have been left out
			}
		}
		if !at.Equal(r.at) {
			r.moves()
		}
		r.at, r.next = at, candidate{}
		if r.copying {
			t := r.tables[r.names[0]]
			t.reached = t.layout
		}
	}
	if r.arrived() {
		return true, nil
	}
	if err := r.checkJournal(); err != nil {
		return false, err
	}
	if r.saved.bytes+int64(r.batch.Size()+r.queue.bytes) >= checkpointBytes || time.Since(r.saved.time) >= r.saved.interval {
		return false, r.checkpoint(ctx)
	}
	return false, nil
}

// copyCompleted ends the copy at the last position of its stream, which its rows are of or newer.
func (r *reader) copyCompleted(ctx context.Context) (done bool, err error) {
	if !r.copying {
		return false, nil
	}
	r.transaction = false
	_, err = r.boundary(ctx)
	return err == nil, err
}

// arrived tells whether the changes wanted have all been given.
func (r *reader) arrived() bool { return !r.copying && !r.toJournal && r.at.Contains(r.stop) }

// finish writes the reader's last states.
func (r *reader) finish(ctx context.Context) error {
	if r.copying && r.tables[r.names[0]].stream.incremental {
		// Once the server has read all, changes of columns no longer wait.
		if err := r.look(ctx, false); err != nil {
			return err
		}
	}
	if err := r.checkDrift(ctx); err != nil {
		return err
	}
	r.copying, r.key, r.done = false, nil, true
	return r.checkpoint(ctx)
}

// flush writes the records collected once they are at least limit bytes.
func (r *reader) flush(limit int) error {
	size := r.batch.Size()
	if size < limit {
		return nil
	}
	r.saved.bytes += int64(size)
	return r.sync.commit(r.batch, nil)
}

// checkpoint writes the records collected and the state of every table whose position moved.
func (r *reader) checkpoint(ctx context.Context) error {
	if err := r.checkDrift(ctx); err != nil {
		return err
	}
	if err := r.checkStop(ctx); err != nil {
		return err
	}
	if err := r.encode(ctx); err != nil {
		return err
	}
	records, written := r.saved.bytes+int64(r.batch.Size()), int64(0)
	defer func() { r.saved.interval = r.pace(records, written) }()
	return r.commit(ctx, func() ([]airbyte.StreamState, error) {
		var states []airbyte.StreamState
		for _, name := range r.names {
			t := r.tables[name]
			if !r.save(t) {
				continue
			}
			s, err := t.stream.snapshot()
			if err != nil {
				return nil, err
			}
			states = append(states, s)
			written += int64(len(s.State))
		}
		return states, nil
	})
}

// checkStop asks the source again where it stands when the stream has gone where the stop does not lead: after a failover
// the stop may hold transactions that are gone, and would never be reached. vtgate goes on over a failover by itself.
func (r *reader) checkStop(ctx context.Context) error {
	if r.copying || r.toJournal || r.done || r.stop.Contains(r.at) || r.at.Contains(r.stop) {
		return nil
	}
	if err := r.sync.peekAgain(ctx, r); err != nil {
		return err
	}
	return r.look(ctx, false)
}

// pace returns the time until the next checkpoint: longer and longer while states are more than a tenth of what is
// written, as with many tables of which few change.
func (r *reader) pace(records, states int64) time.Duration {
	if states > (records+states)/10 {
		return min(2*r.saved.interval, time.Hour)
	}
	return r.sync.cfg.checkpointInterval()
}

func (r *reader) commit(ctx context.Context, states func() ([]airbyte.StreamState, error)) error {
	if err := r.encode(ctx); err != nil {
		return err
	}
	r.saved = checkpoint{time: time.Now(), interval: r.saved.interval}
	return r.sync.commit(r.batch, states)
}

// save moves the table's state in this shard to where the reader stands, never back, and tells whether there is something
// new to say. It is called inside Writer.Commit.
func (r *reader) save(t *tableReader) bool {
	shard := t.stream.state.Shards[r.shard]
	switch {
	case shard.Copy == nil:
		if !r.at.Contains(t.from) || r.at.Equal(shard.Position) {
			return false
		}
		shard.Position, shard.Layout = r.at, r.layoutOf(t)
	case r.toJournal:
		return false // the copy waits for the shards that replaced this one
	case !r.copying:
		shard.Complete(r.at, t.layout)
	case r.resumable():
		shard.Position, shard.Layout, shard.Copy.LastPK = r.at, t.layout, r.key
	}
	if t.stream.state.FullRefresh {
		shard.Position = gtid.Position{} // a snapshot is not followed by changes
	}
	return true
}
