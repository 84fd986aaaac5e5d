package wire

import (
	"google.golang.org/protobuf/encoding/protowire"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
)

// Response is a vtgate.VStreamResponse: a list of events.
type Response struct{ c cursor }

// NewResponse parses a response.
func NewResponse(data []byte) Response { return Response{cursor{rest: data}} }

// Next moves ev to the next event. It returns false at the end, or with an error.
func (r *Response) Next(ev *Event) (bool, error) {
	for r.c.next() {
		if r.c.is(1, protowire.BytesType) {
			return true, ev.read(r.c.bytes)
		}
	}
	return false, r.c.err()
}

// Event is a binlogdata.VEvent.
type Event struct {
	Type binlogdatapb.VEventType
	// Timestamp is when the change was made, in seconds since 1970; 0 for the events of a copy.
	Timestamp int64
	// GTID is the transaction that a BEGIN opens (event_gtid); empty before Vitess 23.
	GTID []byte

	message []byte
	row     []byte // the binlogdata.RowEvent
	vgtid   []byte // the binlogdata.VGtid
	hasRow  bool
	several bool // VGtids, which no encoder writes
}

func (ev *Event) read(message []byte) error {
	*ev = Event{message: message}
	c := cursor{rest: message}
	for c.next() {
		switch {
		case c.is(1, protowire.VarintType):
			ev.Type = binlogdatapb.VEventType(c.scalar)
		case c.is(2, protowire.VarintType):
			ev.Timestamp = int64(c.scalar)
		case c.is(5, protowire.BytesType):
			if ev.hasRow { // two messages written one after another are merged
				ev.row = append(ev.row, c.bytes...) // c.bytes are capped: this copies
				continue
			}
			ev.row, ev.hasRow = c.bytes, true
		case c.is(7, protowire.BytesType):
			ev.several = ev.vgtid != nil
			ev.vgtid = c.bytes
		case c.is(28, protowire.BytesType):
			ev.GTID = c.bytes
		}
	}
	return c.err()
}

// Message decodes the whole event; the caller owns it.
func (ev *Event) Message() (*binlogdatapb.VEvent, error) {
	m := &binlogdatapb.VEvent{}
	if err := m.UnmarshalVT(ev.message); err != nil {
		return nil, ErrMalformed
	}
	return m, nil
}

// Position returns the position of a VGTID event that has one shard and no key of a copy; ok is false for others, which Message decodes.
func (ev *Event) Position() (shard, gtid []byte, ok bool) {
	shards := cursor{rest: ev.vgtid}
	if ev.several || !shards.next() || !shards.is(1, protowire.BytesType) || len(shards.rest) > 0 {
		return nil, nil, false
	}
	for c := (cursor{rest: shards.bytes}); ; {
		switch {
		case !c.next():
			return shard, gtid, !c.bad
		case c.is(2, protowire.BytesType):
			shard = c.bytes
		case c.is(3, protowire.BytesType):
			gtid = c.bytes
		case c.is(4, protowire.BytesType):
			return nil, nil, false
		}
	}
}

// Rows returns the changes of a ROW event.
func (ev *Event) Rows() (Rows, error) {
	if table, rest, ok := take(ev.row, firstTag); ok { // in the order that encoders write: the table's name first
		return Rows{table, rest}, nil
	}
	rows := Rows{rest: ev.row}
	c := cursor{rest: ev.row}
	for c.next() {
		if c.is(1, protowire.BytesType) {
			rows.Table = c.bytes
		}
	}
	return rows, c.err()
}
