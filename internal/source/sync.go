package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/table"
	"source-planetscale/internal/vstream"
)

// errIncomplete says that at least one stream failed; each has had its own trace.
var errIncomplete = errors.New("not all streams are complete")

// syncer runs one sync: every stream up to where the source stood at its start.
type syncer struct {
	cfg     *Config
	log     *slog.Logger
	w       *airbyte.Writer
	client  *vstream.Client
	shards  []string // to read
	exist   []string // all shards of the keyspace
	stop    sync.Map // gtid.Position by shard, peeked before anything was read
	moved   sync.Map // the shards whose stop was moved since: what columns the tables have there is not known
	streams []*stream
	slots   *slots
	// tables asks a shard for all its tables by name, or one of them, as they are now. Without keys it is asked for their columns
	// alone, which takes a third of the time, and views are among them.
	tables func(ctx context.Context, shard, only string, keys bool) (map[string]table.Table, error)
	// serving asks for the shards that exist now.
	serving  func(context.Context) ([]string, error)
	patience time.Duration // of retry
	// aheadUntil is how long primaries that lack transactions of saved positions are waited for; zero until one does.
	aheadUntil time.Time
	sequence   atomic.Int64 // of records, for _planetscale_metadata; it has gaps
	processors int          // that encode one reader's rows
	// lastChange is when the change read last was made, a time.Time by shard, as long as changes are read from it.
	lastChange sync.Map
	screen     io.Writer // a terminal that shows the progress; nil for none
}

// run reads the streams. They fail one by one; only a lost stdout or a signal ends them all.
func (s *syncer) run(ctx context.Context) error {
	for _, st := range s.streams {
		if err := s.w.Status(st.descriptor, airbyte.Started); err != nil {
			return err
		}
		st.open++ // a share of its own, so that a stream without work is finished, too
	}
	stopProgress := s.reportProgress()
	err := s.readAll(ctx)
	stopProgress()
	if err != nil {
		return errors.Join(err, s.abandon(err))
	}
	for _, st := range s.streams {
		if st.hasFailed() || st.open > 0 { // whatever left it open: nothing may look like success that is none
			return errIncomplete
		}
	}
	return nil
}

