package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"
	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/config"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/lineage"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/record"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
	"source-planetscale/internal/vstream"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// The parallel tests mostly wait, for example between two attempts, so more of them than there are processors can run at once.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	// Vitess logs with glog, which starts this goroutine for the lifetime of the process.
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

// rig runs a sync of one keyspace, shop, against scripted streams.
type rig struct {
	t      *testing.T
	server *fakevtgate.Server
	// options are the configuration without its closing brace.
	options string
	cfg     *config.Config
	client  *vstream.Client
	w       *airbyte.Writer
	out     output
	stream  fakevtgate.Stream
	mu      sync.Mutex
	now     map[string]table.Table // the tables as they are now
	stands  int                    // the transaction that the source is at
	// shards are the existing ones, targets their positions at the peek.
	shards  []string
	targets map[string]gtid.Position
	streams []*partition.Stream
	// look looks tables up, serving queries the existing shards; sizes are the sizes of tables by shard.
	look     func(ctx context.Context, shard gtid.Shard, only []string, keys bool) (map[string]table.Table, error)
	serving  func(context.Context) ([]gtid.Shard, error)
	sizes    map[gtid.Shard]map[string]schema.TableSize
	patience time.Duration
	silent   []string      // the shards that never send anything
	asks     func(*Server) // changes the queries over the MySQL protocol
	sequence atomic.Int64
	dedup    bool // destinations deduplicate by id
}

// requests returns the requests for tables, without those for current positions.
func (r *rig) requests() []*request {
	return slices.DeleteFunc(r.server.Requests(), func(q *request) bool { return q.Vgtid.ShardGtids[0].Gtid == "current" })
}

var script = fakevtgate.Script{Keyspace: "shop", Shard: "-"}

