package schema

import (
	"context"
	"database/sql/driver"
	"io"
	"net"
	"sync/atomic"
	"time"

	"source-planetscale/internal/crash"
)

// ahead are connections that are opened before they are needed; a nil ahead has none.
type ahead[C io.Closer] struct {
	pending atomic.Int32 // how many nobody has asked for
	made    chan made[C]
	end     context.CancelFunc // of those that are still being made
}

// made is a connection that was opened ahead, or the reason why it could not be.
type made[C io.Closer] struct {
	conn C
	err  error
	at   time.Time
}

// makeAhead opens that many connections.
func makeAhead[C io.Closer](n int, connect func(context.Context) (C, error)) *ahead[C] {
	ctx, cancel := context.WithTimeout(context.Background(), loginTimeout)
	a := &ahead[C]{made: make(chan made[C], n), end: cancel}
	a.pending.Store(int32(n))
	for range n {
		go func() {
			var m made[C]
			m.err = crash.Guard(func() (err error) {
				m.conn, err = connect(ctx)
				return err
			})
			m.at = time.Now()
			a.made <- m
		}()
	}
	return a
}

// take waits for one of the connections; ok is false when none are left.
func (a *ahead[C]) take(ctx context.Context) (m made[C], ok bool, err error) {
	if !a.claim() {
		return m, false, nil
	}
	select {
	case m = <-a.made:
		return m, true, nil
	case <-ctx.Done():
		a.pending.Add(1)
		return m, false, ctx.Err()
	}
}

// claim reserves one, if one is left. pending never falls below zero: a connection that is returned then would stay open.
func (a *ahead[C]) claim() bool {
	for a != nil {
		n := a.pending.Load()
		if n == 0 {
			break
		}
		if a.pending.CompareAndSwap(n, n-1) {
			return true
		}
	}
	return false
}

// close closes those that were not used. One that is still being opened ends with its context.
func (a *ahead[C]) close() {
	if a != nil {
		a.end()
	}
	for a.claim() {
		if m := <-a.made; m.err == nil {
			_ = m.conn.Close() // which nobody has used
		}
	}
}

// freshness is how long a connection that was opened ahead may wait for its use. Servers close idle ones, at the earliest after minutes.
const freshness = 30 * time.Second

// connector opens the connections of a pool. Once the first login has succeeded, it opens the others ahead: over a distance each takes
// several round trips, and queries that run in parallel need them at the same time. Only one login is attempted before that: a server may
// lock out a client that sends a wrong password several times.
type connector struct {
	guarded
	dials  *ahead[net.Conn]    // that the logins use; may be nil
	logins *ahead[driver.Conn] // nil before the first login
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	for {
		m, ok, err := c.logins.take(ctx)
		switch {
		case err != nil:
			return nil, err
		case !ok:
			return c.guarded.Connect(ctx)
		case m.err != nil:
			continue
		case time.Since(m.at) < freshness && alive(ctx, m.conn):
			return m.conn, nil
		}
		_ = m.conn.Close() // it is of no use
	}
}

// alive reports whether a connection is still open after having been idle. The pool only checks connections that it has used before.
func alive(ctx context.Context, conn driver.Conn) bool {
	r, ok := conn.(driver.SessionResetter)
	return !ok || r.ResetSession(ctx) == nil
}

// Close implements io.Closer, for the pool.
func (c *connector) Close() error {
	c.logins.close()
	c.dials.close()
	return nil
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// greeted is how long a server may wait for a login: MySQL closes the connection after 10 s (connect_timeout).
const greeted = 5 * time.Second

// dialing takes one of the TCP connections that are opened before the first login, which they do not wait for, or dials if none are left.
func dialing(dials *ahead[net.Conn], dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		m, ok, err := dials.take(ctx)
		switch {
		case err != nil:
			return nil, err
		case !ok:
			return dial(ctx, network, addr)
		case m.err != nil:
			return nil, m.err
		case time.Since(m.at) < greeted:
			return m.conn, nil
		}
		_ = m.conn.Close() // it is of no use
		return dial(ctx, network, addr)
	}
}
