package reader

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"source-planetscale/internal/failure"
	"source-planetscale/internal/row"
)

const (
	// copyPatience is how long a copy may make no progress: it may wait for the table's lock, for a slow server to sort, or catch up with
	// what was changed in the meantime.
	copyPatience = time.Hour
	// askPause is the time without a row or a newer position after which the server is queried for what the stream waits for, again and
	// again.
	askPause = time.Minute
)

// waiting is how long a stream has sent nothing, and what was done about it.
type waiting struct {
	// waited is how long the stream has been read since a row or a newer position last arrived, and stuck the time since the reader
	// advanced: a copy that breaks at the same row each time still catches up with newer changes.
	waited, stuck time.Duration
	unnamed       time.Duration // since a transaction last ended without a position
	asked         time.Duration // in terms of waited, when the server was last queried
	sorts         bool          // the server was asked whether it can sort the table
	checked       time.Time     // when the target was last compared with the position
}

func (w *waiting) waits(d time.Duration) {
	w.waited, w.stuck, w.unnamed = w.waited+d, w.stuck+d, w.unnamed+d
}

// rowCame records a row: a copied one counts as progress.
func (w *waiting) rowCame(phase row.Phase) {
	if w.waited = 0; phase == row.Copy {
		w.stuck = 0
	}
}

// movesOn records that the stream has a newer position. What a copy catches up with past the target only shows that the shard is busy.
func (w *waiting) movesOn(r *Reader) {
	if w.waited = 0; r.copying == nil || !r.at.Contains(r.target) {
		w.stuck, r.progressed = 0, true
	}
}

// checkMoving gives up a stream that is alive but does not advance. Heartbeats trigger it. By then a copy has waited long enough: it does
// not start waiting again.
func (s *session) checkMoving(ctx context.Context) error {
	limit := s.env.Settings.Timeout
	patience := max(limit, copyPatience)
	if s.copying != nil && !s.tables.only().copied {
		limit = patience
	}
	if err := s.ask(ctx, s.Reader, limit); err != nil {
		return err
	}
	switch {
	case s.copying != nil && s.stuck > patience:
		return s.tables.stalls(s.stuck).Do(failure.GiveUp)
	case s.waited > limit:
		return s.tables.stalls(s.waited)
	}
	return nil
}

// stalls is the verdict on a stream that does not advance. Seen on Vitess 24: vtgate keeps requesting what its vttablet cannot send, and
// sends heartbeats in the meantime.
func (ts *tables) stalls(since time.Duration) *failure.Verdict {
	return failure.Transient("if this persists, raise --grpc-max-message-size on both (16 MiB by default), make the row smaller, or leave the table out",
		"The stream of %s in shard %s is connected but has sent no data, and the server reports no reason: it is throttled, or a row or transaction is larger than a message between vttablet and VTGate may be",
		ts.descriptors(), ts.shard.Name).Because(fmt.Errorf("the stream has made no progress for %s", since.Round(time.Second)))
}

// ask finds out what a silent stream waits for, as far as that can be queried, and logs it the first time.
func (w *waiting) ask(ctx context.Context, r *Reader, limit time.Duration) error {
	if w.waited < w.asked {
		w.asked = 0 // it has advanced since then
	}
	if w.waited-w.asked < askPause {
		return nil
	}
	first := w.asked == 0
	w.asked = w.waited
	if r.copying != nil && !r.tables.only().copied {
		if w.sorts {
			return nil
		}
		w.sorts = true
		return r.tables.only().checkSort(ctx, r.env)
	}
	if first {
		r.env.Log.Info(fmt.Sprintf("%s has sent nothing for %s: the server throttles it, or cannot send the next message. The connector reconnects after %s.",
			r.What(), w.waited.Round(time.Second), limit))
	}
	if r.copying != nil || r.former != nil {
		return nil
	}
	return askTarget(ctx, r)
}

// askTarget asks the shard whether it still has what the stream waits for. A shard that does not answer is no reason to end a stream that
// may continue.
func askTarget(ctx context.Context, r *Reader) error {
	before := r.target
	if err := r.retarget(ctx); err != nil {
		r.env.Log.Info(fmt.Sprintf("Shard %s did not report its position while its stream sent nothing (%v); asking again.", r.shard.Name, err))
		return nil
	}
	if r.target.Equal(before) {
		return nil
	}
	return r.look(ctx, false)
}

// outOfSortMemory is MySQL's error, as vttablet or the driver formats it: a port or a position may contain the number, too.
var outOfSortMemory = regexp.MustCompile(`(?i)err(no|or) 1038\b`)

// checkSort asks whether the server can sort a table whose copy has no row yet. Without a primary key MySQL sorts it, and may lack the
// memory to do so.
func (t *tableReader) checkSort(ctx context.Context, env *Env) error {
	err := env.Sorts(ctx, t.Shard, t.Table)
	if err != nil && ctx.Err() == nil && outOfSortMemory.MatchString(err.Error()) {
		return failure.Config("raise sort_buffer_size on the server, or give the table a primary key",
			"MySQL cannot sort table %s in shard %s for its copy, for lack of memory (errno 1038)", t.Stream.Descriptor, t.Shard.Name).Because(err).Of(t.Name())
	}
	env.Log.Info(fmt.Sprintf("The copy of %s in shard %s is waiting for its first row: for the table lock, behind running statements, or for the server to sort the rows.", t.Stream.Descriptor, t.Shard.Name))
	return nil
}
