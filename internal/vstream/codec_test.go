package vstream

import (
	"testing"

	"google.golang.org/grpc/mem"
)

// Small messages that arrive in one DATA frame share its array. The buffer of the first is reused while the second is read.
func TestMessagesOfOneFrameAreTheirOwn(t *testing.T) {
	frame := mem.SliceBuffer(append(append(make([]byte, 0, 64), "first___"...), "second__second__"...))
	one, two := mem.SplitUnsafe(frame, 8)
	c := codec{newBuffers(), &turn{}}
	var first, second, third message
	for m, data := range map[*message]mem.BufferSlice{&first: {one}, &second: {two}} {
		if err := c.Unmarshal(data, m); err != nil {
			t.Fatal(err)
		}
	}
	c.buffers.put(first.data)
	if err := c.Unmarshal(mem.BufferSlice{mem.SliceBuffer("third___"), mem.SliceBuffer("third___")}, &third); err != nil {
		t.Fatal(err)
	}
	if string(second.data) != "second__second__" || string(third.data) != "third___third___" {
		t.Errorf("the second message is %q, the third %q", second.data, third.data)
	}
}

// A buffer of the decompressor is reused with its whole capacity: otherwise each message larger than the last one needs a new buffer.
func TestDecompressorsBuffersKeepTheirRoom(t *testing.T) {
	c := codec{newBuffers(), &turn{}}
	var m message
	if err := c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(make([]byte, 100, 2*roomy))}, &m); err != nil {
		t.Fatal(err)
	}
	if cap(m.data) != 2*roomy {
		t.Errorf("the buffer has a capacity of %d bytes, expected %d", cap(m.data), 2*roomy)
	}
}
