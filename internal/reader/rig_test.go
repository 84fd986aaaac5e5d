package reader

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"
	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
	"source-planetscale/internal/wire"
)

func TestMain(m *testing.M) {
	// Vitess logs with glog, which starts this goroutine for the lifetime of the process.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

type event = binlogdatapb.VEvent

var (
	script    = fakevtgate.Script{Keyspace: "shop", Shard: "-"}
	idAndName = []*querypb.Field{fakevtgate.Field("id", "bigint", querypb.Type_INT64), fakevtgate.Field("name", "varchar(50)", querypb.Type_VARCHAR)}
)

// in is a shard of the keyspace shop.
func in(name string) gtid.Shard { return gtid.Shard{Keyspace: "shop", Name: name} }

// at is the position with the transactions 1 to n.
func at(n int) gtid.Position {
	p, err := gtid.Parse(fakevtgate.GTID(n))
	if err != nil {
		panic(err)
	}
	return p
}

// savedAt is a state of the shard "-": at a position, or of a copy that has not started yet.
func savedAt(p gtid.Position, copying bool) *state.Stream {
	shard := &state.Shard{Position: p}
	if copying {
		shard = &state.Shard{Copy: &state.Copy{}}
	}
	return &state.Stream{Shards: map[gtid.Shard]*state.Shard{in("-"): shard}}
}

// rig is the environment of a reader whose stream is never opened: the test passes events to it.
type rig struct {
	env   *Env
	ended []*partition.Partition
}

func newRig(out io.Writer, target gtid.Position, tables ...*table.Table) *rig {
	r := &rig{}
	r.env = &Env{
		Peek: func(context.Context, ...gtid.Shard) (map[gtid.Shard]gtid.Position, error) {
			return map[gtid.Shard]gtid.Position{in("-"): target}, nil
		},
		Serving: func(context.Context) ([]gtid.Shard, error) { return []gtid.Shard{in("-")}, nil },
		Tables: func(context.Context, gtid.Shard, []string, bool) (map[string]table.Table, error) {
			now := map[string]table.Table{}
			for _, t := range tables {
				now[t.Name] = *t
			}
			return now, nil
		},
		Sorts: func(context.Context, gtid.Shard, *table.Table) error { return nil }, Targets: NewTargets(), Changed: func(gtid.Shard,
			time.Time) {
		}, Writer: airbyte.NewWriter(out), Log: slog.New(slog.DiscardHandler),
		Settings: Settings{Checkpoint: time.Hour, Timeout: time.Hour, Primary: true, Processors: 2},
	}
	r.env.End = func(_ context.Context, p *partition.Partition, _ error) error {
		r.ended = append(r.ended, p)
		return nil
	}
	r.env.Targets.Set(in("-"), target)
	return r
}

// session is a session of a reader of changes, from position 5.
func (r *rig) session(streams ...*partition.Stream) *session {
	var parts []*partition.Partition
	for _, st := range streams {
		parts = append(parts, st.In(in("-")))
	}
	return newSession(Replicate(r.env, in("-"), at(5), parts), nil)
}

// stream is an incremental stream over a table with the columns id, its key, and name, at position 5.
func stream(t testing.TB, name string) (*partition.Stream, *table.Table) {
	t.Helper()
	tab := &table.Table{
		Name: name, Key: []string{"id"}, MySQLKey: []string{"id"},
		Columns: []table.Column{{Name: "id", Type: "bigint"}, {Name: "name", Type: "varchar(50)", Nullable: true, Charset: "utf8mb4"}},
	}
	st, err := partition.NewStream(&airbyte.ConfiguredStream{
		Stream:   airbyte.Stream{Name: name, Namespace: "shop", JSONSchema: []byte(`{"properties":{"id":{},"name":{}}}`)},
		SyncMode: airbyte.Incremental,
	}, tab, savedAt(at(5), false), &atomic.Int64{}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return st, tab
}

func encodeEvents(t testing.TB, events ...*event) []byte {
	t.Helper()
	data, err := (&vtgatepb.VStreamResponse{Events: events}).MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// apply passes a response to a reader, and writes its output.
func apply(t testing.TB, s *session, events ...*event) {
	t.Helper()
	applyBytes(t, s, encodeEvents(t, events...))
}

func applyBytes(t testing.TB, s *session, response []byte) {
	t.Helper()
	ctx := context.Background()
	if _, err := s.applyAll(ctx, wire.NewResponse(response)); err != nil {
		t.Fatal(err)
	}
	if err := s.encode(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.flush(0); err != nil {
		t.Fatal(err)
	}
}
