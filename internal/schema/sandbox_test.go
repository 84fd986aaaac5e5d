package schema

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"source-planetscale/internal/dial"
)

// patience limits each wait for the real server.
const patience = 30 * time.Second

// sandboxServer returns the real Vitess that the environment names; without one the test is skipped, except in CI.
func sandboxServer(t *testing.T) dial.Config {
	t.Helper()
	host := os.Getenv("SANDBOX_HOST")
	if host == "" && os.Getenv("CI") == "true" {
		t.Fatal("SANDBOX_HOST is not set: run `make test`")
	}
	if host == "" {
		t.Skip("SANDBOX_HOST is not set: run `make test`")
	}
	port, err := strconv.Atoi(os.Getenv("SANDBOX_MYSQL_PORT"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(os.Getenv("SANDBOX_CA"))
	if err != nil {
		t.Fatal(err)
	}
	return dial.Config{Host: host, MySQLPort: port, TLS: dial.TLS{CACertificate: string(ca)}}
}

func openSandbox(t *testing.T, keyspace string) *DB {
	t.Helper()
	db, err := Open(t.Context(), sandboxServer(t), os.Getenv("SANDBOX_USERNAME"), os.Getenv("SANDBOX_PASSWORD"), keyspace, "primary")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func shardsIn(t *testing.T, db *DB) []string {
	t.Helper()
	shards, err := db.Shards(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return shards
}

// run executes statements in the DB's keyspace.
func run(t *testing.T, db *DB, statements ...string) {
	t.Helper()
	if err := execute(db, statements...); err != nil {
		t.Fatal(err)
	}
}

// execute does not use the test's context, which is cancelled before Cleanup runs.
func execute(db *DB, statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := db.conn(ctx, "")
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, statement := range statements {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return failed(statement, err)
		}
	}
	return nil
}

// create creates a table or a view, and drops it when the test has finished; the definition is what follows its name.
func create(t *testing.T, db *DB, kind, name, definition string) {
	t.Helper()
	// Shard by shard: vtgate's DROP does nothing for a view that vtgate does not know yet.
	var drop []string
	for _, shard := range shardsIn(t, db) {
		drop = append(drop, "use "+quoted(db.target(shard)), "drop "+kind+" if exists "+quoted(name))
	}
	run(t, db, drop...)
	run(t, db, "create "+kind+" "+quoted(name)+" "+definition)
	t.Cleanup(func() {
		if err := execute(db, drop...); err != nil {
			t.Error(err)
		}
	})
}

// addVindex makes columns the table's first vindex, or the next one, and removes the table from the vschema at the end.
// Other tests change the same vschema, and the last of two writers wins, so it retries until the change is visible.
func addVindex(t *testing.T, db *DB, table, vindex, columns string) {
	t.Helper()
	name := quoted(db.keyspace) + "." + quoted(table)
	count := func() int {
		rows, _ := db.show(t.Context(), db.target(""), "show vschema vindexes from "+name)
		return len(rows)
	}
	before := count()
	eventually(t, "vindex on "+table, func() error {
		err := execute(db, "alter vschema on "+name+" add vindex "+vindex+"("+columns+")")
		if count() > before {
			return nil
		}
		return fmt.Errorf("not visible yet: %w", err)
	})
	t.Cleanup(func() { _ = execute(db, "alter vschema drop table "+name) })
}

// eventually retries until there is no error, and fails the test if that takes too long.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// question takes a connection from the pool that is returned when the test ends.
func question(t *testing.T, db *DB) *sql.Conn {
	t.Helper()
	conn, err := db.conn(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
