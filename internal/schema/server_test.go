package schema

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/gtid"

	"github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"
)

func TestShards(t *testing.T) {
	for keyspace, want := range map[string]bool{"commerce": false, "customer": true} {
		db := openSandbox(t, keyspace)
		shards, err := db.Shards(t.Context())
		if err != nil || len(shards) > 1 != want {
			t.Errorf("%s has shards %q, %v", keyspace, shards, err)
		}
		if sharded, err := db.sharded(t.Context()); err != nil || sharded != want {
			t.Errorf("%s is sharded: %v, %v; want %v", keyspace, sharded, err, want)
		}
	}
}

func TestTablets(t *testing.T) {
	db := openSandbox(t, "customer")
	tablets, err := db.Tablets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	primaries := []string{}
	for _, tablet := range tablets {
		if tablet.Type == "primary" && tablet.Serving {
			primaries = append(primaries, tablet.Shard)
		}
	}
	slices.Sort(primaries)
	if diff := cmp.Diff(shardsIn(t, db), primaries); diff != "" {
		t.Errorf("shards and serving primaries differ: %s", diff)
	}
}

func TestVariables(t *testing.T) {
	db := openSandbox(t, "customer")
	got, err := db.Variables(t.Context(), shardsIn(t, db)[0])
	if err != nil {
		t.Fatal(err)
	}
	want := Variables{RowImage: "FULL", Format: "ROW", Vitess: os.Getenv("SANDBOX_VTGATE_VERSION"), MySQL: got.MySQL}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if major, _, _ := strings.Cut(got.MySQL, "."); major != "8" && major != "9" {
		t.Errorf("MySQL reports the version %q", got.MySQL)
	}
	if _, err := db.Variables(t.Context(), "nosuch"); !errors.Is(err, ErrRefused) {
		t.Errorf("for a shard that does not exist: got %v, want ErrRefused", err)
	}
}

// The variables of the shared server cannot be changed, so the query has values in place of them.
func TestTagsAreSeen(t *testing.T) {
	db := openSandbox(t, "customer")
	const server = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	for set, want := range map[string]bool{
		"": false, server + ":1-5": false, server + ":1-5:7," + server[:35] + "0:1": false, server + ":1-5,\n" + server[:35] + "0:1-3": false,
		server + ":1-5:tag:1": true, server + ":_x:1": true, server + ":1-5,\n" + server[:35] + "0: dump:1-3": true,
	} {
		query := strings.Replace(variablesQuery, "@@global.gtid_executed", "'"+set+"'", 1)
		var v Variables
		err := db.askShard(t.Context(), shardsIn(t, db)[0], query, nil, &v.RowImage, &v.RowValueOptions, &v.TaggedGTIDs, &v.Vitess, &v.MySQL)
		if err != nil || v.TaggedGTIDs != want {
			t.Errorf("%q has tags: %v, %v", set, v.TaggedGTIDs, err)
		}
	}
}

func TestVariablesOfAServerWithoutBinlogFormat(t *testing.T) {
	for number, want := range map[uint16]string{erUnknownVariable: "ROW", 1105: ""} {
		db := scripted(func(statement string) ([][]string, error) {
			switch statement {
			case variablesQuery:
				return [][]string{{"row_image", "row_value_options", "tagged", "vtgate", "mysql"}, {"FULL", "", "0", "PlanetScale", "8.0.40"}}, nil
			case formatQuery:
				return nil, &mysql.MySQLError{Number: number, Message: "Unknown system variable 'binlog_format'"}
			}
			return nil, nil
		}).open(t)
		v, err := db.Variables(t.Context(), "-")
		if v.Format != want || (err != nil) != (want == "") {
			t.Errorf("error %d: %+v, %v", number, v, err)
		}
	}
}

func TestVersionsThatServersSay(t *testing.T) {
	for said, want := range map[string]string{
		"Version: 24.0.4 (Git revision  branch '') built on  by @ using go1.26.8 linux/amd64": "24.0.4",
		"Version: 22.0.0-rc1 (Git revision 1 branch 'x')":                                     "22.0.0",
		"Version: 24.0":     "",
		"PlanetScale":       "",
		"":                  "",
		"Version: 24.0.4x":  "",
		" Version: 24.0.4 ": "",
	} {
		if got := versionIn(vitessVersion, said); got != want {
			t.Errorf("%q is Vitess %q, want %q", said, got, want)
		}
	}
	for said, want := range map[string]string{"9.7.4": "9.7.4", "8.0.40-PlanetScale": "8.0.40", "8.4.6-Vitess": "8.4.6", "MySQL": "", "": ""} {
		if got := versionIn(mysqlVersion, said); got != want {
			t.Errorf("%q is MySQL %q, want %q", said, got, want)
		}
	}
}

