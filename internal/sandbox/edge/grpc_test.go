package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mostynb/go-grpc-compression/snappy"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	testUser     = "sandbox"
	testPassword = "p@ss:/+ %word"
	testMessage  = 5 << 20 // beyond gRPC's default of 4 MiB
)

// behind is a gRPC server in place of vtgate: it sends each message
// back, except for "fail" and "hang", which it obeys.
type behind struct {
	metadata chan metadata.MD // of each call
	ended    chan error       // why the hanging call ended
}

func (b *behind) serve(stream grpc.ServerStream) error {
	md, _ := metadata.FromIncomingContext(stream.Context())
	b.metadata <- md
	stream.SetTrailer(metadata.Pairs("trailer", "kept"))
	for count := 0; ; count++ {
		var message wrapperspb.StringValue
		if err := stream.RecvMsg(&message); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		switch message.Value {
		case "fail":
			failed, err := status.New(codes.FailedPrecondition, "told to fail").WithDetails(durationpb.New(time.Minute))
			if err != nil {
				return err
			}
			return failed.Err()
		case "hang":
			if err := stream.SendMsg(&message); err != nil {
				return err
			}
			<-stream.Context().Done()
			b.ended <- stream.Context().Err()
			return stream.Context().Err()
		}
		if count == 0 {
			if err := stream.SetHeader(metadata.Pairs("header", "kept")); err != nil {
				return err
			}
		}
		if err := stream.SendMsg(&message); err != nil {
			return err
		}
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// startGRPC runs an edge in front of a behind and returns the edge's address.
func startGRPC(t *testing.T) (string, *behind, *x509.CertPool) {
	t.Helper()
	b := &behind{metadata: make(chan metadata.MD, 10), ended: make(chan error, 1)}
	server := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error { return b.serve(stream) }),
		grpc.MaxRecvMsgSize(4*testMessage)) // the edge refuses first
	back, front := listen(t), listen(t)
	go func() { _ = server.Serve(back) }()
	t.Cleanup(server.Stop)
	certificate, pool := testCertificate(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	config := Config{Username: testUser, Password: testPassword, PlainGRPC: back.Addr().String(), MaxMessage: 2 * testMessage}
	go func() {
		done <- serveGRPC(ctx, front, &tls.Config{Certificates: []tls.Certificate{certificate}}, config)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the edge ended with %v", err)
		}
	})
	return front.Addr().String(), b, pool
}

func dial(t *testing.T, addr string, pool *x509.CertPool) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(pool, "localhost")),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(2*testMessage)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func basic(password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(testUser+":"+password))
}

// call opens a stream of an arbitrary method with the correct password.
func call(ctx context.Context, t *testing.T, conn *grpc.ClientConn, options ...grpc.CallOption) grpc.ClientStream {
	t.Helper()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", basic(testPassword), "caller", "kept")
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/any.Service/Method", options...)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestGRPCDemandsPassword(t *testing.T) {
	for name, test := range map[string]struct {
		headers []string
		want    codes.Code
	}{
		"none":           {nil, codes.Unauthenticated},
		"wrong password": {[]string{"authorization", basic("guess")}, codes.Unauthenticated},
		"other scheme":   {[]string{"authorization", strings.Replace(basic(testPassword), "Basic", "Bearer", 1)}, codes.Unauthenticated},
		"not base64":     {[]string{"authorization", "Basic " + testUser + ":" + testPassword}, codes.Unauthenticated},
		"right":          {[]string{"authorization", basic(testPassword)}, codes.OK},
	} {
		t.Run(name, func(t *testing.T) {
			addr, b, pool := startGRPC(t)
			conn := dial(t, addr, pool)
			ctx := metadata.AppendToOutgoingContext(testContext(t), test.headers...)
			var answer wrapperspb.StringValue
			err := conn.Invoke(ctx, "/any.Service/Method", wrapperspb.String("hello"), &answer)
			if got := status.Code(err); got != test.want {
				t.Fatalf("got %v (%v), want %v", got, err, test.want)
			}
			if reached := len(b.metadata) > 0; reached != (test.want == codes.OK) {
				t.Errorf("the call reached vtgate: %v", reached)
			}
		})
	}
}

