package record

import (
	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/row"
	"source-planetscale/internal/wire"
)

// Run is rows of one table in one phase that are sent alike. Whoever queues rows fills in the exported fields.
type Run struct {
	Origin *Origin
	Plan   *row.Plan
	// Made is when the rows were changed at the source; nil for rows of a copy, for which it is when they were read.
	Made     *Moment
	Position string // the position that the rows belong to, if the stream shows it
	Copied   bool   // and not replicated

	from, to int     // in the job's rows
	made     *Moment // Made, or read
	read     *Moment
	// The last cursor and number that were reserved before those of these rows.
	cursor, sequence int64
	result
}

// result is the outcome of a run's rows.
type result struct {
	records, dropped int64
	bytes            int64 // of the records
	nulled           []row.Change
}

// like reports whether two runs can be merged.
func (u *Run) like(other *Run) bool {
	return u.Origin == other.Origin && u.Plan == other.Plan && u.Made == other.Made && u.Position == other.Position
}

// encode appends the records of the run's rows to a batch. It may be repeated after an error, with another batch.
func (u *Run) encode(b *airbyte.Batch, rows [][]byte) error {
	u.records, u.dropped, u.nulled = 0, 0, u.nulled[:0]
	before := b.Size()
	defer func() { u.bytes = int64(b.Size() - before) }()
	w := writing{batch: b, run: u, cursor: newCounter(u.cursor), sequence: u.sequence}
	w.same = w.appendSame(w.space[:0], false)
	var change wire.Change
	for _, row := range rows[u.from:u.to] {
		if err := change.Read(row); err != nil {
			return u.unreadable(err)
		}
		if err := u.emit(&w, &change); err != nil {
			return err
		}
	}
	return nil
}

// writing is the state of encoding a run.
type writing struct {
	batch *airbyte.Batch
	run   *Run
	// The numbers of the last record.
	cursor   counter
	sequence int64
	front    [][]byte // of the record, where it is large
	same     []byte   // our columns that are the same in every row that was not deleted, in space
	space    [128]byte
}

// appendSame appends those of our columns that are the same in every row, or that of a deleted one.
func (w *writing) appendSame(dst []byte, deleted bool) []byte {
	for _, c := range w.run.Origin.Stream.same {
		dst = c.append(dst, w, deleted)
	}
	return dst
}

// emit writes one row change: a row as it is now, the before-image of a deleted one, or both if the key changed.
func (u *Run) emit(w *writing, change *wire.Change) error {
	if change.Partial {
		return u.partial()
	}
	if change.Before.Exists && (!change.After.Exists || u.Plan.KeyChanged(change.Before, change.After)) {
		if err := u.record(w, change.Before, true); err != nil {
			return err
		}
	}
	if !change.After.Exists {
		return nil
	}
	return u.record(w, change.After, false)
}

// record writes a row, or the row that was deleted.
func (u *Run) record(w *writing, r wire.Row, deleted bool) error {
	s := u.Origin.Stream
	if deleted && !s.deletes {
		u.dropped++
		return nil
	}
	w.front = w.front[:0]
	record, changes, err := u.Plan.Append(w.batch.Open(s.prefix), r, nil, &w.front)
	if err != nil {
		return u.unreadable(err)
	}
	u.records++
	if len(changes) > 0 {
		u.nulled = append(u.nulled, changes...)
	}
	w.cursor.increment()
	w.sequence++
	for _, c := range s.varying {
		record = c.append(record, w, deleted)
	}
	if deleted {
		record = w.appendSame(record, true)
	} else {
		record = append(record, w.same...)
	}
	return w.batch.Close(record, metaChanges(changes), w.front...)
}

// partial fails the stream of a row that lacks columns. It is not inlined, because its arguments would be prepared for every row.
//
//go:noinline
func (u *Run) partial() error {
	return failure.Config("set binlog_row_image=FULL and binlog_row_value_options='' there, then clear the stream",
		"The server of shard %s logs only parts of the rows of %s", u.Origin.Shard.Name, u.Origin.Stream.Descriptor).Of(u.table())
}

// unreadable fails the stream: it must not be retried, because the reader is already past the row. It is not inlined, either.
//
//go:noinline
func (u *Run) unreadable(err error) error {
	return failure.System("", "A row of %s in shard %s cannot be read: %s", u.Origin.Stream.Descriptor, u.Origin.Shard.Name, err).Because(err).Of(u.table())
}

func (u *Run) table() string { return u.Origin.Stream.Descriptor.Name }

// settle adds the outcome of the rows to the counts.
func (u *Run) settle() {
	s := u.Origin.Stream
	n := Count{Bytes: u.bytes}
	if u.Copied {
		n.Copied = u.records
	} else {
		n.Replicated, n.Behind = u.records, max(0, u.read.time.Sub(u.made.time))
	}
	u.Origin.Add(n)
	s.Dropped.Add(u.dropped)
	s.Nulled.count(u.nulled)
}
