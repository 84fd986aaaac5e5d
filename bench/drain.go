package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"sync/atomic"

	"github.com/mostynb/go-grpc-compression/snappy"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	topodatapb "vitess.io/vitess/go/vt/proto/topodata"
	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"
	"vitess.io/vitess/go/vt/proto/vtgateservice"
)

// drainJob is what a drain receives: the streams that the connector opens for the same work, with the same flags.
type drainJob struct {
	Addr     string        `json:"addr"`
	Keyspace string        `json:"keyspace"`
	Streams  []drainStream `json:"streams"`
	// Concurrency is how many streams run at the same time, at most two of them on one shard, as in the connector.
	Concurrency int     `json:"concurrency"`
	Options     options `json:"options"`
}

// drainStream is one VStream: the copy of a table, or its changes from a position.
type drainStream struct {
	Shard string `json:"shard"`
	Table string `json:"table"`
	// Columns is the select list.
	Columns string `json:"columns"`
	// From is empty for a copy, which ends by itself; changes end after that many rows.
	From string `json:"from,omitempty"`
	Rows int    `json:"rows,omitempty"`
	// Bytes of messages are the end of a raw drain that knows them.
	Bytes int64 `json:"bytes,omitempty"`
}

// options of the client; the zero value is what the connector does.
type options struct {
	KeyspaceInName bool   `json:"keyspace_in_name,omitempty"` // leave exclude_keyspace_from_table_name off
	Compressor     string `json:"compressor,omitempty"`       // snappy, unless it is "none"
	Window         int32  `json:"window,omitempty"`           // of HTTP/2's flow control, in bytes; 0 for the connector's, -1 for gRPC's own choice
	ReadBuffer     int    `json:"read_buffer,omitempty"`      // in bytes; 0 for gRPC's own choice
	// Raw does not decode messages, which shows what the connection alone gives.
	Raw bool `json:"raw,omitempty"`
}

// connectorWindow is the connector's (vstream.window).
const connectorWindow = 4 << 20

// drained is what a drain prints.
type drained struct {
	Rows     int64 `json:"rows"`
	Messages int64 `json:"messages"` // bytes of them, uncompressed
	Wire     int64 `json:"wire"`     // bytes read from the connection
}

// drain is Go's standard gRPC client with Vitess' generated messages and decoder. It discards everything that it receives.
type drain struct {
	job    drainJob
	vtgate vtgateservice.VitessClient
	rows   atomic.Int64
	codec  *drainCodec
	wire   atomic.Int64
}

// drainMain is the subcommand: `bench drain JOB`.
func drainMain(ctx context.Context, job string) error {
	d := &drain{codec: &drainCodec{undecoded: math.MaxInt}}
	if err := json.Unmarshal([]byte(job), &d.job); err != nil {
		return err
	}
	if d.job.Options.Raw {
		d.codec.undecoded = smallMessage
		if d.job.Streams[0].Bytes > 0 {
			d.codec.undecoded = 0
		}
	}
	conn, err := d.connect()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	d.vtgate = vtgateservice.NewVitessClient(conn)
	if err := d.run(ctx); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(drained{Rows: d.rows.Load(), Messages: d.codec.bytes.Load(), Wire: d.wire.Load()})
}

func (d *drain) connect() (*grpc.ClientConn, error) {
	o := d.job.Options
	calls := []grpc.CallOption{grpc.MaxCallRecvMsgSize(100 << 20), grpc.ForceCodecV2(d.codec)}
	if o.Compressor != "none" {
		calls = append(calls, grpc.UseCompressor(snappy.Name))
	}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(calls...),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
			if err != nil {
				return nil, err
			}
			return &counted{conn.(*net.TCPConn), &d.wire}, nil
		}),
	}
	if window := cmp.Or(o.Window, connectorWindow); window > 0 {
		dial = append(dial, grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window))
	}
	if o.ReadBuffer > 0 {
		dial = append(dial, grpc.WithReadBufferSize(o.ReadBuffer))
	}
	return grpc.NewClient("passthrough:///"+d.job.Addr, dial...)
}

