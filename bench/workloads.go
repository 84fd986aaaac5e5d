package main

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// column is a column of a table to load. Its value is an SQL expression over n, the number of the row, from 1 on; that of
// the column part is the shard's.
type column struct{ name, definition, value string }

// table is a table to load, with the same number of rows in each shard. The column part is its vindex in a sharded keyspace; all rows of
// a shard have the value that belongs there, so that they can be written directly to MySQL.
type table struct {
	keyspace, name string
	columns        []column
	rows           int // in each shard; 0 for a table that a workload of changes fills
}

// The shards of the sandbox's keyspaces, and the value of the column part that the vindex hash puts there.
var shards = map[string][]shard{
	"commerce": {{"-", 1}},
	"customer": {{"-80", 1}, {"80-", 4}},
}

type shard struct {
	name string
	part int
}

// narrow rows have about 100 bytes in 8 columns of the usual types.
var narrow = []column{
	{"id", "bigint not null primary key", "n"},
	{"part", "int not null", ""},
	{"code", "varchar(20) not null", "concat('SKU', lpad(n, 9, '0'))"},
	{"name", "varchar(60)", "concat(elt(1 + n % 5, 'Ada Lovelace', 'Grace Hopper', 'Zoë \"Z\" Quiñones', 'Alan M. Turing', 'Hedy " +
		"Lamarr'), ', ', n % 1000)"},
	{"price", "decimal(10,2)", "n * 7919 % 1000000 / 100"},
	{"created_at", "datetime(6)", "'2026-01-01' + interval n * 1234567 microsecond"},
	{"updated_at", "timestamp", "from_unixtime(1760000000 + n)"},
	{"active", "tinyint(1)", "n % 2"},
}

// wide rows have about 2 kB, most of it a text and a JSON document.
var wide = []column{
	{"id", "bigint not null primary key", "n"},
	{"part", "int not null", ""},
	{"title", "varchar(100)", "concat('Order ', n, ' of ', elt(1 + n % 3, 'Zürich', 'København', 'Łódź'))"},
	{"body", "text", "concat(n, repeat(concat('The quick \"brown\" fox, row ', n, ', jumps over\\nthe lazy dog: café. '), 15))"},
	{
		"attributes",
		"json",
		`json_object('id', n, 'name', concat('item ', n), 'active', n % 2 = 0, 'price', n / 8, 'tags', json_array('a', 'new', concat('t', n % 100), null),
		'address', json_object('street', concat(n % 300, ' High Street'), 'city', 'Zürich', 'note', repeat('leave at the "door". ', 10)),
		'lines', json_array(json_object('sku', concat('SKU', n), 'quantity', n % 9, 'price', 1.5, 'text', repeat('x', 60)), json_object('sku', concat('SKU', n + 1), 'quantity', 2, 'price', 12.25, 'text', repeat('y', 60)),
			json_object('sku', concat('SKU', n + 2), 'quantity', 3, 'price', 99.5, 'text', repeat('z', 60))))`,
	},
	{"updated_at", "timestamp", "from_unixtime(1760000000 + n)"},
}

// many is a table of 200 columns.
func many() []column {
	columns := []column{{"id", "bigint not null primary key", "n"}, {"part", "int not null", ""}}
	kinds := []column{
		{"", "int", "n * %d"},
		{"", "varchar(20)", "concat('value ', n %% 1000 + %d)"},
		{"", "double", "n / (%d + 3)"},
		{"", "datetime", "'2026-01-01' + interval (n + %d) second"},
		{"", "decimal(12,4)", "n %% 10000 + %d / 16"},
		{"", "varchar(10)", "nullif(n %% 3, %d %% 3)"},
	}
	for i := len(columns); i < 200; i++ {
		kind := kinds[i%len(kinds)]
		columns = append(columns, column{fmt.Sprintf("column_%03d", i), kind.definition, fmt.Sprintf(kind.value, i)})
	}
	return columns
}

