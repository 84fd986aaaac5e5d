package reader

import (
	"encoding/json"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/record"
	"source-planetscale/internal/table"
)

const narrowRows = 1000

// narrow returns a response with narrowRows rows of about 100 bytes in 8 columns, as the binary log or (made at 0) a copy sends them,
// and a reader that is ready for it.
func narrow(t testing.TB, made fakevtgate.At) (*session, []byte) {
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
	properties := map[string]any{record.ColumnCursor: true, record.ColumnUpdatedAt: true, record.ColumnDeletedAt: true}
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
	st, err := partition.NewStream(&airbyte.ConfiguredStream{
		Stream: airbyte.Stream{Name: "users", Namespace: "shop", JSONSchema: jsonSchema}, SyncMode: airbyte.Incremental,
	}, users, savedAt(at(5), made == 0), &atomic.Int64{}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(io.Discard, at(5), users).session(st)
	if made == 0 {
		r.Reader = Copy(r.env, st.In(in("-")))
		r.at, r.copying.seen.Table = at(5), *users
	}
	apply(t, r, fakevtgate.Fields(made, "users", fields...))
	var rows []*event
	for range narrowRows {
		ev := fakevtgate.Row(made, "users", nil, values)
		ev.Keyspace, ev.Shard, ev.RowEvent.Keyspace, ev.RowEvent.Shard = "shop", "-", "shop", "-"
		rows = append(rows, ev)
	}
	return r, encodeEvents(t, rows...)
}

// No row costs an allocation between the response and the JSON line: a response allocates the same for one row and for many.
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
	r.target = at(1 << 40)
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

// cpu is the CPU time that this process has used: on a machine that runs other programs, the elapsed time means little.
func cpu(t testing.TB) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
