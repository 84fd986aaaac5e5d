package edge

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	_ "github.com/mostynb/go-grpc-compression/snappy" // the hosted service accepts snappy and gzip
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// serveGRPC passes every call that carries the password on to the vtgate
// behind, whatever its service and method, until the context ends.
func serveGRPC(ctx context.Context, listener net.Listener, config *tls.Config, c Config) error {
	behind, err := grpc.NewClient("passthrough:///"+c.PlainGRPC,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{}), grpc.MaxCallRecvMsgSize(c.MaxMessage), grpc.MaxCallSendMsgSize(c.MaxMessage)),
		// A vtgate that comes back is found at once, not after gRPC's default
		// of up to two minutes.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1, MaxDelay: 20 * time.Millisecond},
			MinConnectTimeout: time.Second,
		}))
	if err != nil {
		return fmt.Errorf("dialling vtgate: %w", err)
	}
	server := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(config)),
		grpc.ForceServerCodecV2(rawCodec{}),
		grpc.MaxRecvMsgSize(c.MaxMessage), grpc.MaxSendMsgSize(c.MaxMessage),
		// What vtgate itself allows: --grpc-server-keepalive-enforcement-policy-min-time.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second}),
		grpc.UnknownServiceHandler(handler(c, behind)), //nolint:contextcheck // each call has a context of its own
	)
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	return errors.Join(server.Serve(listener), behind.Close())
}

func handler(c Config, behind *grpc.ClientConn) grpc.StreamHandler {
	return func(_ any, front grpc.ServerStream) error {
		if err := authorize(front.Context(), c.Username, c.Password); err != nil {
			return err
		}
		if authority := metadata.ValueFromIncomingContext(front.Context(), ":authority"); c.Name != "" &&
			!slices.Equal(authority, []string{c.Name}) {
			return status.Errorf(codes.NotFound, "no authority %q here", authority)
		}
		return forward(front, behind)
	}
}

// authorize demands the header authorization: Basic base64(user:password).
func authorize(ctx context.Context, username, password string) error {
	want := username + ":" + password
	for _, header := range metadata.ValueFromIncomingContext(ctx, "authorization") {
		scheme, encoded, _ := strings.Cut(header, " ")
		got, err := base64.StdEncoding.DecodeString(encoded)
		if err == nil && strings.EqualFold(scheme, "Basic") && subtle.ConstantTimeCompare(got, []byte(want)) == 1 {
			return nil
		}
	}
	return status.Error(codes.Unauthenticated, "the user name or the password is wrong")
}

// forward carries one call in both directions until either side ends it.
func forward(front grpc.ServerStream, behind *grpc.ClientConn) error {
	method, _ := grpc.MethodFromServerStream(front)
	ctx, cancel := context.WithCancel(outgoing(front.Context()))
	defer cancel()
	back, err := behind.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		return err
	}
	go func() {
		if err := copyMessages(back, front); errors.Is(err, io.EOF) {
			_ = back.CloseSend()
		} else {
			cancel()
		}
	}()
	// An answer that is an error alone has no header.
	if header, err := back.Header(); err == nil && len(header) > 0 {
		if err := front.SendHeader(header); err != nil {
			return err
		}
	}
	err = copyMessages(front, back)
	front.SetTrailer(back.Trailer())
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// outgoing carries the caller's metadata on, without the password and what
// gRPC writes by itself.
func outgoing(ctx context.Context) context.Context {
	incoming, _ := metadata.FromIncomingContext(ctx)
	md := incoming.Copy()
	for key := range md {
		if key == "authorization" || key == "content-type" || key == "user-agent" || strings.HasPrefix(key, ":") ||
			strings.HasPrefix(key, "grpc-") {
			delete(md, key)
		}
	}
	return metadata.NewOutgoingContext(ctx, md)
}

type sender interface{ SendMsg(m any) error }

type receiver interface{ RecvMsg(m any) error }

// copyMessages ends with io.EOF when the receiver's side has ended well.
func copyMessages(to sender, from receiver) error {
	for {
		var message mem.BufferSlice
		if err := from.RecvMsg(&message); err != nil {
			return err
		}
		err := to.SendMsg(&message)
		message.Free()
		if err != nil {
			return err
		}
	}
}

// rawCodec passes the bytes of messages through.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	message, ok := v.(*mem.BufferSlice)
	if !ok {
		return nil, fmt.Errorf("the edge sends raw messages, not %T", v)
	}
	message.Ref()
	return *message, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	message, ok := v.(*mem.BufferSlice)
	if !ok {
		return fmt.Errorf("the edge receives raw messages, not %T", v)
	}
	data.Ref()
	*message = data
	return nil
}
