package wire

import (
	"bytes"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
)

// Rows are the changes of one ROW event, a binlogdata.RowEvent. Next consumes them; a copy starts from the beginning.
type Rows struct {
	Table []byte // the table's name as the server writes it
	rest  []byte
}

// Next returns the next change, to be parsed by NewChange; nil at the end.
func (r *Rows) Next() ([]byte, error) {
	if change, rest, ok := take(r.rest, secondTag); ok {
		r.rest = rest
		return change, nil
	}
	c := cursor{rest: r.rest}
	for c.next() {
		switch {
		case c.is(2, protowire.BytesType):
			r.rest = c.rest
			return c.bytes, nil
		case c.number == 1 && !bytes.Equal(c.bytes, r.Table):
			return nil, ErrMalformed // one event belongs to one table
		}
	}
	r.rest = c.rest
	return nil, c.err()
}

// Change is a binlogdata.RowChange: a row inserted (no Before), deleted (no After) or updated.
type Change struct {
	Before, After Row
	// Partial reports that the server logged only a part of the row.
	Partial bool
}

// NewChange parses a change.
func NewChange(message []byte) (Change, error) {
	var change Change
	err := change.Read(message)
	return change, err
}

// Read parses a change. One that is malformed or in an unusual encoding goes through the generated code, which merges what was written in
// pieces.
func (ch *Change) Read(message []byte) error {
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
	if after, rest, ok := take(message, secondTag); ok && len(rest) == 0 {
		return ch.After.parse(after)
	}
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

// Row is a query.Row. Next consumes it; a copy starts from the beginning.
type Row struct {
	Exists  bool
	Lengths []byte // of the values, a packed list of sint64, -1 for NULL: consumed by Length
	Values  []byte // of all columns, one after another
}

// parse returns false for a row that is malformed, or whose lengths are not in one packed list.
func (r *Row) parse(message []byte) bool {
	if lengths, rest, ok := take(message, firstTag); ok {
		if values, rest, ok := take(rest, secondTag); ok && len(rest) == 0 {
			*r = Row{Exists: true, Lengths: lengths, Values: values}
			return true
		}
	}
	*r = Row{Exists: true}
	c := cursor{rest: message}
	for lists := 0; c.next(); {
		switch c.number {
		case 1:
			lists++
			if c.kind != protowire.BytesType || lists > 1 {
				return false
			}
			r.Lengths = c.bytes
		case 2:
			if c.kind != protowire.BytesType {
				return false
			}
			r.Values = c.bytes
		}
	}
	return !c.bad
}

// More reports whether there is another value.
func (r *Row) More() bool { return len(r.Lengths) > 0 }

// Next consumes the next value; ok is false if the row ends inside it.
func (r *Row) Next() (value []byte, null, ok bool) {
	var n int
	n, r.Lengths = Length(r.Lengths)
	if uint(n) > uint(len(r.Values)) {
		return nil, n == -1, n == -1
	}
	value, r.Values = r.Values[:n], r.Values[n:]
	return value, false, true
}

// Length consumes the first of a row's lengths: -1 for NULL. It is less if there is none.
func Length(lengths []byte) (n int, rest []byte) {
	v, size := protowire.ConsumeVarint(lengths)
	if size < 0 {
		return math.MinInt, lengths
	}
	return int(protowire.DecodeZigZag(v)), lengths[size:]
}

// Len counts the row's values.
func (r Row) Len() int {
	n := 0
	for _, b := range r.Lengths {
		if b < 0x80 { // the last byte of a number
			n++
		}
	}
	return n
}
