package row

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"source-planetscale/internal/table"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"
)

// The rows of bench/workloads.go, for which the goals are set.
var (
	narrow = [][3]string{
		{"id", "bigint", "1234567"},
		{"part", "int", "1"},
		{"code", "varchar(20)", "SKU001234567"},
		{"name", "varchar(60)", "Alan M. Turing, 567"},
		{"price", "decimal(10,2)", "7919.25"},
		{"created_at", "datetime(6)", "2026-01-01 00:20:34.567890"},
		{"updated_at", "timestamp", "2025-10-09 08:53:20"},
		{"active", "tinyint(1)", "1"},
	}
	wide = [][3]string{
		{"id", "bigint", "1234567"},
		{"part", "int", "1"},
		{"title", "varchar(100)", "Order 1234567 of København"},
		{"body", "text", "1234567" + strings.Repeat("The quick \"brown\" fox, row 1234567, jumps over\nthe lazy dog: café. ", 15)},
		{"attributes", "json", `{"id": 1234567, "name": "item 1234567", "tags": ["a", "new", "t67", null], "lines": [` +
			`{"sku": "SKU1234567", "text": "` + strings.Repeat("x", 60) + `", "price": 1.5, "quantity": 4}, ` +
			`{"sku": "SKU1234568", "text": "` + strings.Repeat("y", 60) + `", "price": 12.25, "quantity": 2}, ` +
			`{"sku": "SKU1234569", "text": "` + strings.Repeat("z", 60) + `", "price": 99.5, "quantity": 3}], ` +
			`"price": 154320.875, "active": true, "address": {"city": "Zürich", "note": "` + strings.Repeat(`leave at the \"door\". `, 10) + `", "street": "67 High Street"}}`},
		{"updated_at", "timestamp", "2025-10-09 08:53:20"},
	}
)

// rowsOf returns a table and its only row.
func rowsOf(columns [][3]string) (*table.Table, *binlogdatapb.FieldEvent, *querypb.Row) {
	t, f, r := &table.Table{Name: "t"}, &binlogdatapb.FieldEvent{}, &querypb.Row{}
	for _, c := range columns {
		t.Columns = append(t.Columns, table.Column{Name: c[0], Type: c[1]})
		f.Fields = append(f.Fields, &querypb.Field{Name: c[0], ColumnType: c[1], Charset: 255})
		r.Lengths = append(r.Lengths, int64(len(c[2])))
		r.Values = append(r.Values, c[2]...)
	}
	return t, f, r
}

func BenchmarkNarrow(b *testing.B) { benchmarkRow(b, narrow) }

func BenchmarkWide(b *testing.B) { benchmarkRow(b, wide) }

func benchmarkRow(b *testing.B, columns [][3]string) {
	tab, f, r := rowsOf(columns)
	p := compile(b, tab, f, Replicate, Options{})
	row := encoded(r)
	var buffer []byte
	var err error
	b.ReportAllocs()
	b.SetBytes(int64(len(r.Values)))
	began := cpu(b)
	for b.Loop() {
		if buffer, _, err = p.Append(buffer[:0], row, nil, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpu(b)-began)/float64(b.N), "cpu-ns/row")
}

// cpu is the CPU time that this process has used: on a machine that runs other programs, the elapsed time means little.
func cpu(t testing.TB) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
