package dial

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
)

func TestAddresses(t *testing.T) {
	c := Config{Host: "2001:db8::1", MySQLPort: 3306, GRPCPort: 443}
	if c.MySQLAddr() != "[2001:db8::1]:3306" || c.GRPCAddr() != "[2001:db8::1]:443" {
		t.Errorf("got %s and %s", c.MySQLAddr(), c.GRPCAddr())
	}
}

func TestResolve(t *testing.T) {
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		if err := (Config{Host: host}).Resolve(t.Context()); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// None of these queries the name service: an empty label is refused before, and the resolver's error is constructed.
func TestResolveErrors(t *testing.T) {
	err := Config{Host: "no..such"}.Resolve(t.Context())
	if !errors.Is(err, ErrUnknownHost) || !strings.Contains(err.Error(), `"no..such"`) {
		t.Errorf("Resolve: got %v, want ErrUnknownHost naming the host", err)
	}
	_, err = Config{}.DialContext(t.Context(), "tcp", "no..such:3306")
	if !errors.Is(err, ErrUnknownHost) || !strings.Contains(err.Error(), `"no..such"`) {
		t.Errorf("DialContext: got %v, want ErrUnknownHost naming the host", err)
	}
	err = resolveError(&net.DNSError{Err: "server misbehaving", Name: "database.test", IsTemporary: true}, false)
	if errors.Is(err, ErrUnknownHost) || !strings.Contains(err.Error(), `"database.test"`) {
		t.Errorf("got %v, want the host named and no ErrUnknownHost when the name service itself fails", err)
	}
}

// Where names follow what runs, that of a server which restarts is unknown for a moment.
func TestANameThatIsNoLongerKnown(t *testing.T) {
	listening := echo(t)
	dialled := func(c Config, addr string) error {
		conn, err := c.DialContext(t.Context(), "tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err
	}
	direct := Config{Reached: &atomic.Bool{}}
	jump := newJumpServer(t, nil)
	tunnel, err := NewTunnel(jump.options(), nil)
	if err != nil {
		t.Fatal(err)
	}
	server := tunnel.addr
	for name, c := range map[string]struct {
		reach, lose func() error
	}{
		"the host's": {
			func() error { return dialled(direct, listening) },
			func() error { return dialled(direct, "no..such:3306") },
		},
		"the jump server's": {
			func() error { tunnel.addr = server; return dialled(Config{Tunnel: tunnel}, listening) },
			func() error { tunnel.addr = "no..such:22"; return dialled(Config{Tunnel: tunnel}, listening) },
		},
	} {
		v := Judge(c.lose())
		if v == nil || v.Kind != airbyte.ConfigError || v.Action != failure.Retry {
			t.Errorf("%s, never reached: %v", name, v)
		}
		if err := c.reach(); err != nil {
			t.Fatal(err)
		}
		// A sync judges what has no verdict of the network's as a broken stream, or as a server that does not answer.
		err := c.lose()
		if v := Judge(err); err == nil || v != nil && (v.Kind != airbyte.TransientError || v.Action != failure.Retry) {
			t.Errorf("%s, reached before: %v", name, err)
		}
		if !strings.Contains(err.Error(), "no..such") || !errors.As(err, new(net.Error)) {
			t.Errorf("%s, reached before: %v", name, err)
		}
	}
}

func TestDialRefused(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	_, err = Config{}.DialContext(t.Context(), "tcp", addr)
	if err == nil || !strings.HasPrefix(err.Error(), addr+" cannot be reached: ") || IsTLSError(err) {
		t.Errorf("got %v", err)
	}
}

func TestDialCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Config{}.DialContext(ctx, "tcp", "127.0.0.1:1")
	if !errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), "canceled") {
		t.Errorf("got %v, want the cancellation", err)
	}
}

func dialLoopback(t *testing.T) *net.TCPConn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := Config{}.DialContext(ctx, "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}
