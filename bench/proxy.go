package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// proxy passes TCP connections on to a server far away: each byte arrives later by a delay, in both directions, without a limit on the
// bytes in flight. The same goes for opening a connection: a client's first byte waits until it would be connected, and a server that
// speaks first learns about the client as late as with TCP.
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
		accepted := time.Now()
		p.wait.Go(func() { p.serve(ctx, client, accepted) })
	}
}

// ways is how often packets cross the distance before the server has accepted a connection.
const ways = 3

func (p *proxy) serve(ctx context.Context, client net.Conn, accepted time.Time) {
	defer client.Close()
	opened := accepted.Add(ways * p.delay)
	up, down := make(chan chunk, inFlight), make(chan chunk, inFlight)
	var all sync.WaitGroup
	defer all.Wait()
	p.mu.Lock()
	p.conns = append(p.conns, client)
	p.mu.Unlock()
	all.Go(func() { p.take(client, up, opened) })
	time.Sleep(time.Until(opened))
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.server)
	if err != nil {
		client.Close() // as a server that is not there
		return
	}
	defer server.Close()
	p.mu.Lock()
	p.conns = append(p.conns, server)
	p.mu.Unlock()
	all.Go(func() { p.take(server, down, opened) })
	var both sync.WaitGroup
	both.Go(func() { give(server, client, up) })
	both.Go(func() { give(client, server, down) })
	both.Wait()
}

// chunk is what was read at once, and when it arrives.
type chunk struct {
	data []byte
	due  time.Time
}

const (
	chunkBytes = 64 << 10
	// inFlight chunks are far more than a client's windows allow to be sent.
	inFlight = 4096
)

// take reads until the end. What is sent before the connection is opened waits for that.
func (p *proxy) take(from net.Conn, line chan<- chunk, opened time.Time) {
	defer close(line)
	for {
		buf := make([]byte, chunkBytes)
		n, err := from.Read(buf)
		if n > 0 {
			due := time.Now().Add(p.delay)
			if due.Before(opened) {
				due = opened
			}
			line <- chunk{buf[:n], due}
		}
		if err != nil {
			return
		}
	}
}

// give writes when it is time, and reports the end.
func give(to, from net.Conn, line <-chan chunk) {
	for c := range line {
		time.Sleep(time.Until(c.due))
		if _, err := to.Write(c.data); err != nil {
			from.Close() // nobody wants the rest
		}
	}
	_ = to.(*net.TCPConn).CloseWrite() // fails when it is closed already
}

// delay is what the distant vtgate adds in each direction: 40 ms there and back, as between two continents.
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