func TestGRPCCarriesMessages(t *testing.T) {
	addr, b, pool := startGRPC(t)
	conn := dial(t, addr, pool)
	for _, compressor := range []string{"", gzip.Name, snappy.Name} {
		t.Run("compressor "+compressor, func(t *testing.T) {
			var options []grpc.CallOption
			if compressor != "" {
				options = append(options, grpc.UseCompressor(compressor))
			}
			stream := call(testContext(t), t, conn, options...)
			for _, want := range []string{"one", "two", strings.Repeat("x", testMessage)} {
				if err := stream.SendMsg(wrapperspb.String(want)); err != nil {
					t.Fatal(err)
				}
				var got wrapperspb.StringValue
				if err := stream.RecvMsg(&got); err != nil {
					t.Fatal(err)
				}
				if got.Value != want {
					t.Errorf("got %d bytes back that differ from the %d sent", len(got.Value), len(want))
				}
			}
			header, err := stream.Header()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"kept"}, header.Get("header")); diff != "" {
				t.Errorf("header: %s", diff)
			}
			md := <-b.metadata
			if diff := cmp.Diff([]string{"kept"}, md.Get("caller")); diff != "" {
				t.Errorf("metadata behind the edge: %s", diff)
			}
			if got := md.Get("authorization"); got != nil {
				t.Errorf("vtgate sees the password's header")
			}
		})
	}
}

func TestGRPCCarriesErrors(t *testing.T) {
	addr, _, pool := startGRPC(t)
	stream := call(testContext(t), t, dial(t, addr, pool))
	if err := stream.SendMsg(wrapperspb.String("fail")); err != nil {
		t.Fatal(err)
	}
	err := stream.RecvMsg(&wrapperspb.StringValue{})
	got := status.Convert(err)
	if got.Code() != codes.FailedPrecondition || got.Message() != "told to fail" {
		t.Errorf("got %v, want the server's error", err)
	}
	if diff := cmp.Diff([]any{durationpb.New(time.Minute)}, got.Details(), protocmp.Transform()); diff != "" {
		t.Errorf("details: %s", diff)
	}
	if diff := cmp.Diff([]string{"kept"}, stream.Trailer().Get("trailer")); diff != "" {
		t.Errorf("trailer: %s", diff)
	}
	if header, err := stream.Header(); err != nil || len(header) != 0 {
		t.Errorf("got header %v (%v), want none: the server sent only a trailer", header, err)
	}
}

func TestGRPCRefusesTooLargeMessages(t *testing.T) {
	addr, _, pool := startGRPC(t)
	stream := call(testContext(t), t, dial(t, addr, pool))
	if err := stream.SendMsg(wrapperspb.String(strings.Repeat("x", 2*testMessage+1))); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(&wrapperspb.StringValue{}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("got %v, want ResourceExhausted", err)
	}
}

func TestGRPCCarriesCancellation(t *testing.T) {
	addr, b, pool := startGRPC(t)
	ctx, cancel := context.WithCancel(testContext(t))
	stream := call(ctx, t, dial(t, addr, pool))
	if err := stream.SendMsg(wrapperspb.String("hang")); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(&wrapperspb.StringValue{}); err != nil { // now it hangs
		t.Fatal(err)
	}
	cancel()
	select {
	case <-b.ended:
	case <-testContext(t).Done():
		t.Fatal("the server's call continues after the client's was cancelled")
	}
}

func TestGRPCSpeaksALPN(t *testing.T) {
	addr, _, pool := startGRPC(t)
	conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"http/1.1", "h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Errorf("negotiated %q, want h2", got)
	}
}
