package main

import (
	"context"
	"encoding/gob"
	"fmt"
	"os"
	"slices"

	"github.com/mostynb/go-grpc-compression/snappy"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"
)

// vstreamMethod is the RPC.
const vstreamMethod = "/vtgateservice.Vitess/VStream"

// recording is a VStream as vtgate sent it.
type recording struct {
	Stream   drainStream
	Keyspace string
	// Frames are the responses, as bytes. Those from Loop[0] to before Loop[1] are whole transactions (or whole batches of
	// a copy), which can be played again and again.
	Frames [][]byte
	Loop   [2]int
	// Rows in the frames before the loop, in it, and after it.
	Rows [3]int
	// Current is the answer to a query for the current position: what MySQL had executed once everything was recorded. The last position
	// in the frames is the same, as if everything in between were changes of other tables.
	Current string
}

// end uses a position as the one where the stream ends. Without it the replay would lag behind the MySQL next to it as soon as that
// executed anything more, for which the connector queries the tables again.
func (r *recording) end(position string) error {
	for i := len(r.Frames) - 1; i >= r.Loop[1]; i-- {
		var response vtgatepb.VStreamResponse
		if err := response.UnmarshalVT(r.Frames[i]); err != nil {
			return err
		}
		for _, ev := range slices.Backward(response.Events) {
			if ev.Type != binlogdatapb.VEventType_VGTID {
				continue
			}
			r.Current, ev.Vgtid.ShardGtids[0].Gtid = position, position
			var err error
			r.Frames[i], err = response.MarshalVT()
			return err
		}
	}
	return fmt.Errorf("the stream of table %s has no position after its loop", r.Stream.Table)
}

// total is the number of rows when the loop is played so often.
func (r *recording) total(loops int) int { return r.Rows[0] + loops*r.Rows[1] + r.Rows[2] }

// recorder follows a stream while it is recorded.
type recorder struct {
	rec        *recording
	rows       int   // so far
	boundaries []int // frames that end with a COMMIT
	rowsAt     []int // so far, at each of them
	done       bool
}

// record receives one stream of a real vtgate.
func record(ctx context.Context, addr, keyspace string, s drainStream) (*recording, error) {
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(100<<20), grpc.ForceCodecV2(rawCodec{}), grpc.UseCompressor(snappy.Name)))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rpc, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, vstreamMethod)
	if err != nil {
		return nil, err
	}
	asked, err := request(keyspace, s, true).MarshalVT()
	if err != nil {
		return nil, err
	}
	if err := rpc.SendMsg(&asked); err != nil {
		return nil, err
	}
	if err := rpc.CloseSend(); err != nil {
		return nil, err
	}
	r := &recorder{rec: &recording{Stream: s, Keyspace: keyspace}}
	for !r.done {
		var frame []byte
		if err := rpc.RecvMsg(&frame); err != nil {
			return nil, fmt.Errorf("recording table %s: %w", s.Table, err)
		}
		if err := r.add(frame); err != nil {
			return nil, err
		}
	}
	return r.rec, r.findLoop()
}

func (r *recorder) add(frame []byte) error {
	var response vtgatepb.VStreamResponse
	if err := response.UnmarshalVT(frame); err != nil {
		return err
	}
	r.rec.Frames = append(r.rec.Frames, frame)
	last := binlogdatapb.VEventType_UNKNOWN
	for _, ev := range response.Events {
		last = ev.Type
		switch ev.Type {
		case binlogdatapb.VEventType_ROW:
			r.rows += len(ev.RowEvent.RowChanges)
		case binlogdatapb.VEventType_COPY_COMPLETED:
			r.done = true
		}
	}
	if last == binlogdatapb.VEventType_COMMIT {
		r.boundaries, r.rowsAt = append(r.boundaries, len(r.rec.Frames)), append(r.rowsAt, r.rows)
		r.done = r.done || r.rec.Stream.From != "" && r.rows >= r.rec.Stream.Rows
	}
	return nil
}

// findLoop puts the loop between the first boundary that has rows before it, and the last that has rows after it.
func (r *recorder) findLoop() error {
	first, last := -1, -1
	for i, rows := range r.rowsAt {
		if rows > 0 && first < 0 {
			first = i
		}
		if rows < r.rows {
			last = i
		}
	}
	if first < 0 || last <= first {
		return fmt.Errorf("the stream of table %s is too short to be replayed: %d frames", r.rec.Stream.Table, len(r.rec.Frames))
	}
	r.rec.Loop = [2]int{r.boundaries[first], r.boundaries[last]}
	r.rec.Rows = [3]int{r.rowsAt[first], r.rowsAt[last] - r.rowsAt[first], r.rows - r.rowsAt[last]}
	return nil
}

// record records the workload's stream into a file, and returns the rows and the bytes that its replay gives.
func (b *bench) record(ctx context.Context, path string, w *workload, s drainStream) (rows int, size int64, err error) {
	r, err := record(ctx, b.sandbox.PlainGRPC, w.keyspace(), s)
	if err != nil {
		return 0, 0, err
	}
	position, err := b.position(ctx, w.keyspace(), s.Shard)
	if err != nil {
		return 0, 0, err
	}
	if err := r.end(position); err != nil {
		return 0, 0, err
	}
	for i, frame := range r.Frames {
		times := 1
		if i >= r.Loop[0] && i < r.Loop[1] {
			times = w.loops
		}
		size += int64(times * len(frame))
	}
	return r.total(w.loops), size, r.save(path)
}

func (r *recording) save(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return gob.NewEncoder(f).Encode(r)
}

func loadRecording(path string) (*recording, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := &recording{}
	return r, gob.NewDecoder(f).Decode(r)
}
