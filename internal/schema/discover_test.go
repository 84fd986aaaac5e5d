package schema

import (
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/table"

	"github.com/google/go-cmp/cmp"
)

const oddName = "sch_a.b \"c\" 'd' e`f;é漢\\"

// contentsOf returns the contents of the keyspace without the tables of other tests.
func contentsOf(t *testing.T, db *DB, prefix string) *Contents {
	t.Helper()
	all, err := db.Tables(t.Context())
	if err == nil {
		err = db.AddVindexes(t.Context(), all)
	}
	if err != nil {
		t.Fatal(err)
	}
	var own Contents
	for _, table := range all.Tables {
		if strings.HasPrefix(table.Name, prefix) {
			own.Tables = append(own.Tables, table)
		}
	}
	for _, view := range all.Views {
		if strings.HasPrefix(view, prefix) {
			own.Views = append(own.Views, view)
		}
	}
	for _, warning := range all.Warnings {
		if strings.Contains(warning, prefix) {
			own.Warnings = append(own.Warnings, warning)
		}
	}
	return &own
}

func TestTables(t *testing.T) {
	db := openSandbox(t, "commerce")
	create(t, db, "table", "sch_u_T", "(id int unsigned not null, e enum('a','b,''c') character set latin1 not null, primary key (e, id))")
	create(
		t,
		db,
		"table",
		"sch_u_t",
		"(t text character set utf8mb4 collate utf8mb4_bin, b varbinary(3) not null, d decimal(5,2), at datetime(3) not null)",
	)
	create(
		t,
		db,
		"table",
		"sch_u_generated",
		"(id int primary key, v int as (id+1), s int as (id+2) stored, hidden int invisible, `a, b` json)",
	)
	create(
		t,
		db,
		"table",
		"sch_u_unique",
		"(a varchar(9) not null, b bigint not null, c int, d int not null, unique (a), unique (c), unique (b), unique ((d+1)), unique (d, (d*2)), index (d))",
	)
	create(t, db, "table", "sch_u_prefix", "(a varchar(9) not null, unique (a(4)))")
	create(t, db, "table", strings.Replace(oddName, "sch_", "sch_u_", 1), "(`"+"x.y ``z"+"` int primary key)")
	create(t, db, "view", "sch_u_view", "as select id from sch_u_T")
	got := contentsOf(t, db, "sch_u_")
	identifying := func(columns ...string) []table.UniqueKey {
		return []table.UniqueKey{{Columns: columns, Identifies: true}}
	}
	unique := append(
		append(identifying("a"), identifying("b")...),
		table.UniqueKey{Columns: []string{"c"}},
		table.UniqueKey{Columns: []string{"d"}},
	)
	want := &Contents{
		Views: []string{"sch_u_view"},
		Tables: []table.Table{
			{Name: "sch_u_T", Key: []string{"e", "id"}, MySQLKey: []string{"e", "id"}, Unique: identifying("e", "id"), Columns: []table.Column{
				{Name: "id", Type: "int unsigned"},
				{Name: "e", Type: "enum('a','b,''c')", Charset: "latin1"},
			}},
			{
				Name:     strings.Replace(oddName, "sch_", "sch_u_", 1),
				Key:      []string{"x.y `z"},
				MySQLKey: []string{"x.y `z"},
				Unique:   identifying("x.y `z"),
				Columns: []table.Column{
					{Name: "x.y `z", Type: "int"},
				},
			},
			{Name: "sch_u_generated", Key: []string{"id"}, MySQLKey: []string{"id"}, Unique: identifying("id"), Columns: []table.Column{
				{Name: "id", Type: "int"},
				{Name: "v", Type: "int", Nullable: true},
				{Name: "s", Type: "int", Nullable: true},
				{Name: "hidden", Type: "int", Nullable: true},
				{Name: "a, b", Type: "json", Nullable: true},
			}},
			{
				Name:    "sch_u_prefix",
				Columns: []table.Column{{Name: "a", Type: "varchar(9)", Charset: "utf8mb4"}},
				Unique:  []table.UniqueKey{{Columns: []string{"a"}}},
			},
			{Name: "sch_u_t", Columns: []table.Column{
				{Name: "t", Type: "text", Nullable: true, Charset: "utf8mb4"},
				{Name: "b", Type: "varbinary(3)"},
				{Name: "d", Type: "decimal(5,2)", Nullable: true},
				{Name: "at", Type: "datetime(3)"},
			}},
			{Name: "sch_u_unique", Key: []string{"b"}, MySQLKey: []string{"b"}, Unique: unique, Columns: []table.Column{
				{Name: "a", Type: "varchar(9)", Charset: "utf8mb4"},
				{Name: "b", Type: "bigint"},
				{Name: "c", Type: "int", Nullable: true},
				{Name: "d", Type: "int"},
			}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTablesOfShardedKeyspace(t *testing.T) {
	db := openSandbox(t, "customer")
	odd := strings.Replace(oddName, "sch_", "sch_s_", 1)
	create(t, db, "table", "sch_s_two", "(id bigint primary key, Region varchar(9), `Region, id` int)")
	addVindex(t, db, "sch_s_two", "xxhash", "region")
	addVindex(t, db, "sch_s_two", "hash", "`region, id`")
	create(t, db, "table", odd, "(`c, ``d` bigint, id int not null, primary key (id, `c, ``d`))")
	addVindex(t, db, odd, "xxhash", "`c, ``d`")
	create(t, db, "table", "sch_s_keyless", "(id bigint)")
	addVindex(t, db, "sch_s_keyless", "xxhash", "id")
	create(t, db, "table", "sch_s_outside", "(id bigint primary key)")
	for _, size := range []int{1, 2, batchStatements} {
		db.batchSize = size
		got := contentsOf(t, db, "sch_s_")
		keys := map[string]string{}
		for _, table := range got.Tables {
			keys[table.Name] = strings.Join(table.MySQLKey, "|") + " > " + strings.Join(table.Key, "|")
		}
		want := map[string]string{
			"sch_s_two": "id > id|Region", odd: "id|c, `d > id|c, `d", "sch_s_keyless": " > ", "sch_s_outside": "id > id",
		}
		if diff := cmp.Diff(want, keys); diff != "" {
			t.Errorf("in packets of %d: %s", size, diff)
		}
		if len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "sch_s_outside") {
			t.Errorf("got warnings %q, want one, about the table outside the vschema", got.Warnings)
		}
	}
}

// A statement that fails ends its packet; the tables after it are still queried.
func TestVindexesGoOnAfterUnknownTable(t *testing.T) {
	db := openSandbox(t, "customer")
	for _, table := range []string{"sch_v_1", "sch_v_2", "sch_v_3"} {
		create(t, db, "table", table, "(id bigint primary key)")
		addVindex(t, db, table, "xxhash", "id")
	}
	got, err := db.primaryVindexes(t.Context(), []string{"sch_v_no", "sch_v_1", "sch_v_no", "sch_v_no", "sch_v_2", "sch_v_3", "sch_v_no"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"sch_v_1": "id", "sch_v_2": "id", "sch_v_3": "id"}, got); diff != "" {
		t.Error(diff)
	}
}

// A server may not accept several statements in a packet; they are then sent one by one.
func TestVindexesWithoutMultiStatements(t *testing.T) {
	db := openSandbox(t, "customer")
	for _, table := range []string{"sch_m_1", "sch_m_2"} {
		create(t, db, "table", table, "(id bigint primary key)")
		addVindex(t, db, table, "xxhash", "id")
	}
	config, err := newConfig(sandboxServer(t), os.Getenv("SANDBOX_USERNAME"), os.Getenv("SANDBOX_PASSWORD"))
	if err != nil {
		t.Fatal(err)
	}
	config.MultiStatements = false
	single := *db
	if single.sql, err = login(t.Context(), config, maxConnections, sandboxServer(t)); err != nil {
		t.Fatal(err)
	}
	defer single.Close()
	got, err := single.primaryVindexes(t.Context(), []string{"sch_m_1", "sch_m_no", "sch_m_2"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"sch_m_1": "id", "sch_m_2": "id"}, got); diff != "" {
		t.Error(diff)
	}
}

// Pages of any size return the same as one page, for names that differ only in case, accents and unusual letters.
func TestPages(t *testing.T) {
	db := openSandbox(t, "commerce")
	want := map[string][]table.Column{}
	columns := []table.Column{{Name: "id", Type: "int"}, {Name: "b", Type: "int", Nullable: true}}
	for _, suffix := range []string{"T", "t", "e", "E", "é", "É", "ss", "ß", "漢", "a b", "a\"", "a'", "a`", "a\\", "a;", "a%", "a_", "a.b", "K"} {
		name := "sch_p_" + suffix
		create(t, db, "table", name, "(id int primary key, b int)")
		want[name] = columns
	}
	conn := question(t, db)
	query := ownOnly(columnsQuery, "sch\\_p\\_%")
	for _, page := range []int{3, 4, 5, 7, len(want) * 2, pageRows} {
		got, err := byTable(t.Context(), conn, page, query, "", scanColumn)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %d: %s", page, diff)
		}
	}
	// A page that is filled by one table may be incomplete.
	if got, err := byTable(t.Context(), conn, 2, query, "", scanColumn); err == nil {
		t.Errorf("pages of 2: got %v, want an error", got)
	}
	for _, page := range []int{2, 3, 5} {
		got, err := byTable(t.Context(), conn, page, ownOnly(tablesQuery, "sch\\_p\\_%"), "", scanType)
		if err != nil || len(got) != len(want) {
			t.Errorf("tables in pages of %d: got %d, %v; want %d", page, len(got), err, len(want))
		}
		keys, err := byTable(t.Context(), conn, page, ownOnly(keysQuery, "sch\\_p\\_%"), "", scanKeyPart)
		if err != nil || len(keys) != len(want) {
			t.Errorf("keys in pages of %d: got %d, %v; want %d", page, len(keys), err, len(want))
		}
	}
}

// A page is as large as Vitess allows a result to be by default: one more row is refused.
func TestPageFitsServer(t *testing.T) {
	conn := question(t, openSandbox(t, "commerce"))
	count := func(limit int) (int, error) {
		rows, err := conn.QueryContext(t.Context(), "select a.id from information_schema.collations a, information_schema.collations b "+
			"limit ?", limit)
		if err != nil {
			return 0, err
		}
		got, err := named(rows)
		return len(got), err
	}
	if got, err := count(pageRows); err != nil || got != pageRows {
		t.Errorf("a page of %d: got %d rows, %v", pageRows, got, err)
	}
	if got, err := count(pageRows + 1); err == nil || !strings.Contains(err.Error(), "Row count exceeded") {
		t.Errorf("a page of %d: got %d rows, %v; want the server to refuse it", pageRows+1, got, err)
	}
}

// ownOnly excludes other tests' tables, which may have more columns than fit in a page, from a query.
func ownOnly(query, pattern string) string {
	return strings.Replace(query, "where ", fmt.Sprintf("where table_name like '%s' and ", pattern), 1)
}

// Between the pages tables are created, dropped and altered. The others are read completely, and these as
// they were before or after.
func TestPagesWhileTablesChange(t *testing.T) {
	db := openSandbox(t, "commerce")
	const definition = "(id int primary key, b int)"
	for i := range 12 {
		create(t, db, "table", fmt.Sprintf("sch_c_%02d", i), definition)
	}
	create(t, db, "table", "sch_c_021", definition)
	changes := map[string]func(){
		"sch_c_01":  func() { run(t, db, "drop table sch_c_01") }, // the table read last, where the next page starts
		"sch_c_021": func() { run(t, db, "drop table sch_c_021", "drop table sch_c_03") },
		"sch_c_04": func() {
			run(t, db, "alter table sch_c_04 add column first int first", "alter table sch_c_05 drop column b")
		},
		"sch_c_06": func() {
			create(t, db, "table", "sch_c_061", definition)
			create(t, db, "table", "sch_c_001", definition)
		},
	}
	got, err := byTable(
		t.Context(),
		question(t, db),
		3,
		ownOnly(columnsQuery, "sch\\_c\\_%"),
		"",
		func(rows *sql.Rows) (string, table.Column, error) {
			table, column, err := scanColumn(rows)
			if change, ok := changes[table]; ok {
				delete(changes, table)
				change()
			}
			return table, column, err
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	shapes := map[string]string{}
	for table, columns := range got {
		names := make([]string, len(columns))
		for i, column := range columns {
			names[i] = column.Name
		}
		shapes[table] = strings.Join(names, " ")
	}
	checkShapes(t, shapes)
}

func checkShapes(t *testing.T, shapes map[string]string) {
	t.Helper()
	either := map[string][]string{
		"sch_c_01": {"id b", ""}, "sch_c_021": {"id b", ""}, "sch_c_03": {"id b", ""},
		"sch_c_04": {"id b", "first id b"}, "sch_c_05": {"id b", "id"}, "sch_c_061": {"id b", ""}, "sch_c_001": {"id b", ""},
	}
	for i := range 12 {
		name := fmt.Sprintf("sch_c_%02d", i)
		if either[name] == nil {
			either[name] = []string{"id b"}
		}
	}
	for name, allowed := range either {
		if !slices.Contains(allowed, shapes[name]) {
			t.Errorf("table %s has columns %q, want one of %q", name, shapes[name], allowed)
		}
		delete(shapes, name)
	}
	if len(shapes) > 0 {
		t.Errorf("tables that never existed: %v", shapes)
	}
}

func TestTablesRefused(t *testing.T) {
	db := openSandbox(t, "commerce")
	db.tabletType = "batch" // Vitess knows the type, and the sandbox has no tablet of it
	if _, err := db.Tables(t.Context()); !errors.Is(err, ErrRefused) || errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v, want ErrRefused", err)
	}
}

// The repeated query for columns returns the same columns as the first query for tables.
func TestColumnsAreThoseOfTables(t *testing.T) {
	db := openSandbox(t, "customer")
	create(t, db, "table", "sch_c_1", "(id bigint primary key, e enum('a','b') not null, t varchar(9) character set latin1)")
	create(t, db, "table", "sch_c_2", "(id bigint primary key)")
	for _, shard := range shardsIn(t, db) {
		for _, only := range []string{"", "sch_c_1", "sch_c_none"} {
			tables, err := db.TablesOf(t.Context(), shard, only)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string][]table.Column{}
			for _, table := range tables.Tables {
				if strings.HasPrefix(table.Name, "sch_c_") { // other tests create and drop others
					want[table.Name] = table.Columns
				}
			}
			columns, err := db.ColumnsOf(t.Context(), shard, only)
			if err != nil {
				t.Fatal(err)
			}
			maps.DeleteFunc(columns, func(name string, _ []table.Column) bool { return !strings.HasPrefix(name, "sch_c_") })
			if diff := cmp.Diff(want, columns); diff != "" {
				t.Errorf("shard %s, only %q: %s", shard, only, diff)
			}
			if tables := map[string]int{"": 2, "sch_c_1": 1}[only]; len(columns) != tables {
				t.Errorf("shard %s, only %q: got %d tables, expected %d", shard, only, len(columns), tables)
			}
		}
	}
}
