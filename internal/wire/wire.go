// Package wire parses VStream's responses in place, as they arrived: the bytes of protobuf messages (binlogdata.proto, query.proto and
// vtgate.proto of Vitess 24). It is the connector's fast path: a row is two slices of its response, and no message object is created for
// it, which would cost seven times the CPU of receiving it.
//
// Everything except rows is rare, and is decoded by Vitess' own generated code (Event.Message). Protobuf lets an encoder write a field
// more than once or a list in pieces; no known encoder does, and messages written that way also go through the generated code, which
// merges them (Change.read). FuzzResponse compares the two.
//
// Everything returned refers to the response's bytes and is valid as long as they are.
package wire

import (
	"errors"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed reports that bytes are not the expected protobuf message.
var ErrMalformed = errors.New("the server sent a message that cannot be decoded")

// cursor reads the fields of one message.
type cursor struct {
	rest []byte
	// The field read last: its number, its wire type, and its value according to that type.
	number protowire.Number
	kind   protowire.Type
	scalar uint64
	bytes  []byte
	bad    bool
}

// next moves to the next field; false at the message's end, and if it is malformed (bad). Tags and lengths of one or two bytes, which
// most are, are read here, all others by nextAny.
func (c *cursor) next() bool {
	rest := c.rest
	if len(rest) < 4 {
		return c.nextAny()
	}
	tag, i := uint(rest[0]), 1
	if tag >= 0x80 {
		tag, i = tag&0x7F|uint(rest[1])<<7, 2
	}
	value := uint(rest[i])
	i++
	if value >= 0x80 {
		value = value&0x7F | uint(rest[i])<<7
		i++
	}
	c.number, c.kind = protowire.Number(tag>>3), protowire.Type(tag&7)
	switch {
	case tag < 8 || tag >= 1<<14 || value >= 1<<14: // no number, or a third byte
		return c.nextAny()
	case c.kind == protowire.VarintType:
		c.scalar, c.rest = uint64(value), rest[i:]
		return true
	case c.kind == protowire.BytesType && value <= uint(len(rest)-i):
		end := i + int(value)
		c.bytes, c.rest = rest[i:end:end], rest[end:]
		return true
	}
	return c.nextAny()
}

// The tags of the first two fields of a message, if these are messages, bytes or packed lists.
const (
	firstTag  = 1<<3 | byte(protowire.BytesType)
	secondTag = 2<<3 | byte(protowire.BytesType)
)

// take consumes the first field of a message, if it has that tag and a length of one or two bytes, as nearly every part of a row does.
// Whatever it does not accept is read by a cursor.
func take(message []byte, tag byte) (value, rest []byte, ok bool) {
	if len(message) < 3 || message[0] != tag {
		return nil, message, false
	}
	size, from := int(message[1]), 2
	if size >= 0x80 {
		size, from = size&0x7F|int(message[2])<<7, 3
	}
	if size >= 1<<14 || size > len(message)-from {
		return nil, message, false
	}
	end := from + size
	return message[from:end:end], message[end:], true
}

// nextAny is next for all fields.
func (c *cursor) nextAny() bool {
	if len(c.rest) == 0 {
		return false
	}
	tag, ok := c.varint()
	c.number, c.kind = protowire.Number(tag>>3), protowire.Type(tag&7)
	if !ok || tag>>3 == 0 || tag>>3 > math.MaxInt32 {
		return c.fail()
	}
	switch c.kind {
	case protowire.VarintType:
		c.scalar, ok = c.varint()
	case protowire.BytesType:
		var n uint64
		if n, ok = c.varint(); ok && n <= uint64(len(c.rest)) {
			c.bytes, c.rest = c.rest[:n:n], c.rest[n:]
			return true
		}
		ok = false
	default: // not a field that we know
		n := protowire.ConsumeFieldValue(c.number, c.kind, c.rest)
		if ok = n >= 0; ok {
			c.rest = c.rest[n:]
		}
	}
	return ok || c.fail()
}

func (c *cursor) fail() bool {
	c.rest, c.bad = nil, true
	return false
}

// is reports whether the field is this one. One of another wire type makes the message malformed, as it does for Vitess.
func (c *cursor) is(number protowire.Number, kind protowire.Type) bool {
	if c.number == number && c.kind != kind {
		c.fail()
		return false
	}
	return c.number == number
}

func (c *cursor) err() error {
	if c.bad {
		return ErrMalformed
	}
	return nil
}

func (c *cursor) varint() (uint64, bool) {
	v, n := protowire.ConsumeVarint(c.rest)
	if n < 0 {
		return 0, false
	}
	c.rest = c.rest[n:]
	return v, true
}
