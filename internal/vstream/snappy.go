package vstream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/golang/snappy"
)

// decompressor decodes snappy's framing format (framing_format.txt of google/snappy) into a buffer that is reused. gRPC's general way,
// through an io.Reader and buffers that it clears, handles each byte four times as often.
type decompressor struct {
	buffers *buffers
	turn    *turn
}

// Type implements grpc.Decompressor, which is deprecated, but supported as long as gRPC's version is 1. It is the name of the encoding.
func (decompressor) Type() string { return "snappy" }

// Do implements grpc.Decompressor. The codec takes over the buffer that it returns.
func (d decompressor) Do(r io.Reader) ([]byte, error) {
	compressed := d.buffers.get()
	defer func() { d.buffers.put(compressed) }()
	if all, ok := r.(interface{ Remaining() int }); ok {
		d.turn.await(all.Remaining())
		compressed = slices.Grow(compressed, all.Remaining()+1) // and one to see the end
	}
	for {
		if len(compressed) == cap(compressed) {
			compressed = slices.Grow(compressed, 512)
		}
		n, err := r.Read(compressed[len(compressed):cap(compressed)])
		compressed = compressed[:len(compressed)+n]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	size, err := decompressedLen(compressed)
	if err != nil {
		return nil, err
	}
	d.turn.await(size)
	return decompress(slices.Grow(d.buffers.get(), max(size, roomy)), compressed)
}

var errCorrupt = errors.New("a compressed message is corrupt")

// errTooLarge has gRPC's wording, by which it is recognized.
var errTooLarge = fmt.Errorf("received message after decompression larger than max %d", MaxMessage)

// The chunks of the format, by their first byte. Unlisted ones below skippable are from a later version of it.
const (
	compressedChunk   = 0x00
	uncompressedChunk = 0x01
	skippable         = 0x80
	checksum          = 4 // bytes, before the data of the first two
)

// nextChunk consumes the first chunk.
func nextChunk(src []byte) (kind byte, sum uint32, data, rest []byte, err error) {
	if len(src) < 4 {
		return 0, 0, nil, nil, errCorrupt
	}
	head := binary.LittleEndian.Uint32(src)
	kind, src = byte(head), src[4:]
	size := int(head >> 8)
	if size > len(src) || kind < skippable && (kind > uncompressedChunk || size < checksum) {
		return 0, 0, nil, nil, errCorrupt
	}
	data, rest = src[:size], src[size:]
	if kind < skippable {
		sum, data = binary.LittleEndian.Uint32(data), data[checksum:]
	}
	return kind, sum, data, rest, nil
}

// decompressedLen adds up the lengths that the chunks declare.
func decompressedLen(src []byte) (size int, err error) {
	for len(src) > 0 {
		kind, _, data, rest, err := nextChunk(src)
		if err != nil {
			return 0, err
		}
		n := 0
		switch kind {
		case compressedChunk:
			if n, err = snappy.DecodedLen(data); err != nil {
				return 0, errCorrupt
			}
		case uncompressedChunk:
			n = len(data)
		}
		if size += n; size > MaxMessage {
			return 0, errTooLarge
		}
		src = rest
	}
	return size, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// decompress appends to dst, which has the capacity.
func decompress(dst, src []byte) ([]byte, error) {
	for len(src) > 0 {
		kind, sum, data, rest, err := nextChunk(src)
		if err != nil {
			return nil, err
		}
		src = rest
		from := len(dst)
		switch kind {
		case compressedChunk:
			part, err := snappy.Decode(dst[from:cap(dst)], data)
			if err != nil {
				return nil, errCorrupt
			}
			dst = dst[:from+len(part)]
		case uncompressedChunk:
			dst = append(dst, data...)
		default:
			continue
		}
		if c := crc32.Update(0, castagnoli, dst[from:]); (c>>15|c<<17)+0xa282ead8 != sum {
			return nil, errCorrupt
		}
	}
	return dst, nil
}

// buffers are kept for reuse, a few and none larger than kept. They may be used by several goroutines.
type buffers struct{ free chan []byte }

func newBuffers() *buffers { return &buffers{make(chan []byte, messages)} }

// get returns an empty buffer.
func (b *buffers) get() []byte {
	select {
	case buf := <-b.free:
		return buf
	default:
		return nil
	}
}

func (b *buffers) put(buf []byte) {
	if cap(buf) == 0 || cap(buf) > kept {
		return
	}
	select {
	case b.free <- buf[:0]:
	default:
	}
}
