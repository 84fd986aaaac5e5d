package vstream

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"

	"source-planetscale/internal/crash"
	"source-planetscale/internal/dial"
)

// endless is an RPC that always has another message of the same size.
type endless struct {
	grpc.ClientStream
	size int
}

func (e endless) RecvMsg(m any) error {
	m.(*message).data, m.(*message).size = make([]byte, e.size), e.size
	return nil
}

// streamOf opens a stream whose messages have this size.
func streamOf(t *testing.T, c *Client, size int) *Stream {
	t.Helper()
	conn, err := c.connect()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	return c.stream(ctx, cancel, conn, endless{size: size})
}

// wantAhead waits until the stream receives no more, and checks how many messages it has received.
func wantAhead(t *testing.T, s *Stream, when string, want int) {
	t.Helper()
	synctest.Wait()
	if got := len(s.full); got != want {
		t.Errorf("%s: %d messages were received, expected %d", when, got, want)
	}
}

// take receives n messages and releases all but the last of them.
func take(t *testing.T, s *Stream, n, keep int) {
	t.Helper()
	for range n {
		if _, err := s.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	s.Keep(keep)
}

func TestWhatIsReceivedAheadIsBounded(t *testing.T) {
	for _, c := range []struct {
		name             string
		size, ahead      int
		take, keep, then int
	}{
		{"small messages are counted", 1 << 10, messages, 2, 1, messages - 1},
		{"larger ones are weighed, and one may be above the limit", ahead / 4, 5, 2, 1, 4},
		{"nothing is received beside one that is above it", 60 << 20, 1, 1, 1, 0},
		{"and then the next", 60 << 20, 1, 1, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, err := New(Config{Dial: dial.Config{Host: "test"}})
				if err != nil {
					t.Fatal(err)
				}
				s := streamOf(t, client, c.size)
				defer s.Close()
				wantAhead(t, s, "at first", c.ahead)
				take(t, s, c.take, c.keep)
				wantAhead(t, s, "after some were taken", c.then)
			})
		})
	}
}

func TestStreamsShareWhatIsReceivedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, err := New(Config{Dial: dial.Config{Host: "test"}})
		if err != nil {
			t.Fatal(err)
		}
		first := streamOf(t, client, ahead/4)
		wantAhead(t, first, "alone", 5)
		second := streamOf(t, client, ahead/4)
		defer second.Close()
		wantAhead(t, second, "as one of two", 3)
		take(t, first, 4, 0)
		wantAhead(t, first, "as one of two", 3)
		first.Close()
		take(t, second, 1, 0)
		wantAhead(t, second, "alone again", 5)
	})
}

// panicking is an RPC that panics, as a library or the decompressor might.
type panicking struct{ grpc.ClientStream }

func (panicking) RecvMsg(any) error { panic("s3cret") }

func TestAPanicWhileReceivingEndsTheStream(t *testing.T) {
	c, err := New(Config{Dial: dial.Config{TLS: dial.TLS{Mode: dial.Disabled}}, Auth: NoAuth})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := c.connect()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	s := c.stream(ctx, cancel, conn, panicking{})
	defer s.Close()
	_, err = s.Recv()
	if !errors.As(err, new(*crash.Panic)) || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "RecvMsg") {
		t.Errorf("got %v", err)
	}
}
