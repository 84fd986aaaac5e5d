package schema

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/go-sql-driver/mysql"

	"source-planetscale/internal/dial"
	"source-planetscale/internal/failure"
)

// The errors that callers distinguish. For a failed handshake see dial.IsTLSError, for an unknown host dial.ErrUnknownHost.
var (
	// ErrAuth says that the server refused user or password. Only Open returns it.
	ErrAuth = errors.New("the server refused the login")
	// ErrUnknownKeyspace says that the server has no such keyspace; the message lists those it has.
	ErrUnknownKeyspace = errors.New("no such database")
	// ErrUnreachable says that the server could not be reached, did not answer in time, or was lost.
	ErrUnreachable = errors.New("the MySQL server does not answer")
	// ErrRefused says that the server answered a statement with an error: no permission, not supported, no tablet that
	// could answer it. The connection is fine, and other questions may be asked.
	ErrRefused = errors.New("the server refused")
	// ErrNoShards says that the keyspace is there, but no shard of it has a primary that serves. It is an ErrRefused.
	ErrNoShards = fmt.Errorf("%w: no shard has a serving primary", ErrRefused)
	// ErrAltered says that columns and keys, which are asked for one after the other, do not fit. They will.
	ErrAltered = errors.New("a table was altered while its schema was read")
)

// What is wrong with the TLS mode, for dial.IsTLSError.
var (
	errRequiresTLS = errors.New("tls: the server requires TLS, but " + failure.Option("TLS mode", "tls.mode") + " is \"Disabled\"")
	errOffersNoTLS = errors.New("tls: the server does not offer it, but " + failure.Option("TLS mode", "tls.mode") + " requires it")
)

// MySQL's error numbers (mysqld_error.h; vtgate uses the same ones).
const (
	erDBAccessDenied       = 1044
	erAccessDenied         = 1045
	erNoDB                 = 1046
	erBadDB                = 1049
	erParse                = 1064
	erNoSuchTable          = 1146
	erSyntax               = 1149
	erUnknownVariable      = 1193
	erAccessDeniedNoPasswd = 1698
	erMustChangePassword   = 1862
	erAccountLocked        = 3118
	erSecureTransport      = 3159
)

// failed describes what was being done when err occurred, and wraps one of the errors above if it matches.
func failed(doing string, err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, dial.ErrUnknownHost):
	case errors.As(err, new(*mysql.MySQLError)):
		return judged(fmt.Errorf("%s: %w: %w", doing, ErrRefused, err))
	case dial.IsTLSError(err):
	case isLost(err):
		return judged(fmt.Errorf("%s: %w: %w", doing, ErrUnreachable, err))
	}
	return judged(fmt.Errorf("%s: %w", doing, err))
}

func isLost(err error) bool {
	return errors.As(err, new(net.Error)) || slices.ContainsFunc([]error{
		context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, driver.ErrBadConn, mysql.ErrInvalidConn, errAnswer,
	}, func(lost error) bool { return errors.Is(err, lost) })
}

// loginFailed is failed for a login, where some of the server's answers have a more specific meaning.
func loginFailed(addr string, err error) error {
	doing := "logging in to " + addr
	var answer *mysql.MySQLError
	if errors.As(err, &answer) {
		switch {
		// vtgate has no number for these.
		case answer.Number == erSecureTransport, strings.Contains(answer.Message, "must use SSL/TLS"):
			return judged(fmt.Errorf("%s: %w: %w", doing, errRequiresTLS, err))
		case strings.Contains(answer.Message, "does not match client cert"):
			return judged(fmt.Errorf("%s: %w: %w", doing, ErrAuth, err))
		}
	}
	switch {
	case errors.Is(err, mysql.ErrNoTLS):
		return judged(fmt.Errorf("%s: %w: %w", doing, errOffersNoTLS, err))
	case isNumbered(err, erAccessDenied, erDBAccessDenied, erAccessDeniedNoPasswd, erMustChangePassword, erAccountLocked):
		return judged(fmt.Errorf("%s: %w: %w", doing, ErrAuth, err))
	default:
		return failed(doing, err)
	}
}

func isRefused(err error) bool { return errors.Is(err, ErrRefused) }

// isNumbered reports whether err is the server's answer with one of these numbers.
func isNumbered(err error, numbers ...uint16) bool {
	var answer *mysql.MySQLError
	return errors.As(err, &answer) && slices.Contains(numbers, answer.Number)
}

// cause keeps the last error that the driver logged. The driver logs the reason for a lost connection, such as a server's rejection of
// our certificate, and returns "invalid connection".
type cause struct {
	mu  sync.Mutex
	err error
}

// Print implements mysql.Logger.
func (c *cause) Print(v ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, part := range v {
		if err, ok := part.(error); ok {
			c.err = err
		}
	}
}

// explain adds the logged reason to an error that lacks it.
func (c *cause) explain(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil || !errors.Is(err, mysql.ErrInvalidConn) && !errors.Is(err, driver.ErrBadConn) {
		return err
	}
	return fmt.Errorf("%w: %w", err, c.err)
}
