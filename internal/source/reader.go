package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/row"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
	"source-planetscale/internal/vstream"
	"source-planetscale/internal/wire"
)

const (
	// flushBytes is when records are written even though no boundary has come: it bounds the memory of a reader.
	flushBytes = 1 << 20
	// checkpointBytes of records since the last state are reason enough for the next one.
	checkpointBytes = 64 << 20
)

// errRestart says that the server resumed a copy by a key that it cannot compare, or not as before, so that rows may be
// missing: the copy starts over.
var errRestart = errors.New("the server resumed a copy that can only be read in one go")

// errNoEventGTID says that the server (before Vitess 24) does not name the transaction that a row belongs to, which is
// needed to replicate tables with different positions in one stream.
var errNoEventGTID = errors.New("the server does not name its transactions")

// copyPatience is how long a copy may wait for its first row: for the table's lock, or for a slow server to sort.
const copyPatience = time.Hour

// errStalled says that a stream is alive, but gives neither rows nor newer positions: a throttled server, or a position that
// the server waits for in vain.
var errStalled = errors.New("the stream gives neither rows nor newer positions")

// reader reads one shard-stream: the copy of one table, or the changes of one or more. One goroutine owns it.
type reader struct {
	sync   *syncer
	shard  string
	tables map[string]*tableReader
	names  []string // of tables, in order
	// copying is set until the copy of the one table is complete.
	copying bool
	// toJournal is set for a shard that was split or merged: it is read up to its journal.
	toJournal bool
	stop      gtid.Position // where replication ends

	queue *queue
	batch *airbyte.Batch
	made  *moment // when the replicated changes at hand were made
	saved checkpoint
	// waited is how long the stream has been listened to since a row or a newer position last came.
	waited time.Duration

	// The position reached: at, at the last boundary; next, a candidate that the next boundary makes the position.
	at          gtid.Position
	key         *querypb.QueryResult // the copy's key at the last boundary
	described   []*querypb.Field     // the columns of the copy's rows
	next        candidate
	transaction bool   // between BEGIN and COMMIT
	replaying   bool   // the transaction is of the binary log
	eventGTID   string // the transaction's own GTID
	progressed  bool   // past a boundary since the stream was opened
	attempts    int
	done        bool
	// answered tells that the shard said where it stands before the last attempt.
	answered bool
	// passed is when a former shard was first seen to be past its journal.
	passed time.Time
	// journalAgain is set when an earlier sync has read the shard to its journal already.
	journalAgain bool
}

// tableReader is one table of a reader.
type tableReader struct {
	stream *stream
	tally  *tally
	// table is as it was last looked up, with the stream's key; layout is that of the changes from where the reader stands,
	// and reached, in a copy, that at the last boundary.
	table           *table.Table
	layout, reached state.Layout
	// from is what the table has already; transactions that it holds are skipped.
	from gtid.Position
	// plans by phase, since copy and binary log write some values differently; nil until a FIELD event came.
	plans [2]*row.Plan
	// unreadable is why a phase's rows cannot be read, by its last FIELD event.
	unreadable [2]error
	// skip caches, for the transaction skipGTID, whether from holds it.
	skip     bool
	skipGTID string
	copied   bool // a row of the copy came
	replayed bool // a row of the binary log was given since the columns were last looked up
}

// checkpoint is when states were last written.
type checkpoint struct {
	time     time.Time
	bytes    int64         // of records since
	interval time.Duration // until the next one
}

func newReader(s *syncer, shard string, stop gtid.Position) *reader {
	return &reader{
		sync: s, shard: shard, stop: stop, tables: map[string]*tableReader{},
		queue: newQueue(s.processors), batch: airbyte.NewBatch(), made: &moment{}, saved: checkpoint{time: time.Now(), interval: s.cfg.checkpointInterval()},
	}
}

// add gives the reader a table, which has everything up to a position, and the layout of the changes to be read.
func (r *reader) add(s *stream, from gtid.Position, layout state.Layout) {
	r.tables[s.table.Name] = &tableReader{stream: s, tally: s.tally(r.shard), table: s.table, from: from, layout: layout, reached: layout}
	r.names = append(r.names, s.table.Name)
}

