package vstream

import (
	"fmt"
	"slices"

	"google.golang.org/grpc/mem"
	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"
)

// codec passes on responses as they arrived, for package wire to read in place.
type codec struct {
	buffers *buffers
	turn    *turn
}

// message is a response's bytes, in one of the codec's buffers.
type message struct {
	data []byte
	size int  // of data, even after it was returned
	turn bool // it has the client's turn
}

const (
	// ahead is how many bytes of messages a client's streams may together receive before their owners are done with earlier ones.
	ahead = 4 << 20
	// kept is the largest buffer that is reused, in bytes.
	kept = 1 << 20
	// roomy is the minimum capacity of the decompressor's buffers. The parts of a frame that gRPC passes on without a pool, several of
	// which may share an array, are smaller: it pools from 1 KiB on.
	roomy = 4 << 10
)

// Name implements encoding.CodecV2. It is the content subtype, and must be one that servers know.
func (codec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	request, ok := v.(*vtgatepb.VStreamRequest)
	if !ok {
		return nil, fmt.Errorf("cannot marshal a %T: only VStreamRequests are sent", v)
	}
	data, err := request.MarshalVT()
	if err != nil {
		return nil, err
	}
	return mem.BufferSlice{mem.SliceBuffer(data)}, nil
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*message)
	if !ok {
		return fmt.Errorf("cannot unmarshal a %T: responses are taken as they come", v)
	}
	m.size = data.Len()
	if len(data) == 1 {
		if own, ok := data[0].(mem.SliceBuffer); ok && cap(own) >= roomy {
			m.data = own // the decompressor's, as a whole
			return nil
		}
	}
	c.turn.await(m.size)
	m.data = slices.Grow(c.buffers.get(), m.size)[:m.size]
	data.CopyTo(m.data)
	return nil
}
