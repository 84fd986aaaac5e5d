package schema

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
	"unicode/utf8"
)

// errAnswer says that the driver panicked: the server's packet is not as the protocol wants it.
var errAnswer = errors.New("the server's answer does not follow MySQL's protocol")

// guarded is the driver, with a panic in any call made an error, and the server's texts and answers bounded. The driver reads
// packets without looking at their length: before TLS, too, anybody on the way could end the program.
type guarded struct {
	driver.Connector
	debug debug
}

// debug takes what was asked, and how long the answer took. Statements are our own, with names of tables, and without values of rows.
type debug func(format string, args ...any)

// socketKey is the context's key for the *socket of a connection that is being made.
type socketKey struct{}

// Connect implements driver.Connector.
func (g guarded) Connect(ctx context.Context) (driver.Conn, error) {
	c := &guardedConn{debug: g.debug}
	inner, err := guard(c, func() (driver.Conn, error) {
		return g.Connector.Connect(context.WithValue(ctx, socketKey{}, &c.socket))
	})
	if err != nil {
		return nil, err
	}
	c.session = inner.(session) // which the driver's own documentation says
	return c, nil
}

// session is what we need of the driver's connections.
type session interface {
	driver.Conn
	driver.Pinger
	driver.QueryerContext
	driver.ExecerContext
	driver.SessionResetter
	driver.Validator
	driver.NamedValueChecker
}

// guardedConn is a connection. Like all of database/sql's it is used by one goroutine at a time.
type guardedConn struct {
	session session
	socket  *socket
	broken  bool // by a panic
	// selection is what is to be selected before the next question.
	selection selection
	debug     debug
}

func (c *guardedConn) hangUp() {
	if c.socket != nil {
		_ = c.socket.Close() // is broken anyway
	}
}

// guard makes a call's panic an error, which breaks the connection: what the driver has read of the answer is not known.
func guard[T any](c *guardedConn, call func() (T, error)) (value T, err error) {
	if c.broken {
		return value, driver.ErrBadConn
	}
	defer func() {
		if recover() != nil { // its text may hold bytes of the packet
			c.broken, err = true, errAnswer
			c.hangUp()
		}
		if err != nil && c.socket != nil && c.socket.left.Load() < 0 {
			err = errTooMuch
		}
		err = shorten(err)
	}()
	return call()
}