// attempt opens the stream where the reader stands and reads it to its end: the copy's completion, or the first boundary
// that holds the stop position.
func (r *reader) attempt(ctx context.Context) error {
	r.rewind()
	if r.arrived() {
		return r.finish(ctx)
	}
	// The tables were looked up with the peek, which for a copy may be long ago.
	if r.attempts > 1 || r.copying && r.key != nil {
		if err := r.look(ctx, false); err != nil {
			return err
		}
	}
	if r.copying && !r.resumable() {
		r.at, r.key = gtid.Position{}, nil // the copy starts over
		r.tables[r.names[0]].tally.startOver()
	}
	stream, err := r.sync.client.Open(ctx, r.request())
	if err != nil {
		return err
	}
	defer stream.Close()
	err = r.listen(ctx, stream)
	// Whatever ended the stream, the reader is past the rows that came before.
	if err := r.encode(ctx); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	return r.finish(ctx)
}

// listen reads a stream until it has given all that was wanted.
func (r *reader) listen(ctx context.Context, stream *vstream.Stream) error {
	for {
		listening := time.Now()
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		r.waited += time.Since(listening)
		r.queue.received++
		done, err := r.applyAll(ctx, response)
		if done || err != nil {
			return err
		}
		stream.Keep(r.queue.held())
		if stream.Ready() {
			r.queue.callHelp()
		}
		for !r.queue.empty() && !stream.Ready() {
			if err := r.writeOldest(ctx); err != nil {
				return err
			}
			stream.Keep(r.queue.held())
		}
		if err := r.checkMoving(); err != nil {
			return err
		}
	}
}

// writeOldest makes records of the oldest queued rows, and writes them if they are many.
func (r *reader) writeOldest(ctx context.Context) error {
	if err := r.encodeOldest(ctx); err != nil {
		return err
	}
	return r.flush(flushBytes)
}

// applyAll applies the events of one response. What concerns one table alone ends that stream and leaves the others of the
// reader.
func (r *reader) applyAll(ctx context.Context, response wire.Response) (done bool, err error) {
	var ev wire.Event
	for {
		more, err := response.Next(&ev)
		if err != nil || !more {
			return false, err
		}
		done, err := r.apply(ctx, &ev)
		if err := r.dropIf(ctx, err); err != nil {
			return false, err
		}
		if done {
			return true, nil
		}
		for r.queue.bytes > queueBytes {
			if err := r.writeOldest(ctx); err != nil {
				return false, err
			}
		}
	}
}

// dropIf ends the stream of the table that an error is of, if the reader has others to go on with; else it returns the
// error.
func (r *reader) dropIf(ctx context.Context, err error) error {
	if err == nil {
		return nil // without the allocation of what follows
	}
	var t *tableError
	if errors.As(err, &t) && len(r.names) > 1 {
		if err := r.encode(ctx); err != nil { // which may end tables, too
			return err
		}
		switch {
		case r.tables[t.table] == nil:
			return nil // its queued rows have ended it already
		case len(r.names) > 1: // as before those of others
			return r.drop(ctx, t.table, t.failure)
		}
	}
	return err
}

// errReopen says that a stream is to be opened again, without the table that broke it.
var errReopen = errors.New("one table broke the stream of several")

// blames finds the table that the server could not stream, if it is one of several, or was dropped from the reader.
func (r *reader) blames(err error) string {
	if vstream.KindOf(err) != vstream.BadTable {
		return ""
	}
	for name, t := range r.tables {
		if t != nil && len(r.names) < 2 {
			continue
		}
		// Vitess' words; the name alone may be that of a shard, a column or anything else in the message.
		for _, words := range []string{"columns for %s:", "replication plan for table %s:", "unknown table %s in schema", "table %s is not present", "table %s not found", ".%s' doesn't exist"} {
			if strings.Contains(err.Error(), fmt.Sprintf(words, name)) {
				return name
			}
		}
	}
	return ""
}

// drop ends the stream of one table; the reader goes on with the others.
func (r *reader) drop(ctx context.Context, table string, f error) error {
	if err := r.flush(0); err != nil { // no record of it may follow its end
		return err
	}
	st := r.tables[table].stream
	r.tables[table] = nil
	r.names = slices.DeleteFunc(r.names, func(name string) bool { return name == table })
	return r.sync.settle(ctx, []*stream{st}, r.shard, f)
}

