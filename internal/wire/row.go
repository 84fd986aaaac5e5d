package wire

import (
	"bytes"

	"google.golang.org/protobuf/encoding/protowire"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
)

// Rows are the changes of one ROW event, a binlogdata.RowEvent.
type Rows struct {
	Table []byte // the table's name as the server writes it
	c     cursor
}

// Next moves to the next change. It returns false at the end, or with an error.
func (r *Rows) Next(change *Change) (bool, error) {
	for r.c.next() {
		switch {
		case r.c.is(2, protowire.BytesType):
			return true, change.read(r.c.bytes)
		case r.c.number == 1 && !bytes.Equal(r.c.bytes, r.Table):
			return false, ErrMalformed // one event is of one table
		}
	}
	return false, r.c.err()
}

// Change is a binlogdata.RowChange: a row inserted (no Before), deleted (no After) or updated.
type Change struct {
	Before, After Row
	// Partial tells that the server logged less of the row than all of it.
	Partial bool
}

// NewChange reads a binlogdata.RowChange.
func NewChange(message []byte) (Change, error) {
	var change Change
	err := change.read(message)
	return change, err
}

// read decodes a change. One that is malformed or in an unusual encoding goes through the generated code, which merges what
// was written in pieces.
func (ch *Change) read(message []byte) error {
	if ch.parse(message) {
		return nil
	}
	var m binlogdatapb.RowChange
	if err := m.UnmarshalVT(message); err != nil {
		return ErrMalformed
	}
	usual, err := m.MarshalVT()
	if err != nil || !ch.parse(usual) {
		return ErrMalformed
	}
	return nil
}

func (ch *Change) parse(message []byte) (usual bool) {
	*ch = Change{}
	usual = true
	c := cursor{rest: message}
	for c.next() {
		switch {
		case c.is(1, protowire.BytesType):
			usual = usual && !ch.Before.Exists && ch.Before.parse(c.bytes)
		case c.is(2, protowire.BytesType):
			usual = usual && !ch.After.Exists && ch.After.parse(c.bytes)
		case c.is(3, protowire.BytesType), c.is(4, protowire.BytesType):
			ch.Partial = true
		}
	}
	return usual && !c.bad
}

// Row is a query.Row: the values of all columns one after the other, and the length of each, -1 for NULL. Reading it with
// Next uses it up; a copy begins anew.
type Row struct {
	Exists  bool
	lengths []byte // packed sint64
	values  []byte
}

// parse returns false for a row that is malformed, or has its lengths not in one packed list.
func (r *Row) parse(message []byte) bool {
	*r = Row{Exists: true}
	c := cursor{rest: message}
	for lists := 0; c.next(); {
		switch c.number {
		case 1:
			lists++
			if c.kind != protowire.BytesType || lists > 1 {
				return false
			}
			r.lengths = c.bytes
		case 2:
			if c.kind != protowire.BytesType {
				return false
			}
			r.values = c.bytes
		}
	}
	return !c.bad
}

// More tells whether there is another value.
func (r *Row) More() bool { return len(r.lengths) > 0 }

// Left returns the bytes that belong to no value, once there is none.
func (r *Row) Left() int { return len(r.values) }

// Next takes the next value off; ok is false where the row ends inside it.
func (r *Row) Next() (value []byte, null, ok bool) {
	var n uint64
	if len(r.lengths) > 0 && r.lengths[0] < 0x80 {
		n, r.lengths = uint64(r.lengths[0]), r.lengths[1:]
	} else {
		v, size := protowire.ConsumeVarint(r.lengths)
		if size < 0 {
			return nil, false, false
		}
		n, r.lengths = v, r.lengths[size:]
	}
	length := int64(n>>1) ^ -int64(n&1) // zigzag
	if uint64(length) > uint64(len(r.values)) {
		return nil, length == -1, length == -1
	}
	value, r.values = r.values[:length], r.values[length:]
	return value, false, true
}

// Len counts the row's values.
func (r Row) Len() int {
	n := 0
	for _, b := range r.lengths {
		if b < 0x80 { // the last byte of a number
			n++
		}
	}
	return n
}