// names of the table's columns, quoted, in order.
func (t *table) names() string {
	quoted := make([]string, len(t.columns))
	for i, c := range t.columns {
		quoted[i] = "`" + c.name + "`"
	}
	return strings.Join(quoted, ", ")
}

// create is the statement that makes the table. Its comment says what it is loaded with.
func (t *table) create() string {
	lines := make([]string, len(t.columns))
	for i, c := range t.columns {
		lines[i] = c.name + " " + c.definition
	}
	return fmt.Sprintf("create table %s (%s) comment '%s'", t.name, strings.Join(lines, ", "), t.version())
}

func (t *table) version() string {
	return fmt.Sprintf("bench %x", sha256.Sum256(fmt.Append(nil, t.columns, t.rows)))[:30]
}

// values are the expressions of a row of a shard.
func (t *table) values(s shard) string {
	list := make([]string, len(t.columns))
	for i, c := range t.columns {
		list[i] = c.value
		if c.name == "part" {
			list[i] = fmt.Sprint(s.part)
		}
	}
	return strings.Join(list, ", ")
}

// workload is what each of the contenders reads.
type workload struct {
	name, title string
	tables      []*table
	changes     *changes // nil for a copy
	// loops is how often a replay plays the middle of its recording; 0 for a workload that is not replayed.
	loops int
}

func (w *workload) keyspace() string { return w.tables[0].keyspace }

// copied is the number of rows of a copy.
func (w *workload) copied() int {
	rows := 0
	for _, t := range w.tables {
		rows += t.rows * len(shards[t.keyspace])
	}
	return rows
}

// changes are transactions on the workload's one table, all of the same size. They insert rows and update them.
type changes struct {
	from         *table // whose rows are inserted
	transactions int
	inserts      int // in each transaction
	updates      int // in each transaction, of rows inserted in it
	// single makes each of the two statements a transaction of its own.
	single bool
}

func (c *changes) rows() int { return c.transactions * (c.inserts + c.updates) }

// workloads lists them all. scale divides their sizes, for a quick try.
func workloads(scale int) []*workload {
	prefix := "bench_"
	if scale > 1 {
		prefix = "bench_small_"
	}
	copyOf := func(keyspace, name string, columns []column, rows int) *table {
		return &table{keyspace, prefix + name, columns, rows / scale}
	}
	one := copyOf("commerce", "narrow", narrow, 1_000_000)
	two := copyOf("customer", "narrow", narrow, 600_000)
	fat := copyOf("commerce", "wide", wide, 300_000)
	columns := copyOf("commerce", "columns", many(), 60_000)
	empty := func(name string, columns []column) []*table {
		return []*table{{"commerce", prefix + name, columns, 0}}
	}
	return []*workload{
		{name: "copy-narrow", title: "copy, narrow rows, 1 shard", tables: []*table{one}, loops: 16},
		{name: "copy-narrow-2", title: "copy, narrow rows, 2 shards", tables: []*table{two}},
		{name: "copy-wide", title: "copy, wide rows, 1 shard", tables: []*table{fat}, loops: 10},
		{name: "copy-columns", title: "copy, 200 columns, 1 shard", tables: []*table{columns}, loops: 8},
		{
			name: "changes-narrow", title: "replication, narrow rows, 300 a transaction", tables: empty("changes_narrow", narrow), loops: 16,
			changes: &changes{from: one, transactions: 4000 / scale, inserts: 200, updates: 100},
		},
		{
			name: "changes-wide", title: "replication, wide rows, 300 a transaction", tables: empty("changes_wide", wide), loops: 14,
			changes: &changes{from: fat, transactions: 600 / scale, inserts: 200, updates: 100},
		},
		{
			name: "changes-single", title: "replication, narrow rows, 1 a transaction", tables: empty("changes_single", narrow), loops: 5,
			changes: &changes{from: one, transactions: 50_000 / scale, inserts: 1, updates: 1, single: true},
		},
	}
}