// MySQL before 8.0.3 does not have all of the variables: the query is refused, and the sync does without it.
func TestVariablesOfAnOlderServer(t *testing.T) {
	db := scripted(func(statement string) ([][]string, error) {
		if statement == variablesQuery {
			return nil, &mysql.MySQLError{Number: erUnknownVariable, Message: "Unknown system variable 'binlog_row_value_options'"}
		}
		return nil, nil
	}).open(t)
	if v, err := db.Variables(t.Context(), "-"); !errors.Is(err, ErrRefused) {
		t.Errorf("got %+v, %v", v, err)
	}
}

func TestPurged(t *testing.T) {
	db := openSandbox(t, "customer")
	shard := shardsIn(t, db)[1]
	var executed, purged string
	if err := db.askShard(t.Context(), shard, "select @@global.gtid_executed as e, @@global.gtid_purged as p", nil, &executed, &purged); err != nil {
		t.Fatal(err)
	}
	for _, position := range []string{executed, "MySQL56/" + executed, purged} {
		if got, err := db.Purged(t.Context(), shard, position); err != nil || got {
			t.Errorf("%q: got %v, %v; want it not purged", position, got, err)
		}
	}
	if _, err := db.Purged(t.Context(), shard, "nonsense'"); !errors.Is(err, ErrRefused) {
		t.Errorf("a malformed position: got %v, want ErrRefused", err)
	}
}

// The logs of the shared server cannot be purged, so the query has a value in place of gtid_purged.
func TestPurgedQuery(t *testing.T) {
	db := openSandbox(t, "customer")
	const server = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	query := strings.Replace(purgedQuery, "@@global.gtid_purged", "'"+server+":1-5'", 1)
	for position, want := range map[string]bool{server + ":1-5": true, server + ":1-9": true, server + ":1-4": false, "": false} {
		var intact bool
		if err := db.askShard(t.Context(), shardsIn(t, db)[0], query, []any{position}, &intact); err != nil || intact != want {
			t.Errorf("%q after a purge of 1-5: intact %v, %v; want %v", position, intact, err, want)
		}
	}
}

// Each shard counts its own rows.
func TestTableSizes(t *testing.T) {
	db := openSandbox(t, "customer")
	create(t, db, "table", "sch_e_rows", "(id bigint primary key, pad char(200))")
	addVindex(t, db, "sch_e_rows", "xxhash", "id")
	create(t, db, "view", "sch_e_view", "as select id from sch_e_rows")
	var values []string
	for id := range 400 {
		values = append(values, fmt.Sprintf("(%d, 'x')", id))
	}
	run(t, db, "insert into sch_e_rows (id, pad) values "+strings.Join(values, ","))
	for _, shard := range shardsIn(t, db) {
		run(t, db, "use "+quoted(db.target(shard)), "analyze table sch_e_rows")
	}
	got, err := db.TableSizes(t.Context(), gtid.Shards(db.keyspace, shardsIn(t, db)...))
	if err != nil {
		t.Fatal(err)
	}
	// The table is small enough for MySQL to count it exactly.
	all := int64(0)
	for _, shard := range shardsIn(t, db) {
		size := got[gtid.Shard{Keyspace: db.keyspace, Name: shard}]["sch_e_rows"]
		if all += size.Rows; size.Rows == 0 || size.Bytes < size.Rows*200 {
			t.Errorf("got %+v for shard %s, want some rows and at least the size of their values", size, shard)
		}
		if size, ok := got[gtid.Shard{Keyspace: db.keyspace, Name: shard}]["sch_e_view"]; ok {
			t.Errorf("a view is counted: %+v", size)
		}
	}
	if all != 400 {
		t.Errorf("got %d rows in all shards, want 400", all)
	}
}

// A connection in the pool keeps the target of its last use.
func TestTargetsDoNotLeak(t *testing.T) {
	db := openSandbox(t, "customer")
	db.sql.SetMaxOpenConns(1)
	for range 2 {
		if _, err := db.Variables(t.Context(), shardsIn(t, db)[0]); err != nil {
			t.Fatal(err)
		}
		var target string
		conn := question(t, db)
		if err := conn.QueryRowContext(t.Context(), "select database() as t").Scan(&target); err != nil || target != "customer@primary" {
			t.Fatalf("got target %q, %v", target, err)
		}
		conn.Close()
	}
}
