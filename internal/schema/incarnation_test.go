package schema

import (
	"errors"
	"strings"
	"testing"

	"source-planetscale/internal/table"

	"github.com/go-sql-driver/mysql"
)

// incarnationOf queries the shard for one table, which must exist.
func incarnationOf(t *testing.T, db *DB, shard, name string) table.Incarnation {
	t.Helper()
	found, err := db.Incarnations(t.Context(), shard, []string{name, "sch_i_none"})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := found[name]; !ok || len(found) != 1 {
		t.Fatalf("got %v, want only %s", found, name)
	}
	return found[name]
}

// Which ids a real server changes when rows are replaced, and which it does not.
func TestIncarnations(t *testing.T) {
	db := openSandbox(t, "commerce")
	const plain, twin, parts, odd = "sch_i_plain", "sch_i_twin", "sch_i_parts", "sch_i a-b.c#p漢"
	const columns = "(id int primary key, v int)"
	create(t, db, "table", plain, columns)
	create(t, db, "table", twin, columns)
	create(t, db, "table", odd, columns)
	create(t, db, "table", parts, columns+" partition by range (id) (partition p0 values less than (10), partition p1 values less than (20))")
	for _, c := range []struct {
		statement, name string
		want            table.Replacement
	}{
		{"insert into sch_i_plain (id) values (1)", plain, table.Kept},
		{"alter table sch_i_plain add column w int", plain, table.Kept},
		{"alter table sch_i_plain add index (v)", plain, table.Kept},
		{"analyze table sch_i_plain", plain, table.Kept},
		{"truncate table sch_i_plain", plain, table.Replaced},
		{"truncate table `" + odd + "`", odd, table.Replaced},
		{"insert into sch_i_parts (id) values (1)", parts, table.Kept},
		{"alter table sch_i_parts add partition (partition p2 values less than (30))", parts, table.Kept},
		{"alter table sch_i_parts exchange partition p0 with table sch_i_twin", parts, table.Replaced},
		{"alter table sch_i_parts exchange partition p0 with table sch_i_twin", twin, table.Replaced},
		{"alter table sch_i_parts truncate partition p1", parts, table.Replaced},
		{"alter table sch_i_parts drop partition p1", parts, table.Replaced},
		{"drop table sch_i_twin;create table sch_i_twin " + columns, twin, table.Replaced},
	} {
		before := incarnationOf(t, db, "-", c.name)
		run(t, db, append([]string{"use " + quoted(db.target("-"))}, strings.Split(c.statement, ";")...)...)
		if got := incarnationOf(t, db, "-", c.name).Since(before); got != c.want {
			t.Errorf("%s: %s is %v, want %v", c.statement, c.name, got, c.want)
		}
	}
	run(t, db, "use "+quoted(db.target("-")), "rename table sch_i_plain to sch_i_former, sch_i_twin to sch_i_plain, sch_i_former to "+
		"sch_i_twin")
}

// The results are the same for pages of any size, and for a query by name or for all tables.
func TestIncarnationsInPages(t *testing.T) {
	db := openSandbox(t, "customer")
	shard := shardsIn(t, db)[0]
	create(t, db, "table", "sch_j_parts", "(id int primary key) partition by hash (id) partitions 7")
	create(t, db, "table", "sch_j_one", "(id int primary key)")
	names := []string{"sch_j_parts", "sch_j_one"}
	for range namedTables {
		names = append(names, "sch_j_none")
	}
	want, err := db.Incarnations(t.Context(), shard, names[:2])
	if err != nil || len(want["sch_j_parts"].IDs) != 7 || len(want["sch_j_one"].IDs) != 1 {
		t.Fatalf("got %v, %v; want 7 partitions and one table", want, err)
	}
	for _, page := range []int{1, 3, 8, pageRows} {
		db.pageRows = page
		for _, some := range [][]string{names[:2], names} {
			got, err := db.Incarnations(t.Context(), shard, some)
			if err != nil {
				t.Fatal(err)
			}
			for name, i := range want {
				if got[name].String() != i.String() {
					t.Errorf("%d names in pages of %d: %s is %v, want %v", len(some), page, name, got[name], i)
				}
			}
		}
	}
	if got, err := db.Incarnations(t.Context(), shard, nil); err != nil || len(got) != 0 {
		t.Errorf("for no tables: %v, %v", got, err)
	}
}

func TestIncarnationsOfServersThatTakeTurns(t *testing.T) {
	page := [][]string{
		{"@@server_uuid", "database()", "name", "table_id"},
		{"a", "vt_shop", "vt_shop/orders#p#p0", "7"},
		{"b", "vt_shop", "vt_shop/orders#p#p1", "9"},
	}
	tries := 0
	db := scripted(func(statement string) ([][]string, error) {
		if !strings.HasPrefix(statement, "select") {
			return nil, nil
		}
		if tries++; tries == 3 {
			page[2][0] = "a"
		}
		return page, nil
	}).open(t)
	got, err := db.Incarnations(t.Context(), "-", []string{"orders"})
	if err != nil || got["orders"].String() != "a:7,9" {
		t.Errorf("got %v, %v", got, err)
	}
	page[2][0], tries = "b", 3
	if got, err := db.Incarnations(t.Context(), "-", []string{"orders"}); !errors.Is(err, ErrRefused) {
		t.Errorf("servers that keep alternating: %v, %v", got, err)
	}
}

func TestIncarnationsRefused(t *testing.T) {
	db := scripted(func(string) ([][]string, error) {
		return nil, &mysql.MySQLError{Number: 1227, Message: "Access denied; you need (at least one of) the PROCESS privilege(s) for this " +
			"operation"}
	}).open(t)
	if _, err := db.Incarnations(t.Context(), "-", []string{"orders"}); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
}
