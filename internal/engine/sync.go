package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/plan"
	"source-planetscale/internal/reader"
	"source-planetscale/internal/record"
)

// Sync is one sync of a keyspace: every stream up to the source's position at the start.
type Sync struct {
	*Engine
	wanted, existing []gtid.Shard // to read, and all of the keyspace
	targets          *reader.Targets
	streams          []*partition.Stream
	env              *reader.Env
	// former are the states to save from the former connector's document, which the platform drops with the first state of ours.
	former rawStates
	// refused are the streams that cannot be read.
	refused failures
	// references are the tables that have all their rows in each shard.
	references map[string]bool
}

// change changes the saved state of streams while nobody else does.
func (s *Sync) change(f func(*airbyte.Tx) error) error {
	return s.shared.Writer.Commit(airbyte.NewBatch(), f)
}

// Run reads the streams. They fail one by one; only a closed stdout or a signal ends them all.
func (s *Sync) Run(ctx context.Context) error {
	for _, st := range s.streams {
		if err := s.shared.Writer.Status(st.Descriptor, airbyte.Started); err != nil {
			return err
		}
	}
	if err := s.refused.say(s.shared.Writer, s.trace, s.takeOver); err != nil {
		return err
	}
	stop := s.shared.Progress.watch(s.streams)
	err := s.readAll(ctx)
	stop()
	if err != nil {
		return errors.Join(err, s.abandon(err))
	}
	complete := true
	err = s.change(func(tx *airbyte.Tx) error {
		for _, st := range s.streams { // whatever left it open: a failure must not look like success
			complete = complete && !st.Failed() && !st.IsOpen(tx)
		}
		return nil
	})
	if err == nil && !complete {
		return ErrIncomplete
	}
	return err
}

// takeOver writes the states that only the former connector's document has, before anything can fail: the platform deletes the document
// when it stores the first state of ours, and with it the positions of streams that have none yet. Streams that cannot be read keep the
// state as it is.
func (s *Sync) takeOver() error {
	if len(s.former) == 0 {
		return nil
	}
	return s.change(func(tx *airbyte.Tx) error {
		for _, st := range s.streams {
			if s.former[st.Descriptor] == nil {
				continue
			}
			if err := st.Put(tx); err != nil {
				return err
			}
		}
		for _, d := range s.refused.sorted() {
			if data := s.former[d]; data != nil {
				tx.Put(airbyte.StreamState{Stream: d, State: data})
			}
		}
		return nil
	})
}

// begin gives a stream a state for the shards that it has never been read from.
func (s *Sync) begin(tx *airbyte.Tx, st *partition.Stream, starting map[gtid.Shard]gtid.Position) {
	shards := s.shardsOf(st)
	if s.references[st.Table.Name] {
		partition.KeepOne(tx, st, shards[0])
	}
	st.Begin(tx, shards, starting)
}

// shardsOf are the shards to read of a stream.
func (s *Sync) shardsOf(st *partition.Stream) []gtid.Shard {
	if !s.references[st.Table.Name] {
		return s.wanted
	}
	for i, shard := range s.wanted {
		if st.Saved()[shard] != nil {
			return s.wanted[i : i+1]
		}
	}
	return s.wanted[:1]
}

// source is the plan's view of the source.
func (s *Sync) source() *plan.Source {
	return &plan.Source{Wanted: s.wanted, Existing: s.existing, Targets: s.targets.All(), Resync: s.cfg.Resyncs()}
}

// work is what a sync has to do.
type work struct {
	copies    []*partition.Partition
	replicate map[gtid.Shard][]*partition.Partition
}

func (w *work) replicated() int {
	n := 0
	for _, parts := range w.replicate {
		n += len(parts)
	}
	return n
}

// streamsNamed is how many streams the log names with their steps. There may be thousands.
const streamsNamed = 100

// plan decides what to do for every stream and shard, and logs it.
func (s *Sync) plan() (*work, []string, error) {
	w := &work{replicate: map[gtid.Shard][]*partition.Partition{}}
	var sentences []string
	source, planned := s.source(), 0
	var unread []*partition.Partition
	err := s.change(func(tx *airbyte.Tx) error {
		for _, st := range s.streams {
			if st.Failed() {
				continue
			}
			parts := source.Of(&plan.Stream{Incremental: st.Incremental(), Saved: st.Saved()})
			for _, part := range parts {
				p, sure := st.In(part.Shard), s.targets.Sure(part.Shard)
				w.add(tx, p, part.Step, sure && source.Targets[part.Shard].Equal(st.Saved()[part.Shard].Position))
				if part.Step == plan.Nothing {
					unread = append(unread, p)
				}
			}
			if planned++; planned <= streamsNamed {
				sentences = append(sentences, plan.Sentence(st.Descriptor.String(), parts))
			}
		}
		return nil
	})
	for _, p := range unread {
		p.WarnUnexplained(s.shared.Log)
	}
	if more := planned - streamsNamed; more > 0 {
		sentences = append(sentences, fmt.Sprintf("…and %d more streams.", more))
	}
	return w, sentences, err
}

// add adds a step to the work. known reports that the columns at its position are those that the sync looked up.
func (w *work) add(tx *airbyte.Tx, p *partition.Partition, step plan.Step, known bool) {
	switch step {
	case plan.Copy, plan.ResumeCopy:
		w.copies = append(w.copies, p)
	case plan.Replicate:
		w.replicate[p.Shard] = append(w.replicate[p.Shard], p)
	default:
		if p.Stream.Incremental() && known {
			p.UpToDate(tx)
		}
		return
	}
	p.Stream.Open(tx)
}

