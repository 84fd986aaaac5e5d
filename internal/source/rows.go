package source

import (
	"context"
	"strings"
	"time"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/row"
	"source-planetscale/internal/wire"
)

// field prepares for the rows of a table that follow.
func (r *reader) field(ctx context.Context, ev *binlogdatapb.VEvent) error {
	t, err := r.table([]byte(ev.FieldEvent.GetTableName()))
	if t == nil || err != nil {
		return err
	}
	phase := phaseOf(ev.Timestamp)
	if phase == row.Copy {
		if err := r.look(ctx, true); err != nil {
			return err
		}
		if r.key != nil && (!r.resumable() || !sameColumns(r.key, ev.FieldEvent.Fields)) {
			r.key = nil
			return errRestart // the server goes on after it, and may have left rows out
		}
		r.described = ev.FieldEvent.Fields
		t.stream.warnMissing(r.sync.log, t.table)
	}
	plan, err := row.Compile(t.table, ev.FieldEvent, t.columns(phase, ev.FieldEvent.Fields), phase, r.sync.cfg.rowOptions())
	if err != nil {
		// It concerns only who gets rows of these columns: not a table that has them already.
		err = t.failf(airbyte.ConfigError, err, "Stream %s, shard %s: %s.", t.stream.descriptor, r.shard, err)
	}
	t.plans[phase], t.unreadable[phase] = plan, err
	return nil
}

// table finds the table of an event, nil for one that was dropped from the reader. An older vtgate does not know the flag
// that leaves out the keyspace before the name.
func (r *reader) table(name []byte) (*tableReader, error) {
	if t, ok := r.tables[string(name)]; ok || len(name) == 0 { // an event without its payload
		return t, nil
	}
	if t, ok := r.tables[strings.TrimPrefix(string(name), r.sync.cfg.Database+".")]; ok {
		return t, nil
	}
	return nil, because(airbyte.SystemError, nil, "The server sent rows of %q in shard %s, a table that was not asked for.", name, r.shard)
}

// phaseOf tells copied rows from replicated ones: the events of a copy have no time of their own.
func phaseOf(timestamp int64) row.Phase {
	if timestamp == 0 {
		return row.Copy
	}
	return row.Replicate
}

// row queues the rows of an event.
func (r *reader) row(ev *wire.Event) error {
	rows, err := ev.Rows()
	if err != nil {
		return err
	}
	t, err := r.table(rows.Table)
	if t == nil || err != nil {
		return err
	}
	phase := phaseOf(ev.Timestamp)
	if skip, err := r.prepare(t, phase); skip || err != nil {
		return err
	}
	r.waited = 0
	u := run{reader: r, table: t, plan: t.plans[phase], copied: phase == row.Copy}
	if phase == row.Replicate {
		if r.made.time.Unix() != ev.Timestamp {
			r.made = &moment{} // queued rows have the one before
			r.made.set(time.Unix(ev.Timestamp, 0))
			r.sync.lastChange.Store(r.shard, r.made.time)
		}
		u.made = r.made
	}
	if t.stream.gives.metadata {
		u.position = r.at.String()
	}
	return r.queue.add(u, rows)
}

// prepare makes sure that rows of a table can be given now; skip says that it has them already, or does not want them.
func (r *reader) prepare(t *tableReader, phase row.Phase) (skip bool, err error) {
	if phase == row.Replicate {
		// A full refresh is a snapshot: changes that the server replays while it resumes one are not part of it.
		if skip, err := t.skips(r); skip || err != nil || !t.stream.incremental {
			return true, err
		}
		if err := t.checkColumns(r); err != nil {
			return false, err
		}
	}
	if err := t.unreadable[phase]; err != nil {
		return false, err
	}
	if t.plans[phase] == nil {
		return false, t.failf(airbyte.SystemError, nil, "The server sent a row of %s in shard %s without describing its columns first.", t.stream.descriptor, r.shard)
	}
	t.copied = t.copied || phase == row.Copy
	return false, r.start(t)
}

// start says RUNNING before a stream's first record.
func (r *reader) start(t *tableReader) error {
	if t.stream.running.Swap(true) {
		return nil
	}
	return r.sync.w.Status(t.stream.descriptor, airbyte.Running)
}

// skips tells whether the table already has the current transaction.
func (t *tableReader) skips(r *reader) (bool, error) {
	if r.at.Contains(t.from) {
		t.from = gtid.Position{}
		return false, nil
	}
	if r.eventGTID == "" {
		return false, errNoEventGTID
	}
	if t.skipGTID != r.eventGTID {
		p, err := gtid.Parse(r.eventGTID)
		if err != nil {
			return false, err
		}
		t.skip, t.skipGTID = t.from.Contains(p), r.eventGTID
	}
	return t.skip, nil
}
