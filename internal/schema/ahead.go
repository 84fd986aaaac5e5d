package schema

import (
	"context"
	"database/sql/driver"
	"sync/atomic"
	"time"

	"source-planetscale/internal/crash"
)

// freshness is how long a connection that was made ahead may wait for its use. Servers end idle ones, at the soonest after minutes.
const freshness = 30 * time.Second

// connector makes the connections of a pool. Once the first login has succeeded it makes the others ahead: from far away each takes
// several round trips, and questions that are asked side by side need them at the same time.
type connector struct {
	guarded
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
			if m.err == nil && time.Since(m.at) < freshness {
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

// Close implements io.Closer, for the pool.
func (c *connector) Close() error {
	if c.end != nil {
		c.end()
	}
	for c.pending.Add(-1) >= 0 {
		if m := <-c.made; m.conn != nil {
			_ = m.conn.Close() // which nobody has used
		}
	}
	return nil
}
