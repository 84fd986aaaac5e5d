package reader

import (
	"context"
	"fmt"
	"regexp"
	"time"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"

	"source-planetscale/internal/failure"
	"source-planetscale/internal/record"
	"source-planetscale/internal/row"
	"source-planetscale/internal/vstream"
	"source-planetscale/internal/wire"
)

// copyPatience is how long a copy may wait for its first row: for the table's lock, or for a slow server to sort.
const copyPatience = time.Hour

// session is a reader's stream from its opening to its end.
type session struct {
	*Reader
	stream *vstream.Stream
	made   *record.Moment // when the replicated changes at hand were made
	// waited is how long the stream has been listened to since a row or a newer position last came.
	waited      time.Duration
	asked       bool // why the copy has no row yet
	next        candidate
	transaction bool   // between BEGIN and COMMIT
	replaying   bool   // the transaction is of the binary log
	eventGTID   string // the transaction's own GTID
	nameless    int64  // transactions that ended since the last position, of which none was said
	outcome     Outcome
}

func newSession(r *Reader, stream *vstream.Stream) *session {
	r.queue.Reopened()
	for _, name := range r.tables.names {
		r.tables.find(name).rewind()
	}
	return &session{Reader: r, stream: stream, made: &record.Moment{}}
}

// listen reads the stream until it has given all that was wanted.
func (s *session) listen(ctx context.Context) (Outcome, error) {
	for {
		listening := time.Now()
		response, err := s.stream.Recv()
		if err != nil {
			return Arrived, err
		}
		s.waited += time.Since(listening)
		s.queue.Received()
		done, err := s.applyAll(ctx, response)
		if done || err != nil {
			return s.outcome, err
		}
		s.stream.Keep(s.queue.Held())
		if s.stream.Ready() {
			s.queue.CallHelp()
		}
		for !s.queue.Empty() && !s.stream.Ready() {
			if err := s.writeOldest(ctx); err != nil {
				return Arrived, err
			}
			s.stream.Keep(s.queue.Held())
		}
		if err := s.checkMoving(ctx); err != nil {
			return Arrived, err
		}
	}
}

// applyAll applies the events of one response; done says that the stream has given all that was wanted. What concerns one table alone
// ends that stream and leaves the others of the reader.
func (s *session) applyAll(ctx context.Context, response wire.Response) (done bool, err error) {
	var ev wire.Event
	for {
		more, err := response.Next(&ev)
		if err != nil || !more {
			return false, err
		}
		done, err := s.apply(ctx, &ev)
		if err := s.dropIf(ctx, err); err != nil {
			return false, err
		}
		if done {
			return true, nil
		}
		for s.queue.Bytes() > record.QueueBytes {
			if err := s.writeOldest(ctx); err != nil {
				return false, err
			}
		}
	}
}

// apply handles one event. Rows and positions, of which there are many, and the marks around them are read in place; the other events
// are decoded first.
func (s *session) apply(ctx context.Context, ev *wire.Event) (done bool, err error) {
	if s.scouted != nil && ofRows(ev.Type) {
		s.waited = 0
		return false, nil
	}
	switch ev.Type {
	case binlogdatapb.VEventType_ROW:
		return false, s.row(ctx, ev)
	case binlogdatapb.VEventType_VGTID:
		return false, s.vgtid(ctx, ev)
	case binlogdatapb.VEventType_BEGIN:
		s.transaction, s.replaying, s.eventGTID = true, phaseOf(ev.Timestamp) == row.Replicate, string(ev.GTID)
	case binlogdatapb.VEventType_COMMIT:
		s.transaction = false
		if err := s.committed(); err != nil {
			return false, err
		}
		return s.boundary(ctx)
	case binlogdatapb.VEventType_ROLLBACK, binlogdatapb.VEventType_OTHER:
		s.transaction = false
		return s.boundary(ctx)
	case binlogdatapb.VEventType_HEARTBEAT:
		if !s.transaction {
			return s.boundary(ctx) // nothing else may come for a long time
		}
	case binlogdatapb.VEventType_COPY_COMPLETED:
		return s.copyCompleted(ctx)
	case binlogdatapb.VEventType_FIELD, binlogdatapb.VEventType_DDL, binlogdatapb.VEventType_JOURNAL,
		binlogdatapb.VEventType_INSERT, binlogdatapb.VEventType_REPLACE, binlogdatapb.VEventType_UPDATE, binlogdatapb.VEventType_DELETE:
		m, err := ev.Message()
		if err != nil {
			return false, err
		}
		return s.applyMessage(ctx, m)
	}
	return false, nil // events of other types, known or not, carry neither rows nor positions
}

// ofRows reports whether events of a type are about rows.
func ofRows(t binlogdatapb.VEventType) bool {
	switch t {
	case binlogdatapb.VEventType_ROW, binlogdatapb.VEventType_FIELD, binlogdatapb.VEventType_INSERT, binlogdatapb.VEventType_REPLACE,
		binlogdatapb.VEventType_UPDATE, binlogdatapb.VEventType_DELETE:
		return true
	}
	return false
}

func (s *session) applyMessage(ctx context.Context, ev *binlogdatapb.VEvent) (done bool, err error) {
	switch ev.Type {
	case binlogdatapb.VEventType_FIELD:
		return false, s.field(ctx, ev)
	case binlogdatapb.VEventType_JOURNAL:
		return s.journal(ctx, ev.Journal)
	case binlogdatapb.VEventType_DDL:
	default:
		return false, s.dml(ctx, ev.Dml)
	}
	if err := s.ddl(ctx, ev.Statement); err != nil {
		return false, err
	}
	s.transaction = false
	return s.boundary(ctx)
}

// checkMoving gives up a stream that is alive but does not move. Heartbeats bring it here.
func (s *session) checkMoving(ctx context.Context) error {
	limit := s.env.Settings.Timeout
	if s.copying != nil && !s.tables.only().copied {
		limit = copyPatience
		if !s.asked && s.waited >= sortPatience {
			s.asked = true
			if err := s.tables.only().checkSort(ctx, s.env); err != nil {
				return err
			}
		}
	}
	if s.waited <= limit {
		return nil
	}
	// Seen on Vitess 24: vtgate asks again for ever for what its vttablet cannot send it, and sends heartbeats meanwhile.
	return failure.Transient("if it stays so, raise --grpc-max-message-size of both (16 MiB unless set), make the row smaller, or leave the table out",
		"The stream of %s in shard %s is alive, but gives nothing, and the server does not say why: it is throttled, or a row or transaction is larger than the messages between its vttablet and vtgate may be",
		s.tables.descriptors(), s.shard.Name).Because(fmt.Errorf("the stream gives neither rows nor newer positions for %s", s.waited.Round(time.Second)))
}

// sortPatience is how long a copy may have no row before the server is asked whether it can sort the table at all. vtgate asks for ever
// for what MySQL refuses, and says nothing of it.
const sortPatience = time.Minute

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
	env.Log.Info(fmt.Sprintf("The copy of %s in shard %s waits for its first row: for the table's lock, behind statements that change it, or for the "+
		"server to sort its rows.", t.Stream.Descriptor, t.Shard.Name))
	return nil
}

// moves notes that the reader got further: what comes after the last boundary is read again when the stream breaks.
func (s *session) moves() { s.progressed, s.waited = true, 0 }
