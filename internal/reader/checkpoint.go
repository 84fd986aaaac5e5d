package reader

import (
	"context"
	"fmt"
	"slices"
	"time"

	"source-planetscale/internal/airbyte"
)

// checkpointBytes of records since the last state are enough to trigger the next one.
const checkpointBytes = 64 << 20

// pace is when states were last written, and when the next ones are due.
type pace struct {
	time     time.Time
	bytes    int64         // of records since then
	interval time.Duration // until the next one
	passed   int           // boundaries since then
}

// due reports whether it is time for a state, with that many bytes of records waiting to be written.
func (p *pace) due(pending int) bool {
	return p.bytes+int64(pending) >= checkpointBytes || time.Since(p.time) >= p.interval
}

// adjust sets the time until the next state: it grows while states are more than a tenth of what is written, as with many tables of which
// few change.
func (p *pace) adjust(records, states int64, usual time.Duration) {
	if states > (records+states)/10 {
		p.interval = min(2*p.interval, time.Hour)
		return
	}
	p.interval = usual
}

// checkpoint writes the records collected and the state of every table whose position moved.
func (r *Reader) checkpoint(ctx context.Context) error {
	if r.scouted != nil {
		r.saved.time = time.Now()
		return r.checkTarget(ctx)
	}
	if err := r.lookIfGiven(ctx); err != nil {
		return err
	}
	if err := r.checkTarget(ctx); err != nil {
		return err
	}
	if err := r.encode(ctx); err != nil {
		return err
	}
	records, states := r.saved.bytes+int64(r.batch.Size()), int64(0)
	known := r.env.Targets.Sure(r.shard)
	atTarget := r.done && known && r.at.Contains(r.target)
	if r.done {
		for _, name := range r.tables.names {
			r.tables.find(name).WarnUnexplained(r.env.Log)
		}
	}
	passed, started := r.saved.passed, time.Now()
	err := r.commit(ctx, func(tx *airbyte.Tx) error {
		before := tx.Bytes()
		defer func() { states = int64(tx.Bytes() - before) }()
		for _, name := range r.tables.names {
			t := r.tables.find(name)
			if r.save(tx, t, atTarget) {
				if err := t.Stream.Put(tx); err != nil {
					return err
				}
			}
		}
		return nil
	})
	r.saved.adjust(records, states, r.env.Settings.Checkpoint)
	r.env.Log.Debug(fmt.Sprintf("%s: a checkpoint at %s, %d transactions after the last one: %d bytes of records, %d bytes of states, written in %s.",
		r.What(), r.at, passed, records, states, time.Since(started).Round(time.Millisecond)))
	return err
}

// save advances the saved state of a table to the reader's position, and reports whether there is something new to save.
func (r *Reader) save(tx *airbyte.Tx, t *tableReader, atTarget bool) bool {
	switch {
	case t.missed():
		return false
	case t.Saved().Copy == nil || r.former != nil:
		return t.Advance(tx, r.at, atTarget)
	case r.copying != nil:
		last := r.copying.last(r.at)
		t.AdvanceCopy(tx, last.at, last.key)
	default:
		t.CompleteCopy(tx, r.at)
	}
	return true
}

// lookIfGiven checks, before states are written, whether columns were changed while rows of the binary log were read.
func (r *Reader) lookIfGiven(ctx context.Context) error {
	given := slices.DeleteFunc(slices.Clone(r.tables.names), func(name string) bool { return !r.tables.find(name).Given() })
	if len(given) == 0 {
		return nil
	}
	return r.lookAt(ctx, given, false)
}

// checkTarget queries the source's position again if the stream has gone past the target without reaching it: after a failover the target
// may contain transactions that are lost, and would never be reached. vtgate itself continues after a failover.
func (r *Reader) checkTarget(ctx context.Context) error {
	if r.copying != nil || r.former != nil || r.done || r.target.Contains(r.at) || r.at.Contains(r.target) {
		return nil
	}
	if err := r.retarget(ctx); err != nil {
		return err
	}
	return r.look(ctx, false)
}

// finish writes the reader's last states.
func (r *Reader) finish(ctx context.Context) error {
	if r.scouted != nil {
		return r.scouted.end(r)
	}
	if r.copying != nil && r.tables.only().Stream.Incremental() {
		// Once the server has read everything, changes of columns no longer wait.
		if err := r.look(ctx, false); err != nil {
			return err
		}
	}
	if err := r.lookIfGiven(ctx); err != nil {
		return err
	}
	r.copying, r.done = nil, true
	for {
		left := len(r.tables.names)
		if err := r.dropIf(ctx, r.checkpoint(ctx)); err != nil || len(r.tables.names) == left {
			return err
		} // otherwise one could not be saved, and the others have not been yet
	}
}
