package vstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"google.golang.org/grpc"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"
	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"

	"source-planetscale/internal/crash"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/wire"
)

// heartbeatSeconds is how often vtgate signals that an idle stream is alive.
const heartbeatSeconds = 5

// Request says what to stream: tables of one shard.
type Request struct {
	Shard  gtid.Shard
	Tables []Table
	// Position to replicate from; zero to copy the tables first.
	Position gtid.Position
	// LastPK is the key after which a copy resumes, nil to copy from the first row. With a Position, the changes since then to rows up to
	// that key are sent first; without one they are not sent at all.
	LastPK *querypb.QueryResult
	// Older is set if rows may have other columns than the table has now: those whose columns the server cannot name are sent with "@1",
	// "@2" … and the binary log's types, instead of an error.
	Older bool
	// Statements requests only the DDL statements: of rows, nothing is sent but that there were some. It is used with Older.
	Statements bool
}

// Table is one table to stream.
type Table struct {
	Name string
	// Columns to select; nil for all, whatever they are when a row is read.
	Columns []string
}

// messages is how many may be received before the owner is done with the first: enough small ones that the owner and the receiver need
// not wake each other for every one.
const messages = 32

// method is VStream's full name (vtgateservice.proto).
const method = "/vtgateservice.Vitess/VStream"

// Stream is one running VStream. One goroutine owns it; cancelling the context that it was opened with ends it. While its owner is busy
// with some messages, the next ones are received and decompressed.
type Stream struct {
	client *Client
	conn   *connection
	names  names // of what was requested
	rpc    grpc.ClientStream
	ctx    context.Context
	cancel context.CancelCauseFunc
	watch  *watch
	full   chan received
	free   chan *message // all at first, then those that the owner has returned
	lent   []*message    // those that it has
	what   string        // was requested
	opened time.Time
}

// received is a message, or the reason why there is none; nothing follows then.
type received struct {
	message *message
	err     error
}

// Open starts a stream. Close it.
func (c *Client) Open(ctx context.Context, r Request) (*Stream, error) {
	return c.open(ctx, &vtgatepb.VStreamRequest{
		TabletType: c.cfg.TabletType,
		Vgtid:      vgtid(r),
		Filter:     filter(r),
	})
}

func (c *Client) open(ctx context.Context, r *vtgatepb.VStreamRequest) (*Stream, error) {
	r.Flags = &vtgatepb.VStreamFlags{
		HeartbeatInterval: heartbeatSeconds,
		Cells:             c.cfg.Cells,
		// The keyspace before each table name costs vtgate an allocation per row, and is redundant: a stream has only one.
		ExcludeKeyspaceFromTableName: true,
		IncludeReshardJournalEvents:  true,
	}
	conn, err := c.connect()
	if err != nil {
		return nil, err
	}
	what, started := describe(r), time.Now()
	c.cfg.Dial.Debug("Opening a VStream: %s.", what)
	ctx, cancel := context.WithCancelCause(ctx)
	rpc, err := conn.start(ctx, r)
	if err != nil {
		cancel(nil)
		_ = conn.Close() // only reports that it is closed
		return nil, newError(err, newNames(r))
	}
	s := c.stream(ctx, cancel, conn, rpc)
	s.names, s.what, s.opened = newNames(r), what, time.Now()
	c.cfg.Dial.Debug("The VStream is open after %s: %s.", s.opened.Sub(started).Round(time.Millisecond), what)
	return s, nil
}

// stream starts to receive what an RPC sends.
func (c *Client) stream(ctx context.Context, cancel context.CancelCauseFunc, conn *connection, rpc grpc.ClientStream) *Stream {
	s := &Stream{
		client: c,
		conn:   conn,
		rpc:    rpc,
		ctx:    ctx,
		cancel: cancel,
		full:   make(chan received, messages),
		free:   make(chan *message, messages),
	}
	for range messages {
		s.free <- &message{}
	}
	s.watch = newWatch(c.cfg.Silence, &conn.received, func() { cancel(ErrSilent) })
	conn.turn.watch, conn.turn.done = s.watch, ctx.Done()
	c.streams.Add(1)
	go s.receive()
	return s
}

// start calls the RPC without its generated client, which would decode every response.
func (c *connection) start(ctx context.Context, r *vtgatepb.VStreamRequest) (grpc.ClientStream, error) {
	rpc, err := c.NewStream(ctx, &grpc.StreamDesc{StreamName: "VStream", ServerStreams: true}, method)
	if err != nil {
		return nil, err
	}
	if err := rpc.SendMsg(r); err != nil && !errors.Is(err, io.EOF) { // after io.EOF, receiving returns the actual error
		return nil, err
	}
	return rpc, rpc.CloseSend()
}

// receive receives until the stream ends, ahead of the owner by at most that many messages and, not counting the last of them, by the
// stream's share of bytes.
func (s *Stream) receive() {
	defer close(s.full)
	held := 0 // bytes of messages that the owner is not done with
	var idle []*message
	for {
		for len(idle) == 0 || held > s.client.share() {
			select {
			case m := <-s.free:
				held -= m.size
				idle = append(idle, m)
			case <-s.ctx.Done():
				s.full <- received{err: s.ctx.Err()}
				return
			}
		}
		m := idle[len(idle)-1]
		idle = idle[:len(idle)-1]
		s.watch.start()
		err := crash.Guard(func() error { return s.rpc.RecvMsg(m) }) // our decompressor among others
		s.watch.stop()
		m.turn = s.conn.turn.take()
		s.full <- received{m, err}
		if err != nil {
			return
		}
		held += m.size
	}
}

