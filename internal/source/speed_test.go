package source

import (
	"context"
	"encoding/json"
	"io"
	"syscall"
	"testing"
	"time"

	querypb "vitess.io/vitess/go/vt/proto/query"
	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
	"source-planetscale/internal/wire"
)

const narrowRows = 1000

// narrow is a response of narrowRows rows of about 100 bytes in 8 columns, as the binary log sends them or, made at 0, a copy, and a
// reader that is ready for it.
func narrow(t testing.TB, made fakevtgate.At) (*reader, []byte) {
	t.Helper()
	users := &table.Table{Name: "users", Key: []string{"id"}, MySQLKey: []string{"id"}}
	columns := [][3]string{
		{"id", "bigint", "1234567"},
		{"email", "varchar(255)", "someone@example.com"},
		{"name", "varchar(100)", "Some One of Somewhere"},
		{"active", "tinyint(1)", "1"},
		{"balance", "decimal(10,2)", "-12.50"},
		{"created", "datetime(6)", "2026-11-22 10:30:00.123456"},
		{"region", "int", "42"},
		{"seen", "timestamp", "2026-11-22 10:30:00"},
	}
	var fields []*querypb.Field
	var values []string
	properties := map[string]any{columnCursor: true, columnUpdatedAt: true, columnDeletedAt: true}
	for _, c := range columns {
		users.Columns = append(users.Columns, table.Column{Name: c[0], Type: c[1]})
		fields = append(fields, &querypb.Field{Name: c[0], ColumnType: c[1], Charset: 255})
		values = append(values, c[2])
		properties[c[0]] = true
	}
	jsonSchema, err := json.Marshal(map[string]any{"properties": properties})
	if err != nil {
		t.Fatal(err)
	}
	saved := &state.Stream{Shards: map[string]*state.Shard{"-": {Copy: &state.Copy{}}}}
	s, err := newStream(&airbyte.ConfiguredStream{
		Stream: airbyte.Stream{Name: "users", Namespace: "shop", JSONSchema: jsonSchema}, SyncMode: airbyte.Incremental,
	}, users, saved)
	if err != nil {
		t.Fatal(err)
	}
	r := newReader(&syncer{
		cfg: &Config{CheckpointIntervalSeconds: 3600}, w: airbyte.NewWriter(io.Discard), processors: 2,
		tables: func(context.Context, string, string, bool) (map[string]table.Table, error) {
			return map[string]table.Table{"users": *users}, nil
		},
	}, "-", at(5))
	r.add(s, at(5), state.Layout{})
	r.at, r.copying = at(5), made == 0
	apply(t, r, fakevtgate.Fields(made, "users", fields...))
	var rows []*event
	for range narrowRows {
		ev := fakevtgate.Row(made, "users", nil, values)
		ev.Keyspace, ev.Shard, ev.RowEvent.Keyspace, ev.RowEvent.Shard = "shop", "-", "shop", "-"
		rows = append(rows, ev)
	}
	return r, encodeEvents(t, rows...)
}

func encodeEvents(t testing.TB, events ...*event) []byte {
	t.Helper()
	data, err := (&vtgatepb.VStreamResponse{Events: events}).MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// apply gives a response to a reader, and writes what comes of it.
func apply(t testing.TB, r *reader, events ...*event) {
	t.Helper()
	applyBytes(t, r, encodeEvents(t, events...))
}

func applyBytes(t testing.TB, r *reader, response []byte) {
	ctx := context.Background()
	if _, err := r.applyAll(ctx, wire.NewResponse(response)); err != nil {
		t.Fatal(err)
	}
	if err := r.encode(ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.flush(0); err != nil {
		t.Fatal(err)
	}
}

// A row costs no allocation from the response to the JSON line: what a response costs is the same for one row and for many.
func TestRowsAllocateNothing(t *testing.T) {
	for phase, made := range map[string]fakevtgate.At{"copied": 0, "replicated": 7} {
		r, response := narrow(t, made)
		if n := testing.AllocsPerRun(100, func() { applyBytes(t, r, response) }); n > 5 {
			t.Errorf("%s: %v allocations for %d rows", phase, n, narrowRows)
		}
	}
}

func BenchmarkRows(b *testing.B) {
	for phase, made := range map[string]fakevtgate.At{"copied": 0, "replicated": 7} {
		b.Run(phase, func(b *testing.B) {
			r, response := narrow(b, made)
			b.SetBytes(int64(len(response)))
			b.ReportAllocs()
			began := cpu(b)
			for b.Loop() {
				applyBytes(b, r, response)
			}
			b.ReportMetric(float64(cpu(b)-began)/float64(b.N)/narrowRows, "cpu-ns/row")
		})
	}
}

// Transactions of one row each: begin, row, position, commit.
func BenchmarkTransactions(b *testing.B) {
	r, _ := narrow(b, 7)
	values := []string{"1234567", "someone@example.com", "Some One of Somewhere", "1", "-12.50", "2026-11-22 10:30:00.123456", "42", "2026-11-22 10:30:00"}
	r.stop = at(1 << 40)
	n, spent := 10, time.Duration(0)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		var events []*event
		for range 100 {
			n++
			begin := fakevtgate.Begin(7, n)
			events = append(events, begin, fakevtgate.Row(7, "users", nil, values), script.VGTID(n, nil), fakevtgate.Commit(7))
		}
		response := encodeEvents(b, events...)
		began := cpu(b)
		b.StartTimer()
		applyBytes(b, r, response)
		spent += cpu(b) - began
	}
	b.ReportMetric(float64(spent)/float64(b.N)/100, "cpu-ns/transaction")
}

// cpu is the processor time that this process has used: on a machine that does other things, the clock says little.
func cpu(t testing.TB) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
