package e2e

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"source-planetscale/e2e/script"
	"source-planetscale/internal/sandbox"
)

// cluster is a Vitess: the one that all tests share, or a test's own.
type cluster struct{ *sandbox.Sandbox }

// shared returns the cluster that `make test` starts. Tests use it one after the other and in parallel, and must not change its servers.
func shared(t *testing.T) cluster {
	t.Helper()
	script.RequireSandbox(t)
	s, err := sandbox.Open(filepath.Dir(os.Getenv("SANDBOX_CA")))
	if err != nil {
		t.Fatal(err)
	}
	return cluster{s}
}

// own starts a cluster whose servers the test may change or break. It ends with the test.
func own(t *testing.T, topology sandbox.Topology, options ...sandbox.Option) cluster {
	t.Helper()
	script.RequireSandbox(t)
	s, err := sandbox.Up(t.Context(), t.TempDir(), topology, testLog{t}, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Purge(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return cluster{s}
}

// customer is only the sharded keyspace, with this many tablets in each of its two shards.
func customer(tablets int) sandbox.Topology {
	topology := sandbox.Default()[1:]
	topology[0].Shards = []sandbox.Shard{{Name: "-80", Tablets: tablets}, {Name: "80-", Tablets: tablets}}
	return topology
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// vtgate opens a target ("customer", "customer/-80@replica") of the plain vtgate, with these session settings. The workload OLAP
// removes the limit on the rows of a select.
func (c cluster) vtgate(t *testing.T, target string, settings map[string]string) *sql.DB {
	t.Helper()
	return connect(t, "tcp", c.PlainMySQL, "root", target, settings)
}

// mysqld opens the mysqld of a shard's first tablet, bypassing Vitess.
func (c cluster) mysqld(t *testing.T, shard string) *sql.DB { return c.mysqldOf(t, "customer", shard) }

// mysqldOf does the same in any keyspace.
func (c cluster) mysqldOf(t *testing.T, keyspace, shard string) *sql.DB {
	t.Helper()
	socket := c.MySQLSocket(keyspace, shard)
	wd, err := os.Getwd()
	if err == nil { // Linux limits a socket's path to 107 bytes
		if short, err := filepath.Rel(wd, socket); err == nil && len(short) < len(socket) {
			socket = short
		}
	}
	return connect(t, "unix", socket, "vt_dba", "vt_"+keyspace, nil)
}

func connect(t *testing.T, network, address, user, database string, settings map[string]string) *sql.DB {
	t.Helper()
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.DBName, c.Params, c.Logger = network, address, user, database, settings, &mysql.NopLogger{}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	return db
}

func execOn(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%v: %.2000s", err, statement)
		}
	}
}

// purge removes all of a shard's binary logs except the newest.
func (c cluster) purge(t *testing.T, shard string) {
	t.Helper()
	db := c.mysqld(t, shard)
	execOn(t, db, "flush binary logs")
	rows, err := db.QueryContext(t.Context(), "show binary logs")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var newest, size, encrypted string
	for rows.Next() {
		if err := rows.Scan(&newest, &size, &encrypted); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	execOn(t, db, fmt.Sprintf("purge binary logs to '%s'", newest))
}

// executed returns the transactions that a target has executed.
func (c cluster) executed(t *testing.T, target string) string {
	t.Helper()
	db := c.vtgate(t, target, nil)
	var gtids string
	await(t, time.Minute, func() error {
		return db.QueryRowContext(t.Context(), "select @@global.gtid_executed as gtids").Scan(&gtids)
	})
	return strings.ReplaceAll(gtids, "\n", "")
}

// awaitReplicas waits until the replicas of these shards of customer, if there are any, have caught up with their primaries.
func (c cluster) awaitReplicas(t *testing.T, shards ...string) {
	t.Helper()
	for _, shard := range shards {
		replicas, err := c.Replicas(t.Context(), "customer", shard)
		if err != nil {
			t.Fatal(err)
		}
		if len(replicas) == 0 {
			continue
		}
		want := c.executed(t, "customer/"+shard)
		replica := c.vtgate(t, "customer/"+shard+"@replica", nil)
		await(t, time.Minute, func() error {
			var has sql.NullBool
			err := replica.QueryRowContext(t.Context(), "select GTID_SUBSET('"+want+"', @@global.gtid_executed) as has").Scan(&has)
			if err == nil && !has.Bool {
				err = fmt.Errorf("the replica of %s lags", shard)
			}
			return err
		})
	}
}

// restart kills processes and starts them again.
func (c cluster) restart(t *testing.T, processes ...string) error {
	for _, name := range processes {
		if err := c.Kill(t.Context(), name); err != nil {
			return err
		}
	}
	for _, name := range processes {
		if err := c.Start(t.Context(), name); err != nil {
			return err
		}
	}
	return nil
}

// vtctl runs vtctldclient.
func (c cluster) vtctl(t *testing.T, args ...string) ([]byte, error) {
	return vtctl(t.Context(), c.Sandbox, args...)
}

func vtctl(ctx context.Context, s *sandbox.Sandbox, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, s.VTCtldClient, append([]string{"--server", s.VTCtld}, args...)...).CombinedOutput()
	if err != nil {
		return out, fmt.Errorf("%v: %w: %s", args, err, out)
	}
	return out, nil
}

// gate starts another vtgate for the cluster.
func (c cluster) gate(t *testing.T, flags ...string) *sandbox.Gate {
	t.Helper()
	g, err := c.StartGate(t.Context(), t.TempDir(), flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	return g
}

// limitMessages makes the edge refuse larger messages, in bytes.
func (c cluster) limitMessages(t *testing.T, limit int) {
	t.Helper()
	path := filepath.Join(c.Dir, "edge.json")
	config := map[string]any{}
	if err := json.Unmarshal(read(t, path), &config); err != nil || config["max_message"] == nil {
		t.Fatalf("%s: %v", path, err)
	}
	write(t, path, changed(t, path, map[string]any{"max_message": limit}))
	if err := c.restart(t, "edge"); err != nil {
		t.Fatal(err)
	}
}

// vtgateLog returns what vtgate has logged since this offset.
func (c cluster) vtgateLog(t *testing.T, since int) string {
	t.Helper()
	return string(read(t, filepath.Join(c.Dir, "log", "vtgate.log"))[since:])
}
