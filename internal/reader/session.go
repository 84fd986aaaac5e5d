package reader

import (
	"context"
	"time"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/record"
	"source-planetscale/internal/row"
	"source-planetscale/internal/vstream"
	"source-planetscale/internal/wire"
)

// session is a reader's stream, from its opening to its end.
type session struct {
	*Reader
	stream *vstream.Stream
	made   *record.Moment // when the current replicated changes were made
	waiting
	next        candidate
	transaction bool         // between BEGIN and COMMIT
	replaying   bool         // the transaction comes from the binary log
	eventGTID   string       // the transaction's own GTID
	nameless    int64        // transactions that ended since the last position, and since the last silence, without a position of their own
	counted     bool         // there was a silence since
	repeats     int          // transactions that were sent although the reader's position contains them, since it last moved
	exist       []gtid.Shard // those that served once the copy's snapshot was made; nil until then
	outcome     Outcome
}

func newSession(r *Reader, stream *vstream.Stream) *session {
	r.queue.Reopened()
	for _, name := range r.tables.names {
		r.tables.find(name).rewind()
	}
	return &session{Reader: r, stream: stream, made: &record.Moment{}, waiting: waiting{checked: time.Now()}}
}

// listen reads the stream until everything requested has been sent.
func (s *session) listen(ctx context.Context) (Outcome, error) {
	for {
		listening := time.Now()
		response, err := s.stream.Recv()
		if err != nil {
			return Arrived, err
		}
		s.waits(time.Since(listening))
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

// applyAll applies the events of one response; done reports that everything requested has been sent. An error of a single table ends that
// stream and leaves the others of the reader.
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

// apply handles one event. Rows and positions, which are frequent, and the markers around them are read in place; other events are
// decoded first.
func (s *session) apply(ctx context.Context, ev *wire.Event) (done bool, err error) {
	if s.scouted != nil && ofRows(ev.Type) {
		if s.waited = 0; ev.Type == binlogdatapb.VEventType_ROW {
			s.scouted.written[s.scouted.now] = true
		}
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
			if err := count(s); err != nil {
				return false, err
			}
			return s.boundary(ctx) // nothing else may arrive for a long time
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

// ofRows reports whether events of a type concern rows.
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

// moves records that the reader has advanced: what follows the last boundary is read again if the stream breaks.
func (s *session) moves() { s.progressed, s.waited, s.stuck = true, 0, 0 }
