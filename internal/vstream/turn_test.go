package vstream

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"source-planetscale/internal/dial"
)

// uncompressed is an RPC that always has another message of the same size, which passes through the codec.
type uncompressed struct {
	grpc.ClientStream
	codec codec
	data  []byte
}

func (u *uncompressed) RecvMsg(m any) error {
	return u.codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(u.data[:1]), mem.SliceBuffer(u.data[1:])}, m)
}

// twoStreams returns two streams of one client with messages of this size, each of which has received as many as it may.
func twoStreams(t *testing.T, size int) (a, b *Stream) {
	t.Helper()
	client, err := New(Config{Dial: dial.Config{Host: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, size)
	open := func() *Stream {
		conn, err := client.connect()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		s := client.stream(ctx, cancel, conn, &uncompressed{codec: codec{client.buffers, conn.turn}, data: data})
		synctest.Wait()
		return s
	}
	return open(), open()
}

func TestLargeMessagesAreHandledOneAfterTheOther(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
		do   func(a, b *Stream)
		want [2]int // messages that a and b have received
	}{
		{"at first", large, func(*Stream, *Stream) {}, [2]int{1, 0}},
		{"smaller ones", large - 1, func(*Stream, *Stream) {}, [2]int{1, 1}},
		{"the owner has it", large, func(a, _ *Stream) { take(t, a, 1, 1) }, [2]int{0, 0}},
		{"the owner is done with it", large, func(a, _ *Stream) { take(t, a, 1, 0) }, [2]int{0, 1}},
		{"the stream ends that had it", large, func(a, _ *Stream) { take(t, a, 1, 1); a.Close() }, [2]int{0, 1}},
		{"the stream ends whose owner never saw it", large, func(a, _ *Stream) { a.Close() }, [2]int{0, 1}},
		{"the stream ends that waits", large, func(_, b *Stream) { b.Close() }, [2]int{1, 0}},
		{"it takes so long that the other one would be silent", large, func(*Stream, *Stream) { time.Sleep(2*Silence - 1) }, [2]int{1, 0}},
		{"it takes too long", large, func(*Stream, *Stream) { time.Sleep(patience) }, [2]int{1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := twoStreams(t, c.size)
				began := time.Now()
				c.do(a, b)
				synctest.Wait()
				if got := [2]int{len(a.full), len(b.full)}; got != c.want || time.Since(began) > patience {
					t.Errorf("%v messages were received, expected %v, after %s", got, c.want, time.Since(began))
				}
				if len(b.full) > 0 {
					if _, err := b.Recv(); err != nil {
						t.Error(err)
					}
				}
				a.Close()
				b.Close()
			})
		})
	}
}
