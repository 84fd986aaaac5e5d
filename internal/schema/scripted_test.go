package schema

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"source-planetscale/internal/table"

	"github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"
)

// scripted answers statements in ways that the sandbox's servers cannot: the first row of a result names the columns.
type scripted func(statement string) ([][]string, error)

func (s scripted) open(t *testing.T) *DB {
	t.Helper()
	db := &DB{sql: sql.OpenDB(s), keyspace: "shop", tabletType: "primary", pageRows: pageRows, batchSize: 1}
	t.Cleanup(func() { db.Close() })
	return db
}

func (s scripted) Connect(context.Context) (driver.Conn, error) { return s, nil }
func (s scripted) Driver() driver.Driver                        { return nil }
func (s scripted) Prepare(string) (driver.Stmt, error)          { return nil, errors.New("not scripted") }

func (s scripted) Begin() (driver.Tx, error) { return nil, errors.New("not scripted") }
func (s scripted) Close() error              { return nil }

func (s scripted) ExecContext(_ context.Context, statement string, _ []driver.NamedValue) (driver.Result, error) {
	_, _ = s(statement)
	return driver.ResultNoRows, nil
}

// QueryContext answers the statements of a packet one by one; an error ends the packet. If there are no rows, the result has no columns.
func (s scripted) QueryContext(_ context.Context, packet string, _ []driver.NamedValue) (driver.Rows, error) {
	r := &scriptedRows{script: s, left: strings.Split(packet, ";")}
	return r, r.NextResultSet()
}

type scriptedRows struct {
	script  scripted
	left    []string
	columns []string
	rows    [][]string
}

func (r *scriptedRows) HasNextResultSet() bool { return len(r.left) > 0 }

func (r *scriptedRows) NextResultSet() error {
	if len(r.left) == 0 {
		return io.EOF
	}
	statement := r.left[0]
	r.left = r.left[1:]
	rows, err := r.script(statement)
	if err != nil {
		return err
	}
	r.columns, r.rows = nil, nil
	if len(rows) > 0 {
		r.columns, r.rows = rows[0], rows[1:]
	}
	return nil
}

func (r *scriptedRows) Columns() []string { return r.columns }
func (r *scriptedRows) Close() error      { return nil }
func (r *scriptedRows) Next(into []driver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	for i, value := range r.rows[0] {
		into[i] = value
	}
	r.rows = r.rows[1:]
	return nil
}

var (
	errNotAllowed = &mysql.MySQLError{Number: 1105, Message: "not allowed"}
	twoShards     = [][]string{{"Shards"}, {"shop/-80"}, {"shop/80-"}}
	oneShard      = [][]string{{"Shards"}, {"shop/-"}}
)

func TestShardsOfNewKeyspace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		db := scripted(func(string) ([][]string, error) {
			if time.Since(start) < shardsWait/2 {
				return [][]string{{"Shards"}, {"other/-"}}, nil
			}
			return twoShards, nil
		}).open(t)
		shards, err := db.Shards(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"-80", "80-"}, shards); diff != "" {
			t.Error(diff)
		}
	})
}

// During a split, replicas may serve other shards than primaries do.
func TestShardsAreThoseOfPrimaries(t *testing.T) {
	target := ""
	db := scripted(func(statement string) ([][]string, error) {
		switch {
		case strings.HasPrefix(statement, "use "):
			target = statement
		case target == "use `shop@primary`":
			return oneShard, nil
		}
		return twoShards, nil
	}).open(t)
	db.tabletType = "replica"
	if shards, err := db.Shards(t.Context()); err != nil || !slices.Equal(shards, []string{"-"}) {
		t.Errorf("got %v, %v", shards, err)
	}
}

func TestShardsOfKeyspaceWithout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := scripted(func(string) ([][]string, error) { return [][]string{{"Shards"}}, nil }).open(t)
		shards, err := db.Shards(t.Context())
		if !errors.Is(err, ErrNoShards) || !strings.Contains(err.Error(), "keyspace shop") {
			t.Errorf("got %v, %v; want ErrNoShards and the keyspace's name", shards, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(shardsPoll/2, cancel)
		if shards, err := db.Shards(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnreachable) {
			t.Errorf("cancelled: got %v, %v", shards, err)
		}
	})
}

func TestSharded(t *testing.T) {
	cases := []struct {
		name      string
		keyspaces [][]string // nil: the server does not show the vschema
		shards    [][]string
		want      bool
	}{
		{"by vschema, one shard", [][]string{{"Keyspace", "Sharded"}, {"other", "false"}, {"shop", "true"}}, oneShard, true},
		{"not by vschema", [][]string{{"Keyspace", "Sharded", "New"}, {"shop", "false", "true"}}, oneShard, false},
		{"not shown, two shards", nil, twoShards, true},
		{"not shown, one shard", nil, oneShard, false},
		{"not shown, one old shard", nil, [][]string{{"Shards"}, {"shop/0"}}, false},
		{"not shown, part of a keyspace", nil, [][]string{{"Shards"}, {"shop/-80"}}, true},
		{"shown without the keyspace", [][]string{{"Keyspace", "Sharded"}}, twoShards, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			db := scripted(func(statement string) ([][]string, error) {
				switch {
				case statement == "show vitess_shards":
					return c.shards, nil
				case c.keyspaces == nil:
					return nil, errNotAllowed
				}
				return c.keyspaces, nil
			}).open(t)
			if got, err := db.sharded(t.Context()); err != nil || got != c.want {
				t.Errorf("got %v, %v; want %v", got, err, c.want)
			}
		})
	}
}

// If the server refuses to show the vschema, that is a warning; a lost connection is an error.
func TestVschemaNotShown(t *testing.T) {
	for _, c := range []struct {
		err     error
		warning bool
	}{{errNotAllowed, true}, {io.ErrUnexpectedEOF, false}} {
		db := scripted(func(statement string) ([][]string, error) {
			if strings.HasPrefix(statement, "show vschema vindexes") {
				return nil, c.err
			}
			return twoShards, nil
		}).open(t)
		id := []string{"id"}
		contents := &Contents{Tables: []table.Table{{Name: "t", Columns: []table.Column{{Name: "id"}}, Key: id, MySQLKey: id}}}
		err := db.AddVindexes(t.Context(), contents)
		if (err == nil) != c.warning || len(contents.Warnings) == 1 != c.warning {
			t.Errorf("%v: got error %v and warnings %q", c.err, err, contents.Warnings)
		}
		if diff := cmp.Diff(id, contents.Tables[0].Key); diff != "" {
			t.Errorf("%v: %s", c.err, diff)
		}
	}
}

// A reference table is in the vschema without a vindex, and is the same in each shard.
func TestReferenceTable(t *testing.T) {
	db := scripted(func(statement string) ([][]string, error) {
		if strings.HasPrefix(statement, "show vschema vindexes") {
			return [][]string{{"Columns", "Name"}}, nil
		}
		return twoShards, nil
	}).open(t)
	id := []string{"id"}
	contents := &Contents{Tables: []table.Table{{Name: "t", Columns: []table.Column{{Name: "id"}}, Key: id, MySQLKey: id}}}
	if err := db.AddVindexes(t.Context(), contents); err != nil || len(contents.Warnings) != 0 {
		t.Errorf("got error %v and warnings %q, want neither", err, contents.Warnings)
	}
	if diff := cmp.Diff(id, contents.Tables[0].Key); diff != "" {
		t.Error(diff)
	}
}