// Recv returns the next events; they are valid until Keep, without which no more arrive after some time. A stream that is silent for
// Silence ends with ErrSilent; the time that the caller takes between two calls does not count.
func (s *Stream) Recv() (wire.Response, error) {
	r := <-s.full
	if r.message != nil {
		s.lent = append(s.lent, r.message)
	}
	switch {
	case r.err == nil && r.message != nil:
		return wire.NewResponse(r.message.data), nil
	case errors.Is(context.Cause(s.ctx), ErrSilent):
		return wire.Response{}, fmt.Errorf("%w for %s", ErrSilent, s.watch.limit)
	case r.err == nil, errors.Is(r.err, io.EOF):
		return wire.Response{}, errors.New("the server ended the stream")
	}
	if errors.As(r.err, new(*crash.Panic)) {
		return wire.Response{}, r.err
	}
	return wire.Response{}, newError(r.err, s.names)
}

// Ready reports whether Recv need not wait.
func (s *Stream) Ready() bool { return len(s.full) > 0 }

// Keep returns everything that Recv has returned, except for the last n.
func (s *Stream) Keep(n int) {
	done := len(s.lent) - n
	for _, m := range s.lent[:done] {
		s.conn.turn.giveBack(m)
		s.client.buffers.put(m.data)
		m.data = nil
		s.free <- m
	}
	s.lent = append(s.lent[:0], s.lent[done:]...)
}

// Close ends the stream and returns when it has ended.
func (s *Stream) Close() {
	s.cancel(nil)
	for r := range s.full {
		if r.message != nil {
			s.lent = append(s.lent, r.message)
		}
	}
	for _, m := range s.lent {
		s.conn.turn.giveBack(m)
	}
	_ = s.conn.Close() // only reports that it is closed
	s.client.streams.Add(-1)
	s.client.cfg.Dial.Debug("The VStream is closed after %s, with %d bytes received: %s.",
		time.Since(s.opened).Round(time.Millisecond), s.conn.received.Load(), s.what)
}

func vgtid(r Request) *binlogdatapb.VGtid {
	g := &binlogdatapb.ShardGtid{Keyspace: r.Shard.Keyspace, Shard: r.Shard.Name, Gtid: r.Position.String()}
	if r.LastPK != nil {
		g.TablePKs = []*binlogdatapb.TableLastPK{{TableName: r.Tables[0].Name, Lastpk: r.LastPK}}
	}
	return &binlogdatapb.VGtid{ShardGtids: []*binlogdatapb.ShardGtid{g}}
}

// filter has a rule per table. The select is always there: a rule without one works while copying and fails in replication ("Query was
// empty").
func filter(r Request) *binlogdatapb.Filter {
	f := &binlogdatapb.Filter{}
	if r.Older {
		f.FieldEventMode = binlogdatapb.Filter_BEST_EFFORT
	}
	for _, t := range r.Tables {
		list := "*"
		switch {
		case r.Statements:
			list = "1"
		case t.Columns != nil:
			quoted := make([]string, len(t.Columns))
			for i, c := range t.Columns {
				quoted[i] = quote(c)
			}
			list = strings.Join(quoted, ", ")
		}
		rule := &binlogdatapb.Rule{Match: t.Name, Filter: "select " + list + " from " + quote(t.Name)}
		if strings.HasPrefix(t.Name, "/") {
			// It would be treated as a regular expression, which cannot have a select.
			rule = &binlogdatapb.Rule{Match: "/^" + regexp.QuoteMeta(t.Name) + "$/"}
		}
		f.Rules = append(f.Rules, rule)
	}
	return f
}

// mostDescribed is how many tables the description of a request names.
const mostDescribed = 20

// describe says what a request is for, without the key that a copy resumes after: it is a row's.
func describe(r *vtgatepb.VStreamRequest) string {
	var b strings.Builder
	for _, g := range r.Vgtid.ShardGtids {
		at := "from " + g.Gtid
		switch {
		case g.Gtid == "" && len(g.TablePKs) == 0:
			at = "from the first row"
		case g.Gtid == "":
			at = "after a saved key"
		case len(g.TablePKs) > 0:
			at += ", after a saved key"
		}
		fmt.Fprintf(&b, "shard %s of keyspace %s %s, ", g.Shard, g.Keyspace, at)
	}
	rules := r.Filter.Rules
	names := make([]string, 0, len(rules))
	for _, rule := range rules[:min(len(rules), mostDescribed)] {
		names = append(names, rule.Match)
	}
	fmt.Fprintf(&b, "tables %s", strings.Join(names, ", "))
	if more := len(rules) - len(names); more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	fmt.Fprintf(&b, ", %s tablets", r.TabletType)
	if r.Flags.Cells != "" {
		fmt.Fprintf(&b, " in cells %s", r.Flags.Cells)
	}
	return b.String()
}

func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