// guardError is guard for calls that return nothing else.
func guardError(c *guardedConn, call func() error) error {
	_, err := guard(c, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

// Ping implements driver.Pinger.
func (c *guardedConn) Ping(ctx context.Context) error {
	return guardError(c, func() error { return c.session.Ping(ctx) })
}

// QueryContext implements driver.QueryerContext.
func (c *guardedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	inner, err := selected(ctx, c, query, func(packet string) (driver.Rows, error) { return c.session.QueryContext(ctx, packet, args) })
	if err != nil {
		return nil, err
	}
	return &guardedRows{c, inner}, nil
}

// ExecContext implements driver.ExecerContext. It selects where the questions that follow are asked, whose answers together have a
// bound: a list that is read page by page has an end only if the server says so. USE goes out with the first of them.
func (c *guardedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if c.socket != nil {
		c.socket.left.Store(maxAnswer)
	}
	if c.selection.keep(query) {
		return driver.ResultNoRows, nil
	}
	return selected(ctx, c, query, func(packet string) (driver.Result, error) { return c.session.ExecContext(ctx, packet, args) })
}

// selected asks a question in the packet of the USE that waits for it, if there is one. After an error the USE still waits: it may be what
// was refused, and the next question is to be refused, too, rather than asked elsewhere.
func selected[T any](ctx context.Context, c *guardedConn, question string, ask func(packet string) (T, error)) (T, error) {
	answer, err := timed(c, c.selection.before(question), ask)
	if c.selection.apart(err) {
		use := func(packet string) (driver.Result, error) { return c.session.ExecContext(ctx, packet, nil) }
		if _, err = timed(c, c.selection.statement, use); err == nil {
			c.selection.statement = ""
			answer, err = timed(c, question, ask)
		}
	}
	if err == nil {
		c.selection.statement = ""
	}
	return answer, err
}

func timed[T any](c *guardedConn, packet string, ask func(packet string) (T, error)) (T, error) {
	defer c.timed(packet, time.Now())
	return guard(c, func() (T, error) { return ask(packet) })
}

// maxStatement is how much of a statement is shown: one about all tables names each.
const maxStatement = 500

func (c *guardedConn) timed(query string, started time.Time) {
	query = strings.Join(strings.Fields(query), " ")
	if len(query) > maxStatement {
		query = strings.ToValidUTF8(query[:maxStatement], "") + "…"
	}
	c.debug("Asked over MySQL, with an answer after %s: %s", time.Since(started).Round(time.Millisecond), query)
}

// ResetSession implements driver.SessionResetter.
func (c *guardedConn) ResetSession(ctx context.Context) error {
	c.selection.statement = "" // of a question that failed
	return guardError(c, func() error { return c.session.ResetSession(ctx) })
}

// IsValid implements driver.Validator.
func (c *guardedConn) IsValid() bool { return !c.broken && c.session.IsValid() }

// CheckNamedValue implements driver.NamedValueChecker.
func (c *guardedConn) CheckNamedValue(v *driver.NamedValue) error {
	return c.session.CheckNamedValue(v)
}

// Close implements driver.Conn.
func (c *guardedConn) Close() error {
	c.broken = false // the driver ends its own goroutine now
	return guardError(c, c.session.Close)
}

// Prepare implements driver.Conn. Values go into the statement's text (newConfig).
func (c *guardedConn) Prepare(string) (driver.Stmt, error) { return nil, errors.ErrUnsupported }

// Begin implements driver.Conn.
func (c *guardedConn) Begin() (driver.Tx, error) { return nil, errors.ErrUnsupported }

// guardedRows are an answer's rows.
type guardedRows struct {
	conn  *guardedConn
	inner driver.Rows
}

// Columns implements driver.Rows.
func (r *guardedRows) Columns() []string { return r.inner.Columns() }

// Next implements driver.Rows.
func (r *guardedRows) Next(into []driver.Value) error {
	return guardError(r.conn, func() error { return r.inner.Next(into) })
}

// Close implements driver.Rows.
func (r *guardedRows) Close() error { return guardError(r.conn, r.inner.Close) }

// HasNextResultSet implements driver.RowsNextResultSet.
func (r *guardedRows) HasNextResultSet() bool {
	more, ok := r.inner.(driver.RowsNextResultSet)
	return ok && more.HasNextResultSet()
}

// NextResultSet implements driver.RowsNextResultSet.
func (r *guardedRows) NextResultSet() error {
	return guardError(r.conn, func() error { return r.inner.(driver.RowsNextResultSet).NextResultSet() })
}

// maxText is how many bytes of an error's text, which may be the server's, are kept.
const maxText = 1000

// shorten bounds an error's text; it stays what it is for errors.Is and errors.As.
func shorten(err error) error {
	if err == nil || len(err.Error()) <= maxText {
		return err
	}
	return &short{err}
}

type short struct{ cause error }

func (s *short) Error() string {
	text := s.cause.Error()
	end := maxText - len("… (1000000 bytes)")
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return fmt.Sprintf("%s… (%d bytes)", text[:end], len(text))
}

func (s *short) Unwrap() error { return s.cause }

// dialer is the driver's way to the server, through sockets that count.
func dialer(
	dial func(ctx context.Context, network, addr string) (net.Conn, error),
) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		s := newSocket(conn)
		if place, ok := ctx.Value(socketKey{}).(**socket); ok {
			*place = s
		}
		return s.forDriver(), nil
	}
}
