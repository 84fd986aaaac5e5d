package dial

import (
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// tunnelled is a connection through a tunnel of its own. SSH channels have no deadlines: one that passes closes it.
type tunnelled struct {
	net.Conn // a channel
	client   *ssh.Client

	reads, writes deadline
}

func newTunnelled(channel net.Conn, client *ssh.Client) *tunnelled {
	hangUp := func() { _ = client.Close() }
	return &tunnelled{Conn: channel, client: client, reads: deadline{passes: hangUp}, writes: deadline{passes: hangUp}}
}

// Read implements net.Conn.
func (c *tunnelled) Read(p []byte) (int, error) {
	return c.reads.limit(func() (int, error) { return c.Conn.Read(p) })
}

// Write implements net.Conn.
func (c *tunnelled) Write(p []byte) (int, error) {
	return c.writes.limit(func() (int, error) { return c.Conn.Write(p) })
}

// Close also closes the tunnel.
func (c *tunnelled) Close() error { return c.client.Close() }

// SetDeadline implements net.Conn.
func (c *tunnelled) SetDeadline(at time.Time) error {
	c.reads.set(at)
	c.writes.set(at)
	return nil
}

// SetReadDeadline implements net.Conn.
func (c *tunnelled) SetReadDeadline(at time.Time) error {
	c.reads.set(at)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *tunnelled) SetWriteDeadline(at time.Time) error {
	c.writes.set(at)
	return nil
}

// deadline limits calls as a socket's deadline does: those that are under way when it passes, and those that come later. If there are
// none, nothing happens, and it can still be moved: the MySQL driver sets one before each call, and leaves it behind on a connection
// that is idle.
type deadline struct {
	passes func() // ends the calls under way

	mu    sync.Mutex
	at    time.Time // zero: there is none
	calls int       // under way
	timer *time.Timer
	ended bool // passes was called
}

func (d *deadline) set(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = at
	d.arm()
}

// limit makes a call.
func (d *deadline) limit(call func() (int, error)) (int, error) {
	d.count(1)
	n, err := call()
	if d.count(-1) && err != nil {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// count changes the number of calls under way, and returns whether some were ended.
func (d *deadline) count(more int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls += more
	d.arm()
	return d.ended
}

func (d *deadline) arm() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.calls > 0 && !d.at.IsZero() {
		d.timer = time.AfterFunc(time.Until(d.at), d.pass)
	}
}

// pass is called when there may be calls that last too long: a timer that was stopped too late can be told by the time.
func (d *deadline) pass() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.calls > 0 && !d.at.IsZero() && !time.Now().Before(d.at) {
		d.ended = true
		d.passes()
	}
}
