package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"source-planetscale/internal/sandbox"
	"source-planetscale/internal/torture"
)

// tortureTopology is the topology of the test's own cluster, whose servers it changes and breaks.
// tortureTablets are those of a shard of the sharded keyspace: a primary and a replica.
const tortureTablets = 2

func tortureTopology() sandbox.Topology {
	return sandbox.Topology{
		{Name: "commerce", Shards: []sandbox.Shard{{Name: "-", Tablets: 3}}},
		{
			Name:   "customer",
			Shards: []sandbox.Shard{{Name: "-80", Tablets: tortureTablets}, {Name: "80-", Tablets: tortureTablets}},
			VSchema: `{"sharded": true, "vindexes": {"hash": {"type": "hash"}, "xxhash": {"type": "xxhash"},
				"loose": {"type": "unicode_loose_xxhash"}, "region": {"type": "multicol", "params": {"column_count": "2"}}}}`,
		},
	}
}

// tortureRig has a cluster, the connector's program, and the connections to both.
type tortureRig struct {
	*sandbox.Sandbox
	program string // the built connector
	dir     string
	gates   map[string]*sql.DB // vtgate, by keyspace
	proxies map[string]*proxy  // between the connector and vtgate, by face (see face) and protocol
	plays   int
	run     string // part of the names of this run's tables
	note    func(format string, args ...any)
	counts  map[string]int
	without map[string]bool // tags that are not generated, see withoutTags
	clock   *clock          // of the connector
	bound   time.Duration   // how long a sync may take without a fault in the cluster
	serving []string        // shards of the sharded keyspace
	tablets map[string]tabletsOf
	broken  error // why no further history can be played
}