// counted counts the bytes read.
type counted struct {
	*net.TCPConn
	read *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// copiesPerShard is the connector's limit.
const copiesPerShard = 2

// run receives all streams. A stream takes its slot on the shard before one of the common slots.
func (d *drain) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	all, perShard := make(chan struct{}, d.job.Concurrency), map[string]chan struct{}{}
	for _, s := range d.job.Streams {
		if perShard[s.Shard] == nil {
			perShard[s.Shard] = make(chan struct{}, copiesPerShard)
		}
		own := perShard[s.Shard]
		group.Go(func() error {
			own <- struct{}{}
			all <- struct{}{}
			defer func() { <-all; <-own }()
			if err := d.receive(ctx, s); err != nil {
				return fmt.Errorf("table %s, shard %s: %w", s.Table, s.Shard, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// receive reads one stream to its end.
func (d *drain) receive(ctx context.Context, s drainStream) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rpc, err := d.vtgate.VStream(ctx, request(d.job.Keyspace, s, !d.job.Options.KeyspaceInName))
	if err != nil {
		return err
	}
	rows := 0
	for {
		response, err := rpc.Recv()
		if errors.Is(err, io.EOF) {
			return errors.New("the server ended the stream")
		}
		if err != nil {
			return err
		}
		if s.Bytes > 0 && d.job.Options.Raw && d.codec.bytes.Load() >= s.Bytes {
			return nil
		}
		for _, ev := range response.Events {
			switch ev.Type {
			case binlogdatapb.VEventType_ROW:
				rows += len(ev.RowEvent.RowChanges)
			case binlogdatapb.VEventType_COMMIT:
				if s.From != "" && rows >= s.Rows {
					d.rows.Add(int64(rows))
					return nil
				}
			case binlogdatapb.VEventType_COPY_COMPLETED:
				d.rows.Add(int64(rows))
				return nil
			}
		}
	}
}

// request is the connector's.
func request(keyspace string, s drainStream, excludeKeyspace bool) *vtgatepb.VStreamRequest {
	return &vtgatepb.VStreamRequest{
		TabletType: topodatapb.TabletType_PRIMARY,
		Vgtid:      &binlogdatapb.VGtid{ShardGtids: []*binlogdatapb.ShardGtid{{Keyspace: keyspace, Shard: s.Shard, Gtid: s.From}}},
		Filter: &binlogdatapb.Filter{
			Rules: []*binlogdatapb.Rule{{Match: s.Table, Filter: "select " + s.Columns + " from `" + s.Table + "`"}},
		},
		Flags: &vtgatepb.VStreamFlags{
			HeartbeatInterval:            5,
			ExcludeKeyspaceFromTableName: excludeKeyspace,
			IncludeReshardJournalEvents:  true,
		},
	}
}

// drainCodec uses the marshallers generated for Vitess' messages, which need no reflection.
type drainCodec struct {
	undecoded int // bytes above which messages are not decoded
	bytes     atomic.Int64
}

// smallMessage is decoded even in a raw drain, unless it knows its end: the end of a copy is one.
const smallMessage = 2 << 10

// Name implements encoding.CodecV2.
func (*drainCodec) Name() string { return "proto" }

// Marshal implements encoding.CodecV2.
func (*drainCodec) Marshal(v any) (mem.BufferSlice, error) {
	data, err := v.(interface{ MarshalVT() ([]byte, error) }).MarshalVT()
	return mem.BufferSlice{mem.SliceBuffer(data)}, err
}

// Unmarshal implements encoding.CodecV2.
func (c *drainCodec) Unmarshal(data mem.BufferSlice, v any) error {
	size := data.Len()
	c.bytes.Add(int64(size))
	if size > c.undecoded {
		return nil
	}
	buf := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buf.Free()
	return v.(interface{ UnmarshalVT([]byte) error }).UnmarshalVT(buf.ReadOnlyData())
}
