package source

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"
	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
	"source-planetscale/internal/vstream"
)

func TestMain(m *testing.M) {
	// Vitess logs with glog, which starts this for the life of the process.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

// output collects what a sync prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// rig runs a sync of one unsharded keyspace, shop, against scripted streams.
type rig struct {
	t      *testing.T
	server *fakevtgate.Server
	sync   *syncer
	out    output
	stream fakevtgate.Stream
	mu     sync.Mutex
	now    map[string]table.Table // the tables as they are
	stands int                    // the transaction that the source stands at
}

// requests are those for tables, without the questions for positions.
func (r *rig) requests() []*request {
	return slices.DeleteFunc(r.server.Requests(), func(q *request) bool { return q.Vgtid.ShardGtids[0].Gtid == "current" })
}

var script = fakevtgate.Script{Keyspace: "shop", Shard: "-"}

// newRig makes a rig whose source stands at transaction stop.
func newRig(t *testing.T, stop int, stream fakevtgate.Stream) *rig {
	t.Helper()
	r := &rig{t: t, stands: stop, stream: stream, now: map[string]table.Table{}}
	server, err := fakevtgate.Start(func(q *request, send func(...*event), done <-chan struct{}) error {
		if asked := q.Vgtid.ShardGtids[0]; asked.Gtid == "current" {
			send(fakevtgate.Script{Keyspace: "shop", Shard: asked.Shard}.VGTID(r.stands, nil), fakevtgate.Other())
			return hold(done)
		}
		return r.stream(q, send, done)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	config := fmt.Sprintf(`{"host":"127.0.0.1","database":"shop","username":"u","password":"p","grpc_port":%d,"grpc_auth":"none","tls":{"mode":"disabled"}}`, server.Port())
	w := airbyte.NewWriter(&r.out)
	log := slog.New(airbyte.NewLogHandler(w, slog.LevelInfo))
	cfg, err := parseConfig([]byte(config), log)
	if err != nil {
		t.Fatal(err)
	}
	client, err := vstream.New(cfg.vstream())
	if err != nil {
		t.Fatal(err)
	}
	r.server = server
	r.sync = &syncer{
		processors: 4,
		patience:   patience,
		tables:     r.tables,
		serving:    func(context.Context) ([]string, error) { return r.sync.exist, nil },
		cfg:        cfg, log: log, w: w, client: client, shards: []string{"-"}, exist: []string{"-"},
		slots: newSlots(4, []string{"-"}),
	}
	r.sync.stop.Store("-", at(stop))
	return r
}

// tables are all tables as they are, or only one, without keys unless they are asked for.
func (r *rig) tables(_ context.Context, _, only string, keys bool) (map[string]table.Table, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tables := map[string]table.Table{}
	for name, t := range r.now {
		if only != "" && name != only {
			continue
		}
		if !keys {
			t.Key, t.MySQLKey = nil, nil
		}
		tables[name] = t
	}
	return tables, nil
}

// alter gives a table other columns.
func (r *rig) alter(name string, columns ...table.Column) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.now[name]
	t.Columns = columns
	r.now[name] = t
}

// at is the position that holds the transactions 1 to n; none for 0.
func at(n int) gtid.Position {
	if n == 0 {
		return gtid.Position{}
	}
	p, err := gtid.Parse(fakevtgate.GTID(n))
	if err != nil {
		panic(err)
	}
	return p
}

// table is a table with the columns id BIGINT, its key, and name VARCHAR.
func testTable(name string) *table.Table {
	return &table.Table{
		Name: name, Key: []string{"id"}, MySQLKey: []string{"id"},
		Columns: []table.Column{{Name: "id", Type: "bigint"}, {Name: "name", Type: "varchar(50)", Nullable: true, Charset: "utf8mb4"}},
	}
}

var idAndName = []*querypb.Field{fakevtgate.Field("id", "bigint", querypb.Type_INT64), fakevtgate.Field("name", "varchar(50)", querypb.Type_VARCHAR)}

// add configures a stream with a saved state, nil to begin afresh.
func (r *rig) add(t *table.Table, mode airbyte.SyncMode, saved *state.Shard) *stream {
	r.t.Helper()
	properties := map[string]any{columnCursor: true, columnUpdatedAt: true, columnDeletedAt: true}
	for _, c := range t.Columns {
		properties[c.Name] = true
	}
	jsonSchema, err := json.Marshal(map[string]any{"properties": properties})
	if err != nil {
		r.t.Fatal(err)
	}
	var in *state.Stream
	if saved != nil {
		in = &state.Stream{Columns: t.Columns, Shards: map[string]*state.Shard{"-": saved}}
	}
	s, err := newStream(&airbyte.ConfiguredStream{
		Stream: airbyte.Stream{Name: t.Name, Namespace: "shop", JSONSchema: jsonSchema}, SyncMode: mode,
	}, t, in)
	if err != nil {
		r.t.Fatal(err)
	}
	s.begin(r.sync.shards, nil)
	if _, ok := r.now[t.Name]; !ok {
		r.now[t.Name] = *t
	}
	r.sync.streams = append(r.sync.streams, s)
	return s
}

// run runs the sync and returns what it printed.
func (r *rig) run() (*destination.Output, error) {
	r.t.Helper()
	return r.runWith(context.Background())
}

func (r *rig) runWith(ctx context.Context) (*destination.Output, error) {
	r.t.Helper()
	runErr := r.sync.run(ctx)
	r.out.mu.Lock()
	defer r.out.mu.Unlock()
	out, err := destination.Parse(bytes.NewReader(r.out.buf.Bytes()))
	if err != nil {
		r.t.Fatal(err)
	}
	return out, runErr
}

// must runs a sync that is to succeed.
func (r *rig) must() *destination.Output {
	r.t.Helper()
	out, err := r.run()
	if err != nil {
		r.t.Fatalf("the sync failed: %v; traces: %+v", err, out.Errors)
	}
	return out
}

// rows are the records as id:name, a deleted one with a minus.
func rows(out *destination.Output) []string {
	var list []string
	for _, r := range out.Records {
		row := fmt.Sprintf("%v:%v", r.Data["id"], r.Data["name"])
		if r.Data[columnDeletedAt] != nil {
			row = "-" + row
		}
		list = append(list, row)
	}
	return list
}

// streamOf parses a STATE message.
func streamOf(t *testing.T, s destination.State) *state.Stream {
	t.Helper()
	var m struct {
		Stream struct {
			State json.RawMessage `json:"stream_state"`
		} `json:"stream"`
	}
	if err := json.Unmarshal(s.Message, &m); err != nil {
		t.Fatal(err)
	}
	parsed, err := state.Parse(m.Stream.State)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// shardOf is the unsharded keyspace's shard in a STATE message.
func shardOf(t *testing.T, s destination.State) *state.Shard {
	t.Helper()
	return streamOf(t, s).Shards["-"]
}

// tablesIn are the tables that a request names.
func tablesIn(r *vtgatepb.VStreamRequest) []string {
	var names []string
	for _, rule := range r.Filter.Rules {
		names = append(names, rule.Match)
	}
	return names
}

// hold keeps a stream open until the client leaves, as a server with nothing to send does.
func hold(done <-chan struct{}) error {
	<-done
	return nil
}

type (
	event   = binlogdatapb.VEvent
	request = vtgatepb.VStreamRequest
)

func streamNamed(table string) destination.Stream {
	return destination.Stream{Name: table, Namespace: "shop"}
}

// destinationTables are empty tables with the key id.
func destinationTables(names ...string) (destination.Tables, error) {
	var streams []map[string]any
	for _, name := range names {
		streams = append(streams, map[string]any{"stream": streamNamed(name), "primary_key": [][]string{{"id"}}})
	}
	data, err := json.Marshal(map[string]any{"streams": streams})
	if err != nil {
		return nil, err
	}
	return destination.NewTables(data)
}

// lastOf is the unsharded keyspace's shard in a stream's last state.
func lastOf(t *testing.T, states []destination.State, name string) *state.Shard {
	t.Helper()
	for _, s := range slices.Backward(states) {
		if s.Stream.Name == name {
			return shardOf(t, s)
		}
	}
	t.Fatalf("no state of %s", name)
	return nil
}
