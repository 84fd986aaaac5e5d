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

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/dial"
	"source-planetscale/internal/failure"
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
	reason := &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}
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

// Only what ends our own connection is about our TLS settings: neither a server's answer that passes on what a tablet told it, nor a name.
func TestOnlyOurOwnHandshakeIsAboutTheTLSSettings(t *testing.T) {
	handshake := &net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}
	answer := &mysql.MySQLError{Number: 1105, Message: "target: shop.-.primary: vttablet: transport: authentication handshake failed: tls: x"}
	for name, c := range map[string]struct {
		doing string
		err   error
		want  airbyte.FailureType
	}{
		"our own":                         {"reading the tables of shop", handshake, airbyte.ConfigError},
		"the server's with a tablet":      {"reading the tables of shop", answer, airbyte.TransientError},
		"a keyspace whose name ends so":   {"reading the tables of acct_dtls", mysql.ErrInvalidConn, airbyte.TransientError},
		"a keyspace of that name":         {"reading the tables of tls", mysql.ErrInvalidConn, airbyte.TransientError},
		"a table whose name ends so":      {"sorting table order_dtls", &mysql.MySQLError{Number: 1105, Message: "order_dtls: x"}, airbyte.TransientError},
		"an answer of that text and more": {"asking", &mysql.MySQLError{Number: 1105, Message: "tls: x"}, airbyte.TransientError},
	} {
		if v := failure.In(failed(c.doing, c.err)); v == nil || v.Kind != c.want {
			t.Errorf("%s: %v", name, v)
		}
		if v := failure.In(loginFailed("tls:3306", c.err)); v == nil || v.Kind != c.want {
			t.Errorf("%s, in a login: %v", name, v)
		}
	}
}
