package e2e

import (
	"context"
	"net"
	"sync"
	"testing"
)

// proxy forwards TCP connections to a server, and can break them.
type proxy struct {
	listener net.Listener
	server   string

	mu    sync.Mutex
	pairs []*pair
	left  int           // bytes that may still be sent to clients while the gate is shut
	gate  chan struct{} // closed while the gate is open
}

// pair is one connection on both sides of the proxy.
type pair struct {
	client, server net.Conn
	frozen         chan struct{} // closed when nothing more may pass

	mu   sync.Mutex
	held chan struct{} // closed when bytes pass again; nil if the connection was never held
}

func newProxy(t *testing.T, server string) *proxy {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, server: server, gate: make(chan struct{})}
	p.open()
	var wait sync.WaitGroup
	wait.Go(func() { p.accept(&wait) })
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		p.open()
		p.forget()
		wait.Wait()
	})
	return p
}

func (p *proxy) port() int { return p.listener.Addr().(*net.TCPAddr).Port }

func (p *proxy) accept(wait *sync.WaitGroup) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.server)
		if err != nil {
			_ = client.Close() // as if there were no server
			continue
		}
		c := &pair{client: client, server: server, frozen: make(chan struct{})}
		p.mu.Lock()
		p.pairs = append(p.pairs, c)
		p.mu.Unlock()
		wait.Go(func() { c.pass(client, server, p.await) })
		wait.Go(func() { c.pass(server, client, func(int) {}) })
	}
}

// shut lets only this many bytes through to clients until open is called, so that no client has everything in its buffers.
func (p *proxy) shut(bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left, p.gate = bytes, make(chan struct{})
}

func (p *proxy) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.gate:
	default:
		close(p.gate)
	}
}

// await returns when this many bytes may pass.
func (p *proxy) await(bytes int) {
	p.mu.Lock()
	p.left -= bytes
	left, gate := p.left, p.gate
	p.mu.Unlock()
	if left < 0 {
		<-gate
	}
}

// pass copies until one side ends, and then closes the other. It calls may before it writes.
func (c *pair) pass(to, from net.Conn, may func(bytes int)) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		may(n)
		if !c.passes() {
			return // the bytes read are lost, and the connections stay open
		}
		if err == nil {
			_, err = to.Write(buf[:n])
		}
		if err != nil {
			_ = to.Close()
			_ = from.Close()
			return
		}
	}
}

// passes waits while the connection is held, and reports whether it is not frozen.
func (c *pair) passes() bool {
	c.mu.Lock()
	held := c.held
	c.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-c.frozen:
		}
	}
	select {
	case <-c.frozen:
		return false
	default:
		return true
	}
}

// hold lets nothing through the existing connections until resume is called, which then forwards what has arrived. It returns how
// many there are, including those that have ended. New ones work.
func (p *proxy) hold() (connections int, resume func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held := make(chan struct{})
	for _, c := range p.pairs {
		c.mu.Lock()
		c.held = held
		c.mu.Unlock()
	}
	return len(p.pairs), sync.OnceFunc(func() { close(held) })
}

// forget closes all connections, including frozen and held ones.
func (p *proxy) forget() {
	p.freeze()
	p.cut()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pairs = nil
}

// cut closes all connections, as a server does.
func (p *proxy) cut() {
	p.each(func(c net.Conn) { _ = c.Close() })
}

// reset closes all connections with an RST, as a firewall does that has forgotten them.
func (p *proxy) reset() {
	p.each(func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() })
}

func (p *proxy) each(end func(net.Conn)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.pairs {
		end(c.client)
		end(c.server)
	}
}

// freeze lets nothing more through the existing connections, as if the other machine had disappeared. New ones
// work.
func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.pairs {
		select {
		case <-c.frozen:
		default:
			close(c.frozen)
		}
	}
}
