package dial

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
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
	err = resolveError(&net.DNSError{Err: "server misbehaving", Name: "database.test", IsTemporary: true})
	if errors.Is(err, ErrUnknownHost) || !strings.Contains(err.Error(), `"database.test"`) {
		t.Errorf("got %v, want the host named and no ErrUnknownHost when the name service itself fails", err)
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
