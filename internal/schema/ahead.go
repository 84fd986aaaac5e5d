package schema

import (
	"context"
	"database/sql/driver"
	"net"
	"sync/atomic"
	"time"

	"source-planetscale/internal/crash"
)

// freshness is how long a connection that was made ahead may wait for its use. Servers end idle ones, at the soonest after minutes.
const freshness = 30 * time.Second

// connector makes the connections of a pool. Once the first login has succeeded it makes the others ahead: from far away each takes
// several round trips, and questions that are asked side by side need them at the same time. Only one login is tried before: a server may
// lock out whoever is mistaken in the password several times.
type connector struct {
	guarded
	dials   *dials       // may be nil
	pending atomic.Int32 // of those that are made ahead, how many nobody has asked for
	made    chan made
	end     context.CancelFunc // of those that are still being made
}

// made is a connection that was made ahead, or why it could not be.
type made struct {
	conn driver.Conn
	err  error
	at   time.Time
}

// ahead makes so many connections.
func (c *connector) ahead(n int) {
	ctx, cancel := context.WithTimeout(context.Background(), loginTimeout)
	c.end = cancel
	c.made = make(chan made, n)
	c.pending.Store(int32(n))
	for range n {
		go func() {
			var m made
			m.err = crash.Guard(func() (err error) {
				m.conn, err = c.guarded.Connect(ctx)
				return err
			})
			m.at = time.Now()
			c.made <- m
		}()
	}
}

// Connect implements driver.Connector.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	for c.pending.Load() > 0 && c.pending.Add(-1) >= 0 {
		select {
		case m := <-c.made:
			if m.err == nil && time.Since(m.at) < freshness && alive(ctx, m.conn) {
				return m.conn, nil
			}
			if m.conn != nil {
				_ = m.conn.Close() // it is of no use
			}
		case <-ctx.Done():
			c.pending.Add(1)
			return nil, ctx.Err()
		}
	}
	return c.guarded.Connect(ctx)
}

// alive reports whether a connection was not cut while nobody used it. The pool asks that of those that it has had before.
func alive(ctx context.Context, conn driver.Conn) bool {
	r, ok := conn.(driver.SessionResetter)
	return !ok || r.ResetSession(ctx) == nil
}

// Close implements io.Closer, for the pool.
func (c *connector) Close() error {
	if c.end != nil {
		c.end()
	}
	if c.dials != nil {
		c.dials.close()
	}
	for c.pending.Add(-1) >= 0 {
		if m := <-c.made; m.conn != nil {
			_ = m.conn.Close() // which nobody has used
		}
	}
	return nil
}

// dials are TCP connections that are made at once, before the first login, which they do not wait for.
type dials struct {
	dial    dialFunc
	pending atomic.Int32 // nobody has asked for
	made    chan dialled
	end     context.CancelFunc
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// dialled is a TCP connection, or why it could not be made.
type dialled struct {
	conn net.Conn
	err  error
	at   time.Time
}

// dialAhead makes so many connections to an address.
func dialAhead(n int, addr string, dial dialFunc) *dials {
	ctx, cancel := context.WithTimeout(context.Background(), loginTimeout)
	d := &dials{dial: dial, made: make(chan dialled, n), end: cancel}
	d.pending.Store(int32(n))
	for range n {
		go func() {
			var one dialled
			one.err = crash.Guard(func() (err error) {
				one.conn, err = dial(ctx, "tcp", addr)
				return err
			})
			one.at = time.Now()
			d.made <- one
		}()
	}
	return d
}

// greeted is how long a server may be kept waiting for a login: MySQL's own hangs up after 10 s (connect_timeout).
const greeted = 5 * time.Second

// dialContext takes one of the connections, or makes one when there are none left.
func (d *dials) dialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	if d.pending.Add(-1) < 0 {
		return d.dial(ctx, network, addr)
	}
	select {
	case one := <-d.made:
		switch {
		case one.err != nil:
			return nil, one.err
		case time.Since(one.at) < greeted:
			return one.conn, nil
		}
		_ = one.conn.Close() // it is of no use
		return d.dial(ctx, network, addr)
	case <-ctx.Done():
		d.pending.Add(1)
		return nil, ctx.Err()
	}
}

// close ends those that nobody has used. One that is still being made ends with its context.
func (d *dials) close() {
	d.end()
	for d.pending.Add(-1) >= 0 {
		if one := <-d.made; one.conn != nil {
			_ = one.conn.Close() // which nobody has used
		}
	}
}
