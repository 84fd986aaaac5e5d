package vstream

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"source-planetscale/internal/crash"
)

// connection is the connection of one stream. Each has its own, so that what arrives over it belongs to the stream: gRPC passes on a
// message once it is complete, which for a large one takes minutes over a slow line. Nor does it have to wait behind another stream's
// message this way.
type connection struct {
	*grpc.ClientConn
	dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	received atomic.Int64 // bytes
	turn     *turn

	// err is why the dialer last failed, nil if it succeeded: gRPC keeps only the text of its errors.
	mu  sync.Mutex
	err error
}

// maxAhead is how many connections are opened ahead at most. Those of MySQL come on top, and an SSH server drops some if more than 10 log
// in at a time (MaxStartups).
const maxAhead = 4

// Ahead opens connections for that many streams that are opened next: over a distance each takes several round trips, during which other
// queries can run. A failure shows up again later.
func (c *Client) Ahead(n int) {
	c.Close() // those of the last time may have failed
	for range min(n, maxAhead) {
		conn, err := c.newConnection()
		if err != nil {
			return
		}
		conn.Connect()
		select {
		case c.spare <- conn:
		default:
			_ = conn.Close() // nobody can use it
		}
	}
}

// Close closes the connections that were opened ahead and not used. Streams are closed by themselves.
func (c *Client) Close() {
	for {
		select {
		case conn := <-c.spare:
			_ = conn.Close() // only reports that it is closed
		default:
			return
		}
	}
}

// connect takes a connection that was opened ahead, or prepares one, which is opened when first used.
func (c *Client) connect() (*connection, error) {
	select {
	case conn := <-c.spare:
		return conn, nil
	default:
		return c.newConnection()
	}
}

func (c *Client) newConnection() (*connection, error) {
	conn := &connection{dial: c.cfg.Dial.DialContext, turn: &turn{all: c.turn}}
	options := append(slices.Clone(c.options), grpc.WithContextDialer(conn.dialContext), grpc.WithStreamInterceptor(conn.explain),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec{c.buffers, conn.turn})),
		//lint:ignore SA1019 see there
		grpc.WithDecompressor(decompressor{c.buffers, conn.turn})) //nolint:staticcheck // see there
	var err error
	// The name is resolved by the dialer, which may be at the other end of a tunnel.
	if conn.ClientConn, err = grpc.NewClient("passthrough:///"+c.cfg.Dial.GRPCAddr(), options...); err != nil {
		return nil, fmt.Errorf("preparing the gRPC connection to %s: %w", c.cfg.Dial.GRPCAddr(), err)
	}
	return conn, nil
}

func (c *connection) dialContext(ctx context.Context, addr string) (net.Conn, error) {
	var conn net.Conn
	err := crash.Guard(func() (err error) { // in a goroutine of gRPC's
		conn, err = c.dial(ctx, "tcp", addr)
		return err
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err = err; err != nil {
		return nil, err
	}
	return &counted{conn, &c.received}, nil
}

// counted counts the bytes that are read.
type counted struct {
	net.Conn
	received *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.received.Add(int64(n))
	return n, err
}

// explain is a grpc.StreamClientInterceptor that adds the dialer's error to that of a stream that could not be opened.
func (c *connection) explain(
	ctx context.Context,
	desc *grpc.StreamDesc,
	conn *grpc.ClientConn,
	method string,
	open grpc.Streamer,
	options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	stream, err := open(ctx, desc, conn, method, options...)
	if status.Code(err) != codes.Unavailable {
		return stream, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, &undialled{c.err}
	}
	return stream, err
}

// undialled is the error of a stream without a connection.
type undialled struct{ cause error }

func (e *undialled) Error() string { return e.cause.Error() }
func (e *undialled) Unwrap() error { return e.cause }
