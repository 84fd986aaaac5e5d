package schema

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/go-sql-driver/mysql"

	"source-planetscale/internal/dial"
)

var sentinels = []error{ErrAuth, ErrUnknownKeyspace, ErrUnreachable, ErrRefused}

func TestFailed(t *testing.T) {
	cases := []struct {
		name string
		err  error
		want error // one of the sentinel errors, or nil for none of them
	}{
		{"answered", &mysql.MySQLError{Number: 1105, Message: "target: x: no healthy tablet available"}, ErrRefused},
		{"no permission for a statement", &mysql.MySQLError{Number: 1045}, ErrRefused},
		{"answer that speaks of tls", &mysql.MySQLError{Number: 1105, Message: "tls: x"}, ErrRefused},
		{"lost", mysql.ErrInvalidConn, ErrUnreachable},
		{"lost in the pool", driver.ErrBadConn, ErrUnreachable},
		{"closed", io.ErrUnexpectedEOF, ErrUnreachable},
		{"refused connection", &net.OpError{Op: "dial", Err: errors.New("connection refused")}, ErrUnreachable},
		{"too late", context.DeadlineExceeded, ErrUnreachable},
		{"cancelled", context.Canceled, nil},
		{"unknown host", fmt.Errorf("%w: x", dial.ErrUnknownHost), nil},
		{"handshake", &net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}, nil},
		{"our own", sql.ErrNoRows, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := failed("asking", c.err)
			if !errors.Is(got, c.err) {
				t.Errorf("%v does not wrap %v", got, c.err)
			}
			for _, sentinel := range sentinels {
				if errors.Is(got, sentinel) != (sentinel == c.want) {
					t.Errorf("%v: is %q: %v", got, sentinel, sentinel != c.want)
				}
			}
		})
	}
}

func TestCauseOfLostConnection(t *testing.T) {
	reason := errors.New("remote error: tls: certificate required")
	var c cause
	c.Print("packets.go:58 ", reason)
	if err := c.explain(mysql.ErrInvalidConn); !errors.Is(err, reason) || !errors.Is(err, mysql.ErrInvalidConn) {
		t.Errorf("got %v, want both errors", err)
	}
	if err := loginFailed("host:3306", c.explain(driver.ErrBadConn)); !dial.IsTLSError(err) || errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v, want a TLS error", err)
	}
	for _, answer := range []*mysql.MySQLError{{Number: 3159}, {Number: 1105, Message: "client must use SSL/TLS"}} {
		if err := loginFailed("host:3306", answer); !dial.IsTLSError(err) || errors.Is(err, ErrRefused) {
			t.Errorf("got %v, want a TLS error", err)
		}
	}
	answer := &mysql.MySQLError{Number: 1045}
	if err := c.explain(answer); errors.Is(err, reason) {
		t.Errorf("got %v, want only the server's error", err)
	}
}