// readAll first reads what is left of former shards, then what the plan lists.
func (s *Sync) readAll(ctx context.Context) error {
	if err := s.carryOver(ctx); err != nil {
		return err
	}
	w, sentences, err := s.plan()
	if err != nil {
		return err
	}
	s.shared.Log.Info(fmt.Sprintf("Reading %s from keyspace %s (%s): %d to copy, %d to replicate.",
		plan.Number(len(s.streams), "stream"), s.cfg.Database, plan.NameShards(s.wanted), len(w.copies), w.replicated()))
	for _, sentence := range sentences {
		s.shared.Log.Info(sentence)
	}
	for _, st := range s.streams {
		if err := s.finish(st); err != nil {
			return err
		}
	}
	group, groupCtx := newGroup(ctx)
	for shard, parts := range w.replicate {
		group.Go(func() error { return (&replication{s, shard}).all(groupCtx, parts) })
	}
	for _, p := range w.copies {
		group.Go(func() error { return s.copy(groupCtx, p) })
	}
	return group.Wait()
}

// copy copies one table of one shard, then replicates up to the target what its copy does not contain.
func (s *Sync) copy(ctx context.Context, p *partition.Partition) error {
	if err := s.shared.Slots.acquire(ctx, p.Shard); err != nil {
		return err
	}
	s.shared.Log.Info(fmt.Sprintf("Copying stream %s, shard %s.", p.Stream.Descriptor, p.Shard.Name))
	_, err := s.read(ctx, p.Shard, reader.Copy(s.env, p), s.retrier)
	s.shared.Slots.release(p.Shard)
	if err == nil && p.Stream.Incremental() && !p.Saved().Position.Contains(s.targets.Of(p.Shard)) {
		return (&replication{s, p.Shard}).all(ctx, []*partition.Partition{p})
	}
	return s.settle(ctx, []*partition.Partition{p}, err)
}

// read retries a reader's stream until it has sent everything that was requested.
func (s *Sync) read(ctx context.Context, shard gtid.Shard, r *reader.Reader, retrier Retrier) (reader.Outcome, error) {
	defer s.shared.Progress.unchanged(shard)
	var outcome reader.Outcome
	err := retrier.Do(ctx, r.What(), func(ctx context.Context) (progress bool, err error) {
		outcome, progress, err = r.Attempt(ctx)
		return progress, err
	})
	if retrier != s.retrier {
		return outcome, err // a search's: it has not tried for long enough to call a reason permanent
	}
	return outcome, r.GaveUp(ctx, err)
}

// settle ends partitions of one shard, successfully or not. It returns only what ends the whole sync.
func (s *Sync) settle(ctx context.Context, parts []*partition.Partition, err error) error {
	switch {
	case errors.Is(err, airbyte.ErrWrite):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	for _, p := range parts {
		if err := s.end(ctx, p, err); err != nil {
			return err
		}
	}
	return nil
}

// end ends a partition, successfully or not.
func (s *Sync) end(_ context.Context, p *partition.Partition, err error) error {
	if err != nil {
		if err := s.fail(p.Stream, failure.Judge(err)); err != nil {
			return err
		}
	}
	return s.finish(p.Stream)
}

// fail records a stream's first failure, and reports it.
func (s *Sync) fail(st *partition.Stream, v *failure.Verdict) error {
	if !st.Fail(v) {
		return nil
	}
	return s.shared.Writer.Error(s.trace(v, &st.Descriptor))
}

// finish ends one partition of a stream. With the last one the stream gets its final state and its final status.
func (s *Sync) finish(st *partition.Stream) error {
	last := false
	err := s.change(func(tx *airbyte.Tx) (err error) {
		last, err = st.Close(tx)
		return err
	})
	if v := failure.In(err); v != nil { // its state cannot be saved
		err = s.fail(st, v)
	}
	if err != nil || !last {
		return err
	}
	return conclude(st, s.shared.Writer, s.shared.Log)
}

func conclude(st *partition.Stream, w *airbyte.Writer, log *slog.Logger) error {
	d := st.Descriptor
	if st.Run() {
		if err := w.Status(d, airbyte.Running); err != nil {
			return err
		}
	}
	st.Records.Nulled.Warn(log, d, st.Table.Key)
	if n := st.Records.Dropped.Load(); n > 0 {
		log.Warn(fmt.Sprintf("Stream %s: %d deletes were dropped, because the catalog has no column %s; refresh the source's schema in Airbyte to get deletes.", d, n, record.ColumnDeletedAt))
	}
	status, ended := airbyte.Complete, "finished"
	if st.Failed() {
		status, ended = airbyte.Incomplete, "failed"
	}
	records, bytes := st.Given()
	log.Info(fmt.Sprintf("Stream %s %s: %d records, %.1f MB.", d, ended, records, float64(bytes)/1e6))
	return w.Status(d, status)
}

// abandon marks the streams that a fatal error left open as incomplete.
func (s *Sync) abandon(cause error) error {
	if errors.Is(cause, airbyte.ErrWrite) {
		return nil
	}
	var open []*partition.Stream
	err := s.change(func(tx *airbyte.Tx) error {
		for _, st := range s.streams {
			if st.IsOpen(tx) {
				open = append(open, st)
			}
		}
		return nil
	})
	for _, st := range open {
		if err == nil {
			err = s.shared.Writer.Status(st.Descriptor, airbyte.Incomplete)
		}
	}
	return err
}