// newRig creates a rig whose source is at transaction stop.
func newRig(t *testing.T, stop int, stream fakevtgate.Stream) *rig {
	t.Helper()
	r := &rig{t: t, stands: stop, stream: stream, now: map[string]table.Table{}}
	server, err := fakevtgate.Start(func(q *request, send func(...*event), done <-chan struct{}) error {
		if asked := q.Vgtid.ShardGtids[0]; asked.Gtid == "current" {
			for _, asked := range q.Vgtid.ShardGtids {
				if slices.Contains(r.silent, asked.Shard) {
					continue
				}
				send(fakevtgate.Script{Keyspace: asked.Keyspace, Shard: asked.Shard}.VGTID(r.stands, nil), fakevtgate.Other())
			}
			return hold(done)
		}
		return r.stream(q, send, done)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	options := fmt.Sprintf(`{"host":"127.0.0.1","database":"shop","username":"u","password":"p","grpc_port":%d,"grpc_auth":"none","tls":{"mode":"disabled"}`, server.Port())
	r.options = options
	r.configure("")
	if r.client, err = vstream.New(r.cfg.VStream()); err != nil {
		t.Fatal(err)
	}
	r.server, r.w = server, airbyte.NewWriter(&r.out)
	r.shards, r.targets = []string{"-"}, map[string]gtid.Position{"-": at(stop)}
	r.look, r.serving = r.tables, func(context.Context) ([]gtid.Shard, error) { return r.wanted(), nil }
	return r
}

// hear creates another client, which gives up a stream that is silent for this long.
func (r *rig) hear(silence time.Duration) {
	r.t.Helper()
	cfg := r.cfg.VStream()
	cfg.Silence = silence
	var err error
	if r.client, err = vstream.New(cfg); err != nil {
		r.t.Fatal(err)
	}
}

// configure parses the configuration with additional options, which start with a comma.
func (r *rig) configure(more string) {
	r.t.Helper()
	var err error
	if r.cfg, err = config.Parse([]byte(r.options+more+"}"), slog.New(slog.DiscardHandler)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) wanted() []gtid.Shard { return gtid.Shards("shop", r.shards...) }

// in is a shard of the keyspace.
func in(name string) gtid.Shard { return gtid.Shard{Keyspace: "shop", Name: name} }

// engine returns an engine with the rig's configuration.
func (r *rig) engine() *Engine {
	server := r.answers()
	if r.asks != nil {
		r.asks(&server)
	}
	return New(Options{Shared: r.shared(), Config: r.cfg, Client: r.client, Patience: r.patience, Server: server})
}

// shared is what the engines of one sync share.
func (r *rig) shared() Shared {
	log := slog.New(airbyte.NewLogHandler(r.w, slog.LevelInfo))
	return Shared{
		Writer: r.w, Log: log, Slots: NewSlots(r.cfg.Concurrency), Progress: NewProgress(r.w, log, nil), Sequence: &r.sequence, Processors: 4,
	}
}

// answers is a server that refuses every query that a sync can do without.
func (r *rig) answers() Server {
	return Server{
		Shards: func(ctx context.Context) ([]gtid.Shard, error) { return r.serving(ctx) },
		Tables: func(ctx context.Context, shard gtid.Shard, only []string, keys bool) (map[string]table.Table, error) {
			return r.look(ctx, shard, only, keys)
		},
		TablesAt: func(ctx context.Context, shard gtid.Shard, names []string, keys bool) (map[string]table.Table, schema.Moment, error) {
			only := names
			if keys {
				only = nil
			}
			tables, err := r.look(ctx, shard, only, keys)
			m := schema.Moment{Server: "a", Before: at(r.stands).GTIDSet(), After: at(r.stands).GTIDSet(), Columns: map[string][]table.Column{}}
			for name, t := range tables {
				m.Columns[name] = t.Columns
			}
			return tables, m, err
		},
		Sorts: func(context.Context, gtid.Shard, *table.Table) error { return nil },
		Statements: Statements{
			Definition: func(context.Context, gtid.Shard, string) (string, error) { return "", schema.ErrRefused },
			Migration: func(context.Context, string, string) (table.OnlineDDL, error) {
				return table.OnlineDDL{}, schema.ErrRefused
			},
		},
		TableSizes: func(context.Context, []gtid.Shard) (map[gtid.Shard]map[string]schema.TableSize, error) {
			return r.sizes, nil
		},
		Variables: func(context.Context, gtid.Shard) (schema.Variables, error) {
			return schema.Variables{RowImage: "FULL", Format: "ROW"}, nil
		},
		Cascades: func(context.Context, []gtid.Shard) ([]schema.Cascade, error) { return nil, nil },
		Primary: Primary{
			Executed: func(context.Context, gtid.Shard) (string, string, error) { return "", "", schema.ErrRefused },
			TablesAt: func(context.Context, gtid.Shard, []string, bool) (map[string]table.Table, schema.Moment, error) {
				return nil, schema.Moment{}, schema.ErrRefused
			},
			Incarnations: func(context.Context, gtid.Shard, []string) (map[string]table.Incarnation, error) {
				return nil, schema.ErrRefused
			},
		},
		References: func(context.Context, []string) (map[string]bool, error) { return nil, schema.ErrRefused },
		Moved:      func(context.Context, []string) (map[string]string, error) { return nil, schema.ErrRefused },
		Journals: func(context.Context, []gtid.Shard) (map[gtid.Shard][]*binlogdatapb.Journal, error) {
			return nil, nil
		},
		Purged: func(context.Context, gtid.Shard, string) (bool, error) { return false, nil },
	}
}

// sync returns a prepared sync.
func (r *rig) sync() *Sync {
	s := r.engine().newSync(r.wanted(), r.wanted())
	for name, at := range r.targets {
		s.targets.Set(in(name), at)
	}
	s.streams = r.streams
	return s
}

// tables returns all tables as they are now, or only some, without keys unless they are requested.
func (r *rig) tables(_ context.Context, _ gtid.Shard, only []string, keys bool) (map[string]table.Table, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tables := map[string]table.Table{}
	for name, t := range r.now {
		if only != nil && !slices.Contains(only, name) {
			continue
		}
		if !keys {
			t.Key, t.MySQLKey = nil, nil
		}
		tables[name] = t
	}
	return tables, nil
}

// alter changes a table's columns.
func (r *rig) alter(name string, columns ...table.Column) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.now[name]
	t.Columns = columns
	r.now[name] = t
}

// replace changes a table's definition while a sync reads.
func (r *rig) replace(t *table.Table) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now[t.Name] = *t
}

// at is the position with the transactions 1 to n; none for 0.
func at(n int) gtid.Position {
	if n == 0 {
		return gtid.Position{}
	}
	return mustParse(fakevtgate.GTID(n))
}

// only is transaction n without those before it.
func only(n int) gtid.Position { return mustParse(fmt.Sprintf("%s:%d", fakevtgate.UUID, n)) }

func mustParse(text string) gtid.Position {
	p, err := gtid.Parse(text)
	if err != nil {
		panic(err)
	}
	return p
}

// testTable is a table with the columns id BIGINT, its key, and name VARCHAR.
func testTable(name string) *table.Table {
	return &table.Table{
		Name: name, Key: []string{"id"}, MySQLKey: []string{"id"},
		Columns: []table.Column{{Name: "id", Type: "bigint"}, {Name: "name", Type: "varchar(50)", Nullable: true, Charset: "utf8mb4"}},
	}
}

var idAndName = []*querypb.Field{fakevtgate.Field("id", "bigint", querypb.Type_INT64), fakevtgate.Field("name", "varchar(50)", querypb.Type_VARCHAR)}

// add configures a stream with a saved state of the shard "-", nil to start from the beginning.
func (r *rig) add(t *table.Table, mode airbyte.SyncMode, saved *state.Shard) *partition.Stream {
	r.t.Helper()
	if saved == nil {
		return r.addStream(t, mode, nil)
	}
	return r.addStream(t, mode, &state.Stream{Columns: t.Columns, Shards: map[gtid.Shard]*state.Shard{in("-"): saved}})
}

// addStream configures a stream with a saved state.
func (r *rig) addStream(t *table.Table, mode airbyte.SyncMode, saved *state.Stream, more ...string) *partition.Stream {
	r.t.Helper()
	properties := map[string]any{record.ColumnCursor: true, record.ColumnUpdatedAt: true, record.ColumnDeletedAt: true}
	for _, c := range t.Columns {
		properties[c.Name] = true
	}
	for _, name := range more {
		properties[name] = true
	}
	jsonSchema, err := json.Marshal(map[string]any{"properties": properties})
	if err != nil {
		r.t.Fatal(err)
	}
	c := &airbyte.ConfiguredStream{Stream: airbyte.Stream{Name: t.Name, Namespace: "shop", JSONSchema: jsonSchema}, SyncMode: mode}
	if r.dedup {
		c.DestinationSyncMode, c.PrimaryKey = "append_dedup", [][]string{{"id"}}
	}
	s, err := partition.NewStream(c, t, saved, &r.sequence, time.Minute)
	if err != nil {
		r.t.Fatal(err)
	}
	if !lineage.Resharded(s.Saved(), r.wanted()) {
		r.change(func(tx *airbyte.Tx) { s.Begin(tx, r.wanted(), nil) })
	}
	if _, ok := r.now[t.Name]; !ok {
		r.now[t.Name] = *t
	}
	r.streams = append(r.streams, s)
	return s
}

// change changes saved states in a transaction of the writer.
func (r *rig) change(f func(*airbyte.Tx)) {
	r.t.Helper()
	if err := r.w.Commit(airbyte.NewBatch(), func(tx *airbyte.Tx) error { f(tx); return nil }); err != nil {
		r.t.Fatal(err)
	}
}

// hangs is how long a sync may take before the test reports that it hangs.
const hangs = time.Minute

// run runs the sync and returns what it printed.
func (r *rig) run() (*destination.Output, error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), hangs)
	defer cancel()
	out, err := r.runWith(ctx)
	r.mustNotHang(err, out)
	return out, err
}