// readAll does first what is left of former shards, then what the plan lists.
func (s *syncer) readAll(ctx context.Context) error {
	if err := s.carryOver(ctx); err != nil {
		return err
	}
	p := s.plan()
	s.log.Info(fmt.Sprintf("Reading %d streams of keyspace %s, shards %s: %d copies and %d tables to replicate.",
		len(s.streams), s.cfg.Database, strings.Join(s.shards, ", "), len(p.copies), p.replicating()))
	for _, sentence := range p.sentences() {
		s.log.Info(sentence)
	}
	for _, st := range s.streams {
		if err := s.finish(st); err != nil {
			return err
		}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for shard, streams := range p.replicate {
		group.Go(func() error { return s.replicateAll(groupCtx, shard, streams) })
	}
	for _, c := range p.copies {
		group.Go(func() error { return s.copy(groupCtx, c.stream, c.shard) })
	}
	return group.Wait()
}

// stopOf is where the reading of a shard ends.
func (s *syncer) stopOf(shard string) gtid.Position {
	p, _ := s.stop.Load(shard)
	at, _ := p.(gtid.Position)
	return at
}

// copy copies one table of one shard, then replicates what its copy does not hold up to the stop position.
func (s *syncer) copy(ctx context.Context, st *stream, shard string) error {
	if err := s.slots.acquire(ctx, shard); err != nil {
		return err
	}
	r := newReader(s, shard, s.stopOf(shard))
	saved := st.state.Shards[shard]
	r.add(st, gtid.Position{}, saved.Layout)
	r.copying = true
	s.log.Info(fmt.Sprintf("Copying stream %s, shard %s.", st.descriptor, shard))
	r.at, r.key = saved.Position, saved.Copy.LastPK
	err := s.read(ctx, r)
	s.slots.release(shard)
	if err == nil && st.incremental {
		if from := saved.Position; !from.Contains(r.stop) {
			return s.replicate(ctx, shard, []*stream{st})
		}
	}
	return s.settle(ctx, []*stream{st}, shard, err)
}

// replicateAll replicates streams that are past their copy: in one VStream if their positions can be compared, one the
// start for all, else in one per group of equal positions.
func (s *syncer) replicateAll(ctx context.Context, shard string, streams []*stream) error {
	if oldest(streams, shard).IsZero() {
		return s.replicateGroups(ctx, shard, streams)
	}
	return s.replicate(ctx, shard, streams)
}

func (s *syncer) replicateGroups(ctx context.Context, shard string, streams []*stream) error {
	groups := map[string][]*stream{}
	for _, st := range streams {
		at := st.state.Shards[shard].Position.String()
		groups[at] = append(groups[at], st)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, g := range groups {
		group.Go(func() error { return s.replicate(ctx, shard, g) })
	}
	return group.Wait()
}

func (s *syncer) replicate(ctx context.Context, shard string, streams []*stream) error {
	r := newReader(s, shard, s.stopOf(shard))
	r.at = oldest(streams, shard)
	for _, st := range streams {
		saved := st.state.Shards[shard]
		r.add(st, saved.Position, saved.Layout)
	}
	s.log.Info(fmt.Sprintf("Replicating %d streams of shard %s: %s.", len(streams), shard, r))
	err := s.read(ctx, r)
	switch {
	case errors.Is(err, errNoEventGTID):
		return s.replicateGroups(ctx, shard, r.streams())
	case errors.Is(err, errJournal):
		err = r.replaced()
	case vstream.KindOf(err) == vstream.TooLarge && len(r.names) > 1:
		return s.replicateHalves(ctx, shard, r.streams())
	}
	return s.settle(ctx, r.streams(), shard, err)
}

// replicateHalves searches for the table whose rows are too large, which the error does not name: the others go on.
func (s *syncer) replicateHalves(ctx context.Context, shard string, streams []*stream) error {
	half := len(streams) / 2
	if err := s.replicate(ctx, shard, streams[:half]); err != nil {
		return err
	}
	return s.replicate(ctx, shard, streams[half:])
}

// oldest returns the position among the streams' that all others contain, zero if there is none.
func oldest(streams []*stream, shard string) gtid.Position {
	at := streams[0].state.Shards[shard].Position
	for _, st := range streams {
		if p := st.state.Shards[shard].Position; at.Contains(p) {
			at = p
		}
	}
	for _, st := range streams {
		if !st.state.Shards[shard].Position.Contains(at) {
			return gtid.Position{}
		}
	}
	return at
}

func (s *syncer) read(ctx context.Context, r *reader) error {
	defer s.lastChange.Delete(r.shard)
	what := fmt.Sprintf("The stream of %s in shard %s", r, r.shard)
	return s.retry(ctx, what, func(ctx context.Context) (bool, error) {
		if r.attempts++; r.attempts > 1 || r.toJournal && r.stop.IsZero() {
			err := s.peekAgain(ctx, r)
			if r.answered = err == nil; err != nil {
				return false, err
			}
		}
		err := r.attempt(ctx)
		table := r.blames(err)
		if table != "" && r.tables[table] == nil { // the server's stream still had it
			return r.progressed, errReopen
		}
		if table != "" {
			return true, errors.Join(errReopen, r.drop(ctx, table, err))
		}
		// A copy that will start over has got nowhere.
		startsOver := r.copying && !r.resumable()
		return r.progressed && !startsOver, err
	})
}

// peekAgain moves the stop of a reader whose stream broke, if the source no longer holds it: after a failover the old
// position may have transactions that are gone, and would never be reached.
func (s *syncer) peekAgain(ctx context.Context, r *reader) error {
	positions, err := s.client.Peek(ctx, s.cfg.Database, []string{r.shard})
	if err != nil {
		return err
	}
	now := positions[r.shard]
	if r.toJournal && r.stop.IsZero() {
		r.stop = now
	}
	if !now.Contains(r.stop) {
		s.log.Warn(fmt.Sprintf("Shard %s no longer holds the position that this sync was to stop at, as after a failover or on a replica that lags; it stops at %s instead.", r.shard, now))
		r.stop = now
		s.stop.Store(r.shard, now)
		s.moved.Store(r.shard, true)
	}
	return nil
}

// settle ends the streams' share of a shard, well or not. It returns only what ends the whole sync.
func (s *syncer) settle(ctx context.Context, streams []*stream, shard string, err error) error {
	switch {
	case errors.Is(err, airbyte.ErrWrite):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	for _, st := range streams {
		if err != nil {
			if err := s.failStream(st, classifyStream(err, st.descriptor.String(), shard)); err != nil {
				return err
			}
		}
		if err := s.finish(st); err != nil {
			return err
		}
	}
	return nil
}

// failStream records a stream's first failure, and says it.
func (s *syncer) failStream(st *stream, f *failure) error {
	if !st.failed.CompareAndSwap(nil, f) {
		return nil
	}
	return s.w.Error(f.trace(&st.descriptor))
}

// finish ends one share of a stream. With the last one the stream gets its final state and its final status.
func (s *syncer) finish(st *stream) error {
	last := false
	err := s.commit(airbyte.NewBatch(), func() ([]airbyte.StreamState, error) {
		st.open--
		last = st.open == 0
		if !last || st.hasFailed() {
			return nil, nil
		}
		state, err := st.snapshot()
		return []airbyte.StreamState{state}, err
	})
	if err != nil || !last {
		return err
	}
	return s.conclude(st)
}

func (s *syncer) conclude(st *stream) error {
	if !st.running.Swap(true) {
		if err := s.w.Status(st.descriptor, airbyte.Running); err != nil {
			return err
		}
	}
	st.nulled.warn(s.log, st.descriptor, st.table.Key)
	if n := st.withheld.Load(); n > 0 {
		s.log.Warn(fmt.Sprintf("Stream %s: %d deleted rows were not given, because the catalog has no column %s; refresh the source's schema in Airbyte to get deletes.", st.descriptor, n, columnDeletedAt))
	}
	status := airbyte.Complete
	if st.hasFailed() {
		status = airbyte.Incomplete
	}
	records, bytes := st.given()
	s.log.Info(fmt.Sprintf("Stream %s is %s with %d records (%.1f MB).", st.descriptor, strings.ToLower(string(status)), records, float64(bytes)/1e6))
	return s.w.Status(st.descriptor, status)
}

// abandon marks the streams that a fatal error left open as incomplete.
func (s *syncer) abandon(cause error) error {
	if errors.Is(cause, airbyte.ErrWrite) {
		return nil
	}
	for _, st := range s.streams {
		if st.open > 0 {
			if err := s.w.Status(st.descriptor, airbyte.Incomplete); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *syncer) commit(b *airbyte.Batch, states func() ([]airbyte.StreamState, error)) error {
	return s.w.Commit(b, states)
}
