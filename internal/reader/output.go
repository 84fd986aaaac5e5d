package reader

import (
	"context"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/record"
)

// output is where a reader's rows go: they wait in a queue, become records in a batch, and are written. A table that cannot continue ends
// here, after its last record.
type output struct {
	env    *Env
	tables *tables
	queue  *record.Queue
	batch  *airbyte.Batch
	saved  pace
}

func newOutput(env *Env, shard gtid.Shard) *output {
	return &output{
		env: env, tables: newTables(shard), queue: record.NewQueue(env.Settings.Processors), batch: airbyte.NewBatch(),
		saved: pace{time: time.Now(), interval: env.Settings.Checkpoint},
	}
}

// encode turns all queued rows into records.
func (o *output) encode(ctx context.Context) error {
	for !o.queue.Empty() {
		if err := o.take(ctx); err != nil {
			return err
		}
	}
	return nil
}

// take turns the oldest queued rows into records. A table with a row that cannot be read ends its stream, and the rows after it are taken
// next.
func (o *output) take(ctx context.Context) error {
	err := o.queue.Take(o.batch)
	if err == nil {
		return nil
	}
	v := failure.In(err)
	if v == nil || o.tables.find(v.Table) == nil || len(o.tables.names) < 2 {
		return err
	}
	return o.drop(ctx, v.Table, err)
}

// writeOldest turns the oldest queued rows into records, and writes them if there are many.
func (o *output) writeOldest(ctx context.Context) error {
	if err := o.take(ctx); err != nil {
		return err
	}
	return o.flush(flushBytes)
}

// flush writes the records collected once they are at least limit bytes.
func (o *output) flush(limit int) error {
	size := o.batch.Size()
	if size < limit {
		return nil
	}
	if err := o.promise(); err != nil {
		return err
	}
	o.saved.bytes += int64(size)
	return o.env.Writer.Commit(o.batch, nil)
}

// promise writes states before records that have larger cursors than the last ones: after a kill before the next state, on a machine whose
// clock is behind, cursors would fall. That of a stream whose state cannot be saved is left to the checkpoint, which ends it.
func (o *output) promise() error {
	for _, name := range o.tables.names {
		st := o.tables.find(name).Stream
		if !st.Incremental() || st.Records.Promised() {
			continue
		}
		if err := o.env.Writer.Commit(airbyte.NewBatch(), st.KeepAlive); err != nil && failure.In(err) == nil {
			return err
		}
	}
	return nil
}

// commit writes the records of all queued rows, and then the states.
func (o *output) commit(ctx context.Context, states func(*airbyte.Tx) error) error {
	if err := o.encode(ctx); err != nil {
		return err
	}
	if err := o.promise(); err != nil {
		return err
	}
	o.saved.time, o.saved.bytes, o.saved.passed = time.Now(), 0, 0
	return o.env.Writer.Commit(o.batch, states)
}

// dropIf ends the stream of the table that an error belongs to, if the reader has others to continue with; otherwise it returns the
// error.
func (o *output) dropIf(ctx context.Context, err error) error {
	if err == nil {
		return nil // avoids the allocation in what follows
	}
	v := failure.In(err)
	if v == nil || v.Table == "" {
		return err
	}
	if o.tables.find(v.Table) == nil {
		return nil // it has already ended
	}
	if len(o.tables.names) < 2 {
		return err
	}
	if err := o.encode(ctx); err != nil { // which may end tables, too
		return err
	}
	switch {
	case o.tables.find(v.Table) == nil:
		return nil // its queued rows have already ended it
	case len(o.tables.names) > 1: // as above for those of others
		return o.drop(ctx, v.Table, err)
	}
	return err
}

// drop ends the stream of one table; the reader continues with the others.
func (o *output) drop(ctx context.Context, table string, cause error) error {
	if err := o.promise(); err != nil {
		return err
	}
	t := o.tables.remove(table)
	o.queue.Forget(&t.Origin)
	if err := o.flush(0); err != nil { // no record of it may follow its end
		return err
	}
	return o.env.End(ctx, t.Partition, cause)
}
