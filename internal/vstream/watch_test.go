package vstream

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"

	"source-planetscale/internal/dial"
	"source-planetscale/internal/fakevtgate"
)

func TestSilenceIsTimeWithoutBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var received atomic.Int64
		silent := make(chan time.Time, 1)
		w := newWatch(Silence, &received, func() { silent <- time.Now() })
		w.start()
		for range 6 { // receives part of a large message each time, for a minute
			time.Sleep(10 * time.Second)
			received.Add(1 << 20)
		}
		w.stop()
		time.Sleep(time.Hour) // the message is being processed by the stream's owner
		if len(silent) > 0 {
			t.Fatalf("the stream was ended %s ago", time.Since(<-silent))
		}
		began := time.Now()
		w.start()
		for range 3 {
			time.Sleep(9 * time.Second)
			received.Add(100) // the answer to a ping
		}
		if got := (<-silent).Sub(began); got != Silence {
			t.Errorf("the stream was ended after %s", got)
		}
	})
}

// big is an event that snappy can hardly compress.
func big(n int) *binlogdatapb.VEvent {
	data := make([]byte, n)
	_, _ = rand.Read(data) // cannot fail
	return &binlogdatapb.VEvent{Type: binlogdatapb.VEventType_OTHER, Statement: base64.StdEncoding.EncodeToString(data)}
}

func slowClient(t *testing.T, port int, silence time.Duration) *Client {
	t.Helper()
	c, err := New(
		Config{Dial: dial.Config{Host: "127.0.0.1", GRPCPort: port, TLS: dial.TLS{Mode: dial.Disabled}}, Auth: NoAuth, Silence: silence},
	)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// line forwards to a port; the response is forwarded one piece per tick.
func line(t *testing.T, port, piece int, tick time.Duration) (slow int) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		client, err := l.Accept()
		if err != nil {
			return
		}
		defer client.Close()
		server, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return
		}
		defer server.Close()
		go func() { _, _ = io.Copy(server, client) }()
		for range time.Tick(tick) {
			if _, err := io.CopyN(client, server, int64(piece)); err != nil {
				return
			}
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// A row of 60 MB takes longer than Silence on a connection with less than 2 MB/s.
func TestLargeMessageOverASlowLineIsNoSilence(t *testing.T) {
	server, err := fakevtgate.Start(func(_ *vtgatepb.VStreamRequest, send func(...*binlogdatapb.VEvent), done <-chan struct{}) error {
		send(big(1 << 20))
		<-done
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	const silence = 500 * time.Millisecond
	began := time.Now()
	s, err := slowClient(t, line(t, server.Port(), 8<<10, 10*time.Millisecond), silence).Open(t.Context(), Request{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Recv(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < 2*silence {
		t.Errorf("the line was not slow: it took %s", took)
	}
}

// The other streams of the sync continue while one is dead.
func TestSilentStreamIsNotKeptByItsNeighbours(t *testing.T) {
	server, err := fakevtgate.Start(func(r *vtgatepb.VStreamRequest, send func(...*binlogdatapb.VEvent), done <-chan struct{}) error {
		if r.Filter.Rules[0].Match == "dead" {
			<-done
			return nil
		}
		event := big(64 << 10)
		for {
			select {
			case <-done:
				return nil
			default:
				send(event)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	c := slowClient(t, server.Port(), 100*time.Millisecond)
	busy, err := c.Open(t.Context(), Request{Tables: []Table{{Name: "busy"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	dead, err := c.Open(t.Context(), Request{Tables: []Table{{Name: "dead"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer dead.Close()
	ended := make(chan error, 1)
	go func() { _, err := dead.Recv(); ended <- err }()
	for deadline := time.Now().Add(5 * time.Second); ; {
		select {
		case err := <-ended:
			if !errors.Is(err, ErrSilent) {
				t.Error(err)
			}
			return
		default:
		}
		if _, err := busy.Recv(); err != nil || time.Now().After(deadline) {
			t.Fatalf("the dead stream is still open; the busy one: %v", err)
		}
		busy.Keep(0)
	}
}
