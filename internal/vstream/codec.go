package vstream

import (
	"fmt"

	"google.golang.org/grpc/mem"
	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"
)

// codec hands over responses as they came, for package wire to read in place.
type codec struct{}

// message is a response's bytes, in a buffer that is used again: those of gRPC's pool are cleared each time.
type message struct{ data []byte }

// largest is the largest buffer that is kept, in bytes, and the largest message during which the next one is received.
const largest = 4 << 20

// Name implements encoding.CodecV2. It is the content subtype, and must be the one that servers know.
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
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*message)
	if !ok {
		return fmt.Errorf("cannot unmarshal a %T: responses are taken as they come", v)
	}
	size := data.Len()
	if cap(m.data) > largest || cap(m.data) < size {
		m.data = make([]byte, size)
	}
	m.data = m.data[:size]
	data.CopyTo(m.data)
	return nil
}
