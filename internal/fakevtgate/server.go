// Package fakevtgate is an in-process VTGate for faults that a real one cannot be made to show: it plays scripted VStream events over a
// real gRPC connection. Tests only.
package fakevtgate

import (
	"context"
	"fmt"
	"net"
	"sync"

	_ "github.com/mostynb/go-grpc-compression/snappy" // the client compresses
	"google.golang.org/grpc"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"
	"vitess.io/vitess/go/vt/proto/vtgateservice"
)

// Stream answers one VStream RPC: send sends one response, and the result of Stream ends the RPC. It may wait with <-done for the client
// to leave.
type Stream func(r *vtgatepb.VStreamRequest, send func(...*binlogdatapb.VEvent), done <-chan struct{}) error

// Server is a fake VTGate. Close it.
type Server struct {
	vtgateservice.UnimplementedVitessServer
	grpc     *grpc.Server
	listener net.Listener

	mu       sync.Mutex
	stream   Stream
	requests []*vtgatepb.VStreamRequest
}

// Start listens on a free port of the loopback interface.
func Start(stream Stream) (*Server, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the fake vtgate: %w", err)
	}
	s := &Server{grpc: grpc.NewServer(), listener: listener, stream: stream}
	vtgateservice.RegisterVitessServer(s.grpc, s)
	go func() { _ = s.grpc.Serve(listener) }() // ends with Close
	return s, nil
}

// Close ends all streams.
func (s *Server) Close() { s.grpc.Stop() }

// Port is where the server listens on 127.0.0.1.
func (s *Server) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// Requests returns the requests so far.
func (s *Server) Requests() []*vtgatepb.VStreamRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*vtgatepb.VStreamRequest(nil), s.requests...)
}

// VStream implements vtgateservice.VitessServer.
func (s *Server) VStream(r *vtgatepb.VStreamRequest, rpc vtgateservice.Vitess_VStreamServer) error {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	s.mu.Unlock()
	var failed error
	err := s.stream(r, func(events ...*binlogdatapb.VEvent) {
		if failed == nil {
			failed = rpc.Send(&vtgatepb.VStreamResponse{Events: events})
		}
	}, rpc.Context().Done())
	if err != nil {
		return err
	}
	return failed
}
