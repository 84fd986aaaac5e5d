package vstream

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/golang/snappy"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// compress compresses a message as a server does, with the library.
func compress(t testing.TB, message []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := snappy.NewBufferedWriter(&out)
	_, err := w.Write(message)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestMessagesAreDecompressed(t *testing.T) {
	d := decompressor{newBuffers(), &turn{}}
	random := make([]byte, 200_000) // stored uncompressed
	for i, x := 0, uint32(1); i < len(random); i++ {
		x = x*1664525 + 1013904223
		random[i] = byte(x >> 24)
	}
	for name, message := range map[string][]byte{
		"empty": {}, "short": []byte("abc"), "several chunks": bytes.Repeat([]byte("some text, "), 50_000), "incompressible": random,
	} {
		// In pieces as the transport delivers them, and into a buffer that was used before.
		data := compress(t, message)
		for range 2 {
			pieces := mem.BufferSlice{mem.SliceBuffer(data[:len(data)/3]), mem.SliceBuffer(data[len(data)/3:])}
			got, err := d.Do(pieces.Reader())
			if cap(got) < roomy {
				t.Errorf("%s: a buffer of %d bytes, which the codec would copy", name, cap(got))
			}
			if err != nil || !bytes.Equal(got, message) {
				t.Errorf("%s: %d bytes, expected %d; %v", name, len(got), len(message), err)
			}
			d.buffers.put(got)
		}
	}
}

func TestDamagedMessagesAreErrors(t *testing.T) {
	good := compress(t, []byte(strings.Repeat("some text, ", 100)))
	for at := range good {
		damaged := bytes.Clone(good)
		damaged[at] ^= 0x10
		got, err := decompressor{newBuffers(), &turn{}}.Do(bytes.NewReader(damaged))
		if err == nil && at > 9 { // the bytes before are the stream identifier, which does not depend on the data
			t.Errorf("with a changed byte at %d it was decompressed to %d bytes without an error", at, len(got))
		}
	}
	if _, err := (decompressor{newBuffers(), &turn{}}).Do(bytes.NewReader(good[:len(good)-1])); err == nil {
		t.Error("a truncated message is not an error")
	}
}

// A message that is too large is refused before memory is allocated for it, and the error says that it is too large.
func TestTooLargeMessagesAreNotDecompressed(t *testing.T) {
	chunk := compress(t, make([]byte, 1<<16))[10:] // without the identifier
	_, err := decompressor{newBuffers(), &turn{}}.Do(bytes.NewReader(bytes.Repeat(chunk, MaxMessage>>16+1)))
	if !errors.Is(err, errTooLarge) {
		t.Fatalf("the error is %v", err)
	}
	if kind := KindOf(newError(status.Errorf(codes.Internal, "grpc: failed to decompress the message: %v", err), names{})); kind != TooLarge {
		t.Errorf("it is of kind %v", kind)
	}
}

// FuzzDecompress compares the decompressor with the library's.
func FuzzDecompress(f *testing.F) {
	f.Add(compress(f, []byte("some text, some text, some text")))
	f.Add(append(compress(f, []byte("a")), 0x80, 1, 0, 0, 'x'))
	f.Add([]byte("\xff\x06\x00\x00sNaPpY"))
	f.Fuzz(func(t *testing.T, data []byte) {
		want, wantErr := io.ReadAll(snappy.NewReader(bytes.NewReader(data)))
		if wantErr != nil {
			_, _ = decompressor{newBuffers(), &turn{}}.Do(bytes.NewReader(data)) // it may accept a wrong identifier
			return
		}
		if got, err := (decompressor{newBuffers(), &turn{}}).Do(bytes.NewReader(data)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, %v; expected %d", len(got), err, len(want))
		}
	})
}
