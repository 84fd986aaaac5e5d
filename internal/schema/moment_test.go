package schema

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/table"

	"github.com/google/go-cmp/cmp"
)

func mustParse(t *testing.T, position string) gtid.Position {
	t.Helper()
	p, err := gtid.Parse("MySQL56/" + strings.ReplaceAll(position, "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The positions before and after each query of the columns are in order, and an ALTER between two queries lies between their positions.
func TestColumnsAt(t *testing.T) {
	db := openSandbox(t, "customer")
	shard := shardsIn(t, db)[0]
	create(t, db, "table", "sch_k_a", "(id bigint primary key, e enum('a','b') not null)")
	create(t, db, "table", "sch_k_b", "(id bigint primary key, t text character set latin1)")
	names := []string{"sch_k_b", "sch_k_none", "sch_k_a"}
	first, err := db.ColumnsAt(t.Context(), shard, names)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]table.Column{
		"sch_k_a": {{Name: "id", Type: "bigint"}, {Name: "e", Type: "enum('a','b')", Charset: "utf8mb4"}},
		"sch_k_b": {{Name: "id", Type: "bigint"}, {Name: "t", Type: "text", Nullable: true, Charset: "latin1"}},
	}
	if diff := cmp.Diff(want, first.Columns); diff != "" {
		t.Error(diff)
	}
	run(t, db, "alter table sch_k_a add column v int")
	second, err := db.ColumnsAt(t.Context(), shard, names)
	if err != nil {
		t.Fatal(err)
	}
	if got := second.Columns["sch_k_a"]; len(got) != 3 || len(second.Columns["sch_k_b"]) != 2 {
		t.Errorf("after the ALTER the columns are %v", second.Columns)
	}
	if first.Server == "" || first.Server != second.Server {
		t.Errorf("the servers are %q and %q", first.Server, second.Server)
	}
	positions := []string{first.Before, first.After, second.Before, second.After}
	for i, later := range positions[1:] {
		if !mustParse(t, later).Contains(mustParse(t, positions[i])) {
			t.Errorf("position %d is not after the one before it: %q", i+1, positions)
		}
	}
	if mustParse(t, first.After).Contains(mustParse(t, second.Before)) {
		t.Errorf("the ALTER is not between %s and %s", first.After, second.Before)
	}
}

// A packet that fails in the middle leaves its transaction open, and the connection is reused.
func TestColumnsAtThatFailsEndsItsTransaction(t *testing.T) {
	for failing, want := range map[string]string{
		"begin":          "use begin rollback",
		"select @@":      "use begin select rollback",
		"select table_n": "use begin select select rollback",
	} {
		var statements []string
		db := scripted(func(statement string) ([][]string, error) {
			statements = append(statements, strings.Fields(statement)[0])
			if strings.HasPrefix(statement, failing) {
				return nil, errNotAllowed
			}
			return nil, nil
		}).open(t)
		if _, err := db.ColumnsAt(t.Context(), "-", []string{"orders"}); !errors.Is(err, ErrRefused) {
			t.Errorf("%s fails: %v, want ErrRefused", failing, err)
		}
		if got := strings.Join(statements, " "); got != want {
			t.Errorf("%s fails: %q was sent, want %q", failing, got, want)
		}
	}
}

// Tables are queried in parts if their columns would fill a result.
func TestColumnsAtOfManyColumns(t *testing.T) {
	db := openSandbox(t, "customer")
	shard := shardsIn(t, db)[0]
	var names []string
	for i := range 7 {
		name := fmt.Sprintf("sch_w_%d", i)
		create(t, db, "table", name, "(id int primary key, a int, b int)")
		names = append(names, name)
	}
	for _, page := range []int{4, 7, 22, pageRows} {
		db.pageRows = page
		m, err := db.ColumnsAt(t.Context(), shard, names)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if len(m.Columns[name]) != 3 {
				t.Errorf("pages of %d: %s has %v", page, name, m.Columns[name])
			}
		}
	}
	db.pageRows = 3
	if _, err := db.ColumnsAt(t.Context(), shard, names); err == nil {
		t.Error("a table that does not fit into a result is not an error")
	}
}

func TestColumnsAtRefused(t *testing.T) {
	db := scripted(func(string) ([][]string, error) { return nil, errNotAllowed }).open(t)
	if _, err := db.ColumnsAt(t.Context(), "-", []string{"orders"}); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
}

// The servers answer alternately, as a shard's tablets do if a transaction does not keep the queries on one of them.
func TestColumnsAtOfServersThatTakeTurns(t *testing.T) {
	servers := []string{"a", "b", "b", "a", "c", "c"}
	var statements []string
	db := scripted(func(statement string) ([][]string, error) {
		statements = append(statements, strings.Fields(statement)[0])
		switch {
		case statement == positionQuery:
			server := servers[0]
			servers = append(servers[1:], server)
			return [][]string{{"uuid", "gtid"}, {server, fmt.Sprint(len(statements))}}, nil
		case strings.HasPrefix(statement, "select"):
			return [][]string{{"t", "c", "type", "nullable", "charset"}, {"orders", "id", "int", "NO", ""}, {"ORDERS", "v", "int", "NO", ""}}, nil
		}
		return nil, nil
	}).open(t)
	m, err := db.ColumnsAt(t.Context(), "-", []string{"orders"})
	want := Moment{Server: "c", Before: "15", After: "17", Columns: map[string][]table.Column{"orders": {{Name: "id", Type: "int"}}}}
	if diff := cmp.Diff(want, m); err != nil || diff != "" {
		t.Errorf("%v: %s", err, diff)
	}
	if got := strings.Join(statements[:6], " "); got != "use begin select select select rollback" {
		t.Errorf("a packet is %q", got)
	}
	servers = []string{"a", "b"}
	if m, err := db.ColumnsAt(t.Context(), "-", []string{"orders"}); !errors.Is(err, ErrRefused) {
		t.Errorf("servers that keep alternating: %+v, %v", m, err)
	}
}
