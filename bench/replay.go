package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/mostynb/go-grpc-compression/snappy"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"
)

// replay is a vtgate that plays one recording from memory, as fast as gRPC allows. Its messages are neither marshalled nor compressed
// while they are played.
type replay struct {
	rec    *recording
	loops  int
	frames []frame // the recording's
	peek   frame   // the answer to a query for the current position
}

// frame is a response, as its bytes and as snappy.
type frame struct{ plain, snappy []byte }

func newFrame(plain []byte, compressor encoding.Compressor) (frame, error) {
	var out bytes.Buffer
	w, err := compressor.Compress(&out)
	if err != nil {
		return frame{}, err
	}
	_, err = w.Write(plain)
	err = errors.Join(err, w.Close())
	return frame{plain, out.Bytes()}, err
}

// replayMain is the subcommand: `bench replay FILE LOOPS`. It prints its port and serves until its stdin ends.
func replayMain(ctx context.Context, file, loops string) error {
	r := &replay{}
	var err error
	if r.loops, err = strconv.Atoi(loops); err != nil {
		return err
	}
	if r.rec, err = loadRecording(file); err != nil {
		return err
	}
	compressor := encoding.GetCompressor(snappy.Name)
	if err := r.prepare(compressor); err != nil {
		return err
	}
	encoding.RegisterCompressor(precompressed{compressor})
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(rawCodec{}), grpc.UnknownServiceHandler(r.serve), grpc.StatsHandler(compressors{}),
		grpc.MaxSendMsgSize(100<<20), grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second}))
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		server.Stop()
	}()
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	return server.Serve(listener)
}

func (r *replay) prepare(compressor encoding.Compressor) error {
	for _, plain := range r.rec.Frames {
		f, err := newFrame(plain, compressor)
		if err != nil {
			return err
		}
		r.frames = append(r.frames, f)
	}
	gtid := &binlogdatapb.ShardGtid{Keyspace: r.rec.Keyspace, Shard: r.rec.Stream.Shard, Gtid: r.rec.Current}
	peek, err := (&vtgatepb.VStreamResponse{Events: []*binlogdatapb.VEvent{
		{Type: binlogdatapb.VEventType_VGTID, Vgtid: &binlogdatapb.VGtid{ShardGtids: []*binlogdatapb.ShardGtid{gtid}}},
		{Type: binlogdatapb.VEventType_OTHER},
	}}).MarshalVT()
	if err == nil {
		r.peek, err = newFrame(peek, compressor)
	}
	return err
}

// serve answers any RPC; only VStream is known.
func (r *replay) serve(_ any, rpc grpc.ServerStream) error {
	if method, _ := grpc.MethodFromServerStream(rpc); method != vstreamMethod {
		return status.Errorf(codes.Unimplemented, "the replay does not know %s", method)
	}
	var data []byte
	if err := rpc.RecvMsg(&data); err != nil {
		return err
	}
	var request vtgatepb.VStreamRequest
	if err := request.UnmarshalVT(data); err != nil {
		return err
	}
	snappied := *rpc.Context().Value(compressorKey{}).(*string) == snappy.Name
	asked := request.Vgtid.GetShardGtids()
	if len(asked) != 1 || asked[0].Keyspace != r.rec.Keyspace || asked[0].Shard != r.rec.Stream.Shard {
		return status.Errorf(codes.InvalidArgument, "the replay has another shard than was asked for: %v", asked)
	}
	if asked[0].Gtid == "current" {
		return send(rpc, snappied, []frame{r.peek})
	}
	rules, copied := request.Filter.GetRules(), r.rec.Stream.From == ""
	if len(rules) != 1 || rules[0].Match != r.rec.Stream.Table || copied != (asked[0].Gtid == "") || len(asked[0].TablePKs) > 0 {
		return status.Errorf(codes.InvalidArgument, "the replay has the table %s from %q, not what was asked for: %v "+
			"from %v", r.rec.Stream.Table, r.rec.Stream.From, rules, asked)
	}
	parts := [][]frame{r.frames[:r.rec.Loop[0]]}
	for range r.loops {
		parts = append(parts, r.frames[r.rec.Loop[0]:r.rec.Loop[1]])
	}
	return send(rpc, snappied, append(parts, r.frames[r.rec.Loop[1]:])...)
}

// send sends all frames and keeps the RPC open, as vtgate does, which waits for more changes.
func send(rpc grpc.ServerStream, snappied bool, parts ...[]frame) error {
	for _, part := range parts {
		for i := range part {
			data := &part[i].plain
			if snappied {
				data = &part[i].snappy
			}
			if err := rpc.SendMsg(data); err != nil {
				return err
			}
		}
	}
	<-rpc.Context().Done()
	return nil
}

// precompressed passes on what is already compressed.
type precompressed struct{ encoding.Compressor }

// Compress implements encoding.Compressor.
func (precompressed) Compress(w io.Writer) (io.WriteCloser, error) { return asIs{w}, nil }

type asIs struct{ io.Writer }

func (asIs) Close() error { return nil }

// compressors puts the name of a request's compressor, which its response has, too, into the context of the RPC.
type compressors struct{}

type compressorKey struct{}

// TagRPC implements stats.Handler.
func (compressors) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, compressorKey{}, new(string))
}

// HandleRPC implements stats.Handler.
func (compressors) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if header, ok := s.(*stats.InHeader); ok {
		*ctx.Value(compressorKey{}).(*string) = header.Compression
	}
}

// TagConn implements stats.Handler.
func (compressors) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (compressors) HandleConn(context.Context, stats.ConnStats) {}
