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
	// copyPatience is how long a copy may get no further: it may wait for the table's lock, for a slow server to sort, or catch up with
	// what was changed in the meantime.
	copyPatience = time.Hour
	// askPause is after how long without a row or a newer position the server is asked what the stream waits for, and again each time.
	askPause = time.Minute
)

// waiting is how long a stream gives nothing, and what was done about it.
type waiting struct {
	// waited is how long the stream has been listened to since a row or a newer position last came, and stuck since the reader got
	// further: a copy that breaks at the same row each time catches up with newer changes all the same.
	waited, stuck time.Duration
	asked         time.Duration // of waited, when the server was last asked
	sorts         bool          // it was asked whether it can sort the table
	checked       time.Time     // when the target was last held against the position
}

func (w *waiting) waits(d time.Duration) { w.waited, w.stuck = w.waited+d, w.stuck+d }

// rowCame is that a row came: one that was copied is further on.
func (w *waiting) rowCame(phase row.Phase) {
	if w.waited = 0; phase == row.Copy {
		w.stuck = 0
	}
}

// movesOn notes that the stream has a newer position. What a copy catches up with behind the target shows only that the shard is busy.
func (w *waiting) movesOn(r *Reader) {
	if w.waited = 0; r.copying == nil || !r.at.Contains(r.target) {
		w.stuck, r.progressed = 0, true
	}
}

// checkMoving gives up a stream that is alive but does not move. Heartbeats bring it here. A copy has waited long enough then: it does not
// begin to wait again.
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

// stalls is the verdict on a stream that does not move. Seen on Vitess 24: vtgate asks forever for what its vttablet cannot send,
// and sends heartbeats all the while.
func (ts *tables) stalls(since time.Duration) *failure.Verdict {
	return failure.Transient("if this persists, raise --grpc-max-message-size on both (16 MiB by default), make the row smaller, or leave the table out",
		"The stream of %s in shard %s is connected but has sent no data, and the server reports no reason: it is throttled, or a row or transaction is larger than a message between vttablet and VTGate may be",
		ts.descriptors(), ts.shard.Name).Because(fmt.Errorf("the stream has made no progress for %s", since.Round(time.Second)))
}

// ask finds out what a stream that gives nothing waits for, as far as somebody can be asked, and says so the first time.
func (w *waiting) ask(ctx context.Context, r *Reader, limit time.Duration) error {
	if w.waited < w.asked {
		w.asked = 0 // it has moved since
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

// outOfSortMemory is MySQL's error, as vttablet or the driver writes it: a port or a position may have the number, too.
var outOfSortMemory = regexp.MustCompile(`(?i)err(no|or) 1038\b`)

// checkSort asks whether the server can sort a table whose copy has no row yet. Without a primary key MySQL sorts it, for which it may
// lack the memory.
func (t *tableReader) checkSort(ctx context.Context, env *Env) error {
	err := env.Sorts(ctx, t.Shard, t.Table)
	if err != nil && ctx.Err() == nil && outOfSortMemory.MatchString(err.Error()) {
		return failure.Config("raise sort_buffer_size on the server, or give the table a primary key",
			"MySQL cannot sort table %s in shard %s for its copy, for lack of memory (errno 1038)", t.Stream.Descriptor, t.Shard.Name).Because(err).Of(t.Name())
	}
	env.Log.Info(fmt.Sprintf("The copy of %s in shard %s is waiting for its first row: for the table lock, behind running statements, or for the server to sort the rows.", t.Stream.Descriptor, t.Shard.Name))
	return nil
}
