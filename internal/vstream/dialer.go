package vstream

import (
	"context"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// dialer dials for gRPC, and keeps why it last failed: gRPC keeps only the text of its dialer's errors.
type dialer struct {
	dial func(ctx context.Context, network, addr string) (net.Conn, error)

	mu  sync.Mutex
	err error // nil when the last attempt succeeded
}

func (d *dialer) dialContext(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := d.dial(ctx, "tcp", addr)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
	return conn, err
}

// explain is a grpc.StreamClientInterceptor that puts the dialer's error beside that of a stream that could not be opened.
func (d *dialer) explain(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := open(ctx, desc, conn, method, options...)
	if status.Code(err) != codes.Unavailable {
		return stream, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return nil, &undialled{d.err}
	}
	return stream, err
}

// undialled is the error of a stream for which there was no connection.
type undialled struct{ cause error }

func (e *undialled) Error() string { return e.cause.Error() }
func (e *undialled) Unwrap() error { return e.cause }