func (r *rig) mustNotHang(err error, out *destination.Output) {
	r.t.Helper()
	if errors.Is(err, context.DeadlineExceeded) {
		r.t.Fatalf("the sync did not end within %s; records %v, streams %d, log:\n%s", hangs, rows(out), len(r.requests()), said(out))
	}
}

func (r *rig) runWith(ctx context.Context) (*destination.Output, error) {
	r.t.Helper()
	return r.ended(r.sync().Run(ctx))
}

// must runs a sync that must succeed.
func (r *rig) must() *destination.Output {
	r.t.Helper()
	out, err := r.run()
	if err != nil {
		r.t.Fatalf("the sync failed: %v; traces: %+v", err, out.Errors)
	}
	return out
}

// rows returns the records as id:name, a deleted one with a minus.
func rows(out *destination.Output) []string {
	var list []string
	for _, r := range out.Records {
		row := fmt.Sprintf("%v:%v", r.Data["id"], r.Data["name"])
		if r.Data[record.ColumnDeletedAt] != nil {
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
	parsed, err := state.Parse(m.Stream.State, "shop")
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// shardOf returns the state of the unsharded keyspace's shard in a STATE message.
func shardOf(t *testing.T, s destination.State) *state.Shard {
	t.Helper()
	return streamOf(t, s).Shards[in("-")]
}

// tablesIn returns the tables that a request names.
func tablesIn(r *vtgatepb.VStreamRequest) []string {
	var names []string
	for _, rule := range r.Filter.Rules {
		names = append(names, rule.Match)
	}
	return names
}

// hold keeps a stream open until the client closes it, as a server with nothing to send does.
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

// lastOf returns the state of the unsharded keyspace's shard in a stream's last STATE message.
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

// said returns the log of a sync.
func said(out *destination.Output) string {
	var b strings.Builder
	for _, l := range out.Logs {
		b.WriteString(l.Message + "\n")
	}
	return b.String()
}

func vgtidText(gtid string, key *binlogdatapb.TableLastPK) *event {
	e := script.VGTID(1, key)
	e.Vgtid.ShardGtids[0].Gtid = gtid
	return e
}

// within runs the sync, and ends it after d if it does not end by itself.
func within(t *testing.T, r *rig, d time.Duration) (*destination.Output, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return r.runWith(ctx)
}
