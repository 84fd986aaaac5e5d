package schema

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// errAnswer reports that the driver panicked: the server's packet violates the protocol.
var errAnswer = errors.New("the server's answer does not follow MySQL's protocol")

// guarded is the driver, with panics in any call turned into errors, and the server's texts and answers limited. The driver reads packets
// without checking their length: without this, anybody on the network path could end the program, even before TLS.
type guarded struct {
	driver.Connector
	debug debug
	// silent is how often a connection got no answer in time.
	silent *atomic.Int64
}

// debug gets each query and the time until its answer. Statements are our own: they have names of tables, but no values of rows.
type debug func(format string, args ...any)

// socketKey is the context key for the *socket of a connection that is being opened.
type socketKey struct{}

// Connect implements driver.Connector.
func (g guarded) Connect(ctx context.Context) (driver.Conn, error) {
	c := &guardedConn{debug: g.debug, silent: g.silent, opened: g.silent.Load()}
	inner, err := guard(c, func() (driver.Conn, error) {
		return g.Connector.Connect(context.WithValue(ctx, socketKey{}, &c.socket))
	})
	if err != nil {
		return nil, err
	}
	c.session = inner.(session) // which the driver's own documentation says
	return c, nil
}

// session is what is needed of the driver's connections.
type session interface {
	driver.Conn
	driver.Pinger
	driver.QueryerContext
	driver.ExecerContext
	driver.SessionResetter
	driver.Validator
	driver.NamedValueChecker
}

// guardedConn is a connection. Like all connections of database/sql, it is used by one goroutine at a time.
type guardedConn struct {
	session session
	socket  *socket
	broken  bool // by a panic
	// selection is what is to be selected before the next question.
	selection selection
	debug     debug
	// silent is that of all connections, and opened what it was when this one was opened.
	silent *atomic.Int64
	opened int64
}

func (c *guardedConn) hangUp() {
	if c.socket != nil {
		_ = c.socket.Close() // is broken anyway
	}
}

// guard turns a call's panic into an error, which breaks the connection: how much of the answer the driver has read is unknown.
func guard[T any](c *guardedConn, call func() (T, error)) (value T, err error) {
	if c.broken {
		return value, driver.ErrBadConn
	}
	defer func() {
		if recover() != nil { // its text may hold bytes of the packet
			c.broken, err = true, errAnswer
			c.hangUp()
		}
		if c.socket != nil && c.socket.timedOut.Swap(false) {
			c.silent.Add(1)
		}
		if err != nil && c.socket != nil && c.socket.left.Load() < 0 {
			err = errTooMuch
		}
		err = shorten(err)
	}()
	return call()
}

// guardError is guard for calls that return nothing but an error.
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

// ExecContext implements driver.ExecerContext. It selects the target of the queries that follow: USE is sent along with the first of them.
func (c *guardedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if c.selection.keep(query) {
		return driver.ResultNoRows, nil
	}
	return selected(ctx, c, query, func(packet string) (driver.Result, error) { return c.session.ExecContext(ctx, packet, args) })
}

// selected sends a query in the same packet as the pending USE, if there is one. After an error the USE stays pending: it may be what was
// refused, and then the next query has to be refused as well, and must not run on another target.
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

// maxStatement is how much of a statement is shown: a statement about all tables names each of them.
const maxStatement = 500

func (c *guardedConn) timed(query string, started time.Time) {
	query = strings.Join(strings.Fields(query), " ")
	if len(query) > maxStatement {
		query = strings.ToValidUTF8(query[:maxStatement], "") + "…"
	}
	c.debug("Asked over MySQL, with an answer after %s: %s", time.Since(started).Round(time.Millisecond), query)
}

// ResetSession implements driver.SessionResetter. A connection is not used again if another one got no answer since it was opened: the
// same may have happened to both, and each would be noticed only after answerTimeout. What its next user asks is limited as a whole: a list
// that is read page by page only ends when the server says so.
func (c *guardedConn) ResetSession(ctx context.Context) error {
	if c.opened != c.silent.Load() {
		return driver.ErrBadConn
	}
	c.selection.statement = "" // of a question that failed
	if c.socket != nil {
		c.socket.left.Store(maxAnswer)
	}
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

// Prepare implements driver.Conn. Values are written into the statement's text (newConfig).
func (c *guardedConn) Prepare(string) (driver.Stmt, error) { return nil, errors.ErrUnsupported }

// Begin implements driver.Conn.
func (c *guardedConn) Begin() (driver.Tx, error) { return nil, errors.ErrUnsupported }

// guardedRows are the rows of an answer.
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

// maxText is how many bytes of an error's text, which may come from the server, are kept.
const maxText = 1000

// shorten limits an error's text; errors.Is and errors.As still work on it.
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

// dialer is how the driver connects to the server, through sockets that count bytes.
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
