package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// proxy passes TCP connections on to a server far away: each byte arrives so much later, in both directions, with as many
// bytes on their way as are sent.
type proxy struct {
	listener net.Listener
	server   string
	delay    time.Duration // each way

	mu    sync.Mutex
	conns []net.Conn
	wait  sync.WaitGroup
}

// newProxy listens on a free port of the loopback interface.
func newProxy(ctx context.Context, server string, delay time.Duration) (*proxy, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the proxy before %s: %w", server, err)
	}
	p := &proxy{listener: listener, server: server, delay: delay}
	p.wait.Go(func() { p.accept(ctx) })
	return p, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// close ends all connections.
func (p *proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	for _, c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.wait.Wait()
}

func (p *proxy) accept(ctx context.Context) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.server)
		if err != nil {
			client.Close() // as a server that is not there
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		p.wait.Go(func() {
			var both sync.WaitGroup
			both.Go(func() { p.pass(client, server) })
			both.Go(func() { p.pass(server, client) })
			both.Wait()
			client.Close()
			server.Close()
		})
	}
}

// chunk is what was read at once, and when it arrives.
type chunk struct {
	data []byte
	due  time.Time
}

const (
	chunkBytes = 64 << 10
	// inFlight chunks are far more than what a client's windows let be sent.
	inFlight = 4096
)

// pass copies until one side ends, which it tells the other after the delay.
func (p *proxy) pass(to, from net.Conn) {
	line := make(chan chunk, inFlight)
	var writer sync.WaitGroup
	writer.Go(func() {
		for c := range line {
			time.Sleep(time.Until(c.due))
			if _, err := to.Write(c.data); err != nil {
				from.Close() // nobody wants the rest
			}
		}
		_ = to.(*net.TCPConn).CloseWrite() // fails when it is closed already
	})
	defer writer.Wait()
	defer close(line)
	for {
		buf := make([]byte, chunkBytes)
		n, err := from.Read(buf)
		if n > 0 {
			line <- chunk{buf[:n], time.Now().Add(p.delay)}
		}
		if err != nil {
			return
		}
	}
}

// delay is what the distant vtgate adds to each way: 40 ms there and back, as from one continent to the next.
const delay = 20 * time.Millisecond

// distant is the endpoint behind proxies that add the delay. Call done at the end.
func distant(ctx context.Context, at endpoint) (far endpoint, done func(), err error) {
	mysql, err := newProxy(ctx, at.mysql, delay)
	if err != nil {
		return endpoint{}, nil, err
	}
	grpc, err := newProxy(ctx, at.grpc, delay)
	if err != nil {
		mysql.close()
		return endpoint{}, nil, err
	}
	return endpoint{mysql: mysql.addr(), grpc: grpc.addr()}, func() { mysql.close(); grpc.close() }, nil
}
