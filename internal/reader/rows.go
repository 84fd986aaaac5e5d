package reader

import (
	"cmp"
	"context"
	"time"

	"golang.org/x/sync/errgroup"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/crash"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/record"
	"source-planetscale/internal/row"
	"source-planetscale/internal/table"
	"source-planetscale/internal/wire"
)

// errRestart reports that the server resumed a copy by a key that it cannot compare, or not as before, so that rows may be missing: the
// copy starts over.
func errRestart() error {
	return failure.Transient("", "The server resumed a copy that must be read in one pass").Do(failure.Restart)
}

// phaseOf distinguishes copied rows from replicated ones: the events of a copy have no time of their own.
func phaseOf(timestamp int64) row.Phase {
	if timestamp == 0 {
		return row.Copy
	}
	return row.Replicate
}

// field prepares for the rows of a table that follow.
func (s *session) field(ctx context.Context, ev *binlogdatapb.VEvent) error {
	t, err := s.tables.of([]byte(ev.FieldEvent.GetTableName()))
	if t == nil || err != nil {
		return err
	}
	phase, fields := phaseOf(ev.Timestamp), ev.FieldEvent.Fields
	switch {
	case phase == row.Copy:
		err = s.describe(ctx, t, ev.FieldEvent)
	case !t.Describes(fields) || !t.DescribesTypes(fields):
		err = s.lookAt(ctx, []string{t.Name()}, false) // they were changed since the last query, or another server was queried then
	}
	if err != nil || s.tables.find(t.Name()) == nil { // a query may end it
		return err
	}
	t.plans[phase], t.unreadable[phase] = compile(s, t, ev.FieldEvent, phase)
	return nil
}

// compile prepares for rows of such fields. An error concerns only those who get rows of these columns: not a table that already has
// them.
func compile(s *session, t *tableReader, f *binlogdatapb.FieldEvent, phase row.Phase) (*row.Plan, error) {
	var plan *row.Plan
	var err error
	switch {
	case s.followed != nil:
		if plan, err = s.followed.compile(t, f); err != nil {
			err = unknowable(t, err)
		}
	case phase == row.Replicate && s.copying == nil && !(t.Describes(f.Fields) && t.DescribesTypes(f.Fields)):
		err = apart(s.Reader, t)
	default:
		columns := t.Stream.Columns
		if s.copying != nil { // what it catches up with has the columns that it selects, too
			columns = t.Has(columns)
		}
		if plan, err = row.Compile(t.Table, f, columns, phase, t.Stream.Records.Types); err != nil {
			err = failure.Config("", "Stream %s, shard %s: %s", t.Stream.Descriptor, s.shard.Name, err).Because(err).Of(t.Name())
		}
	}
	return plan, err
}

// describe handles the server's description of the columns of a copy's rows.
func (s *session) describe(ctx context.Context, t *tableReader, f *binlogdatapb.FieldEvent) error {
	if err := lookAtCopy(ctx, s); err != nil {
		return err
	}
	if err := checkDescribed(s, t, f.Fields); err != nil {
		return err
	}
	if c := s.copying; c != nil {
		if c.key != nil && (!s.resumable() || !table.StillDescribes(c.key, f.Fields)) {
			c.key = nil
			return errRestart() // the server resumes after it, and may have left out rows
		}
		c.described = description{f.Fields, true}
	}
	t.Stream.WarnMissing(s.env.Log, t.Table)
	return nil
}

// lookAtCopy queries the tables while the server copies and, before the first row, which shards serve: together, because each takes a
// round trip.
func lookAtCopy(ctx context.Context, s *session) error {
	var serving errgroup.Group
	if s.copying != nil && s.at.IsZero() {
		serving.Go(func() error { return crash.Guard(func() error { return askServing(ctx, s) }) })
	}
	err := s.look(ctx, true)
	return cmp.Or(err, serving.Wait())
}

// row queues the rows of an event.
func (s *session) row(ctx context.Context, ev *wire.Event) error {
	rows, err := ev.Rows()
	if err != nil {
		return err
	}
	t, err := s.tables.of(rows.Table)
	if t == nil || err != nil {
		return err
	}
	phase := phaseOf(ev.Timestamp)
	if skip, err := s.prepare(t, phase); skip || err != nil {
		return err
	}
	s.rowCame(phase)
	u := record.Run{Origin: &t.Origin, Plan: t.plans[phase], Copied: phase == row.Copy}
	if phase == row.Replicate {
		if s.made.Time().Unix() != ev.Timestamp {
			s.made = record.NewMoment(time.Unix(ev.Timestamp, 0)) // queued rows have the one before
			s.env.Changed(s.shard, s.made.Time())
		}
		u.Made = s.made
	}
	if t.Stream.Records.ShowsPosition() {
		u.Position = s.at.String()
	}
	for {
		more, err := s.queue.Add(&u, &rows)
		if err != nil || !more {
			return err
		}
		for s.queue.Bytes() > record.QueueBytes {
			if err := s.writeOldest(ctx); err != nil {
				return err
			}
		}
		if s.tables.find(t.Name()) != t {
			return nil // it has ended
		}
	}
}

// prepare makes sure that rows of a table can be sent now; skip reports that it already has them, or does not want them.
func (s *session) prepare(t *tableReader, phase row.Phase) (skip bool, err error) {
	if phase == row.Replicate {
		skip, err := t.skips(s.at, s.eventGTID)
		// A full refresh is a snapshot: changes that the server replays while resuming one are not part of it.
		if skip || err != nil || !t.Stream.Incremental() {
			return true, err
		}
		if s.followed == nil && !t.Give() {
			return false, apart(s.Reader, t)
		}
	}
	if err := t.unreadable[phase]; err != nil {
		return false, err
	}
	if t.plans[phase] == nil {
		return false, failure.System("", "The server sent a row of %s in shard %s without describing its columns first", t.Stream.Descriptor, s.shard.Name).Of(t.Name())
	}
	t.copied = t.copied || phase == row.Copy
	if t.Stream.Run() { // before its first record
		return false, s.env.Writer.Status(t.Stream.Descriptor, airbyte.Running)
	}
	return false, nil
}