func newTortureRig(t *testing.T) *tortureRig {
	t.Helper()
	program := os.Getenv("TORTURE_PROGRAM")
	if program == "" {
		program = settableConnector(t)
	}
	dir := os.Getenv("TORTURE_SANDBOX") // kept, so that the next run starts quickly
	if dir == "" {
		dir = t.TempDir()
	}
	s, err := sandbox.Up(t.Context(), dir, tortureTopology(), testLog{t})
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("TORTURE_SANDBOX") == "" {
		t.Cleanup(func() {
			if err := s.Purge(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	r := &tortureRig{
		Sandbox: s, program: program, dir: t.TempDir(), gates: map[string]*sql.DB{}, tablets: map[string]tabletsOf{},
		run: fmt.Sprintf("t%x", time.Now().Unix()&0xfffff), note: t.Logf, counts: map[string]int{}, without: withoutTags(t), bound: time.Minute,
		clock:   newClock(t),
		serving: shardsAtFirst(),
	}
	if os.Getenv("TORTURE_SANDBOX") != "" {
		if err := r.restoreShards(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.empty(t)
	}
	r.proxies = map[string]*proxy{
		"plain mysql": newProxy(t, s.PlainMySQL), "plain grpc": newProxy(t, s.PlainGRPC),
		"hosted mysql": newProxy(t, net.JoinHostPort(s.Host, strconv.Itoa(s.MySQLPort))),
		"hosted grpc":  newProxy(t, net.JoinHostPort(s.Host, strconv.Itoa(s.GRPCPort))),
	}
	t.Cleanup(func() {
		for _, db := range r.gates {
			db.Close()
		}
	})
	return r
}

// empty drops the tables that an interrupted run has left.
func (r *tortureRig) empty(t *testing.T) {
	t.Helper()
	for _, keyspace := range []string{"commerce", "customer"} {
		for _, shard := range r.shardsOf(keyspace) {
			db, err := r.direct(t.Context(), keyspace, shard)
			if err != nil {
				t.Fatal(err)
			}
			tables := &torture.Table{Columns: []torture.Column{{Name: "name"}, {Name: "kind"}}}
			err = r.addRows(t.Context(), tables, keyspace, shard, "select table_name, table_type from information_schema.tables where table_schema = database()")
			for _, row := range tables.Rows {
				if err == nil && strings.HasPrefix(string(row["name"]), "t") {
					kind := strings.TrimPrefix(string(row["kind"]), "BASE ")
					_, err = db.ExecContext(t.Context(), "drop "+kind+" "+torture.Quote(string(row["name"])))
				}
			}
			db.Close()
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// gate opens a keyspace through vtgate. Its sessions accept any value that MySQL can be configured to accept.
func (r *tortureRig) gate(keyspace string) *sql.DB {
	if r.gates[keyspace] == nil {
		c := mysql.NewConfig()
		c.Net, c.Addr, c.User, c.DBName, c.Logger = "tcp", r.PlainMySQL, "root", keyspace, &mysql.NopLogger{}
		c.Params = map[string]string{"sql_mode": "'ALLOW_INVALID_DATES'"}
		r.gates[keyspace] = mustOpen(c)
	}
	return r.gates[keyspace]
}

func mustOpen(c *mysql.Config) *sql.DB {
	connector, err := mysql.NewConnector(c)
	if err != nil {
		panic(err) // the configuration above is wrong
	}
	return sql.OpenDB(connector)
}

// tabletsOf are a shard's tablets.
type tabletsOf struct {
	primary  string
	replicas []string
}

// tabletsOf says which tablets a shard has. Each answer of the topology takes a process: it is kept until a step that may change it.
func (r *tortureRig) tabletsOf(ctx context.Context, keyspace, shard string) (tabletsOf, error) {
	target := keyspace + "/" + shard
	if known, ok := r.tablets[target]; ok {
		return known, nil
	}
	primary, err := r.Primary(ctx, keyspace, shard)
	if err != nil {
		return tabletsOf{}, err
	}
	replicas, err := r.Replicas(ctx, keyspace, shard)
	if err != nil {
		return tabletsOf{}, err
	}
	r.tablets[target] = tabletsOf{primary, replicas}
	return r.tablets[target], nil
}

// direct opens the mysqld of a shard's primary, bypassing Vitess.
func (r *tortureRig) direct(ctx context.Context, keyspace, shard string) (*sql.DB, error) {
	tablets, err := r.tabletsOf(ctx, keyspace, shard)
	if err != nil {
		return nil, err
	}
	return r.server(keyspace, tablets.primary), nil
}

// server opens a tablet's mysqld.
func (r *tortureRig) server(keyspace, tablet string) *sql.DB {
	socket := filepath.Join(r.Dir, "data", "mysqld-"+tablet, "data", "mysql.sock")
	if wd, err := os.Getwd(); err == nil { // Linux limits a socket's path to 107 bytes
		if short, err := filepath.Rel(wd, socket); err == nil && len(short) < len(socket) {
			socket = short
		}
	}
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.DBName, c.Logger = "unix", socket, "vt_dba", "vt_"+keyspace, &mysql.NopLogger{}
	c.Params = map[string]string{"sql_mode": "'ALLOW_INVALID_DATES'"}
	return mustOpen(c)
}

// table reads a table: its rows in these shards, or in all of them, and its columns in the first.
func (r *tortureRig) table(ctx context.Context, keyspace, name string, shards []string) (*torture.Table, error) {
	if shards == nil {
		shards = r.shardsOf(keyspace)
	}
	columns, err := r.columnsOf(ctx, keyspace, shards[0], name)
	if err != nil {
		return nil, err
	}
	t := &torture.Table{Columns: columns}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = torture.Quote(c.Name)
	}
	for _, shard := range shards {
		if err := r.addRows(ctx, t, keyspace, shard, "select "+strings.Join(names, ", ")+" from "+torture.Quote(name)); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (r *tortureRig) addRows(ctx context.Context, t *torture.Table, keyspace, shard, statement string) error {
	db, err := r.direct(ctx, keyspace, shard)
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, statement)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		values := make([][]byte, len(t.Columns))
		targets := make([]any, len(values))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		row := make(map[string][]byte, len(values))
		for i, c := range t.Columns {
			row[c.Name] = values[i]
		}
		t.Rows = append(t.Rows, row)
	}
	return rows.Err()
}

func (r *tortureRig) columns(ctx context.Context, keyspace, name string) ([]torture.Column, error) {
	return r.columnsOf(ctx, keyspace, r.shardsOf(keyspace)[0], name)
}

func (r *tortureRig) columnsOf(ctx context.Context, keyspace, shard, name string) ([]torture.Column, error) {
	tablets, err := r.tabletsOf(ctx, keyspace, shard)
	if err != nil {
		return nil, err
	}
	return r.columnsIn(ctx, keyspace, tablets.primary, name)
}

// columnsIn are the columns that a table has in a tablet.
func (r *tortureRig) columnsIn(ctx context.Context, keyspace, tablet, name string) ([]torture.Column, error) {
	db := r.server(keyspace, tablet)
	defer db.Close()
	rows, err := db.QueryContext(ctx, "select column_name, data_type, column_type from information_schema.columns where table_schema = ? and table_name = ? order by ordinal_position", "vt_"+keyspace, name)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []torture.Column
	for rows.Next() {
		var c torture.Column
		if err := rows.Scan(&c.Name, &c.DataType, &c.ColumnType); err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("there is no table %s", name)
	}
	return list, nil
}