// streams are those that the reader still reads.
func (r *reader) streams() []*stream {
	list := make([]*stream, len(r.names))
	for i, name := range r.names {
		list[i] = r.tables[name].stream
	}
	return list
}

// checkMoving gives up a stream that is alive but does not move. Heartbeats bring it here.
func (r *reader) checkMoving() error {
	limit := time.Duration(r.sync.cfg.TimeoutSeconds) * time.Second
	if r.copying && !r.tables[r.names[0]].copied {
		limit = copyPatience
	}
	if r.waited > limit {
		return fmt.Errorf("%w for %s", errStalled, r.waited.Round(time.Second))
	}
	return nil
}

// moves notes that the reader got further: what comes after the last boundary is read again when the stream breaks.
func (r *reader) moves() { r.progressed, r.waited = true, 0 }

// rewind forgets what a broken stream left unfinished.
func (r *reader) rewind() {
	r.queue.received = 0
	r.next, r.transaction, r.eventGTID, r.progressed, r.waited = candidate{}, false, "", false, 0
	for _, name := range r.names {
		t := r.tables[name]
		t.plans, t.unreadable, t.copied = [2]*row.Plan{}, [2]error{}, false
		if r.copying {
			t.layout = t.reached
		}
	}
}

func (r *reader) request() vstream.Request {
	req := vstream.Request{Keyspace: r.sync.cfg.Database}
	for _, name := range r.names {
		t := vstream.Table{Name: name}
		if r.copying && !r.replaysFewerColumns() {
			t.Columns = r.tables[name].has(r.tables[name].stream.selected())
		}
		req.Tables = append(req.Tables, t)
	}
	shard := vstream.Shard{Name: r.shard, Position: r.at}
	if r.copying {
		shard.LastPK = r.key
		if !r.tables[r.names[0]].stream.incremental {
			shard.Position = gtid.Position{} // go on after the key without replaying changes
		}
	}
	req.Shards = []vstream.Shard{shard}
	return req
}

// replaysFewerColumns tells whether a copy that goes on after its key begins with changes made before columns were added. The
// server refuses to stream those if the new columns are named.
func (r *reader) replaysFewerColumns() bool {
	return r.key != nil && r.tables[r.names[0]].layout.Had > 0
}

// apply handles one event; done says that the stream has given all that was wanted. Rows and positions, of which there are
// many, and the marks around them are read in place; the other events are decoded first.
func (r *reader) apply(ctx context.Context, ev *wire.Event) (done bool, err error) {
	switch ev.Type {
	case binlogdatapb.VEventType_ROW:
		return false, r.row(ev)
	case binlogdatapb.VEventType_VGTID:
		return false, r.vgtid(ctx, ev)
	case binlogdatapb.VEventType_BEGIN:
		r.transaction, r.replaying, r.eventGTID = true, phaseOf(ev.Timestamp) == row.Replicate, string(ev.GTID)
	case binlogdatapb.VEventType_COMMIT, binlogdatapb.VEventType_ROLLBACK, binlogdatapb.VEventType_OTHER:
		r.transaction = false
		return r.boundary(ctx)
	case binlogdatapb.VEventType_HEARTBEAT:
		if !r.transaction {
			return r.boundary(ctx) // nothing else may come for a long time
		}
	case binlogdatapb.VEventType_COPY_COMPLETED:
		return r.copyCompleted(ctx)
	case binlogdatapb.VEventType_FIELD, binlogdatapb.VEventType_DDL, binlogdatapb.VEventType_JOURNAL:
		m, err := ev.Message()
		if err != nil {
			return false, err
		}
		return r.applyMessage(ctx, m)
	}
	return false, nil // events of other types, known or not, carry neither rows nor positions
}

func (r *reader) applyMessage(ctx context.Context, ev *binlogdatapb.VEvent) (done bool, err error) {
	switch ev.Type {
	case binlogdatapb.VEventType_FIELD:
		return false, r.field(ctx, ev)
	case binlogdatapb.VEventType_JOURNAL:
		return false, r.journal(ctx, ev.Journal)
	}
	if err := r.ddl(ctx, ev.Statement); err != nil {
		return false, err
	}
	r.transaction = false
	return r.boundary(ctx)
}

// String names the tables and the shard, for messages.
func (r *reader) String() string {
	return enumerate(r.names, 3)
}
