package sandbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// testVersions checks which versions the programs report.
func testVersions(t *testing.T, s *Sandbox) {
	for program, want := range map[string]string{"vtgate": s.VTGateVersion, "vttablet": s.VTTabletVersion} {
		out, err := exec.Command(s.cache.path(vitessFolder(want), program), "--version").CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s prints %q (%v), want %s", program, out, err, want)
		}
	}
	db := s.session(t, "customer-80--0")
	var native bool
	var version string
	err := db.QueryRowContext(testContext(t, time.Minute), "select @@innodb_native_foreign_keys, @@version").Scan(&native, &version)
	if err != nil || !native {
		t.Errorf("MySQL does not have the configured setting: %v (%v)", native, err)
	}
	if disguised := mysqldFolder(s.VTTabletVersion) == disguiseRecipe; strings.HasPrefix(version, "8.4.") != disguised {
		t.Errorf("with vttablet %s MySQL reports the version %s", s.VTTabletVersion, version)
	}
}

func (s *Sandbox) session(t *testing.T, name string) *sql.DB {
	t.Helper()
	db, err := s.Session(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// testReplicas makes one of two replicas lag, and makes an errant
// transaction on the other one.
func testReplicas(t *testing.T, s *Sandbox) {
	ctx := testContext(t, 5*time.Minute)
	if err := s.Grow(ctx, "customer", "-80", 1); err != nil {
		t.Fatal(err)
	}
	primary := s.session(t, "customer--80-0")
	held, other := s.session(t, "customer--80-1"), s.session(t, "customer--80-2")
	mustExec(t, primary, "insert into sharded (id) values (1000)")
	awaitRow(t, held, 1000, true)
	awaitRow(t, other, 1000, true)

	if err := s.HoldBack(ctx, "customer--80-1"); err != nil {
		t.Fatal(err)
	}
	mustExec(t, primary, "insert into sharded (id) values (1001)")
	awaitRow(t, other, 1001, true)
	if follows(t, held, primary) {
		t.Error("a replica that is held back has received its primary's rows")
	}
	awaitRow(t, held, 1001, false)
	if err := s.plain(t, "customer/-80@replica").PingContext(ctx); err != nil {
		t.Errorf("while one replica is held back, no replica serves: %v", err)
	}
	if err := s.Release(ctx, "customer--80-1"); err != nil {
		t.Fatal(err)
	}
	awaitRow(t, held, 1001, true)

	if err := s.Errant(ctx, "customer--80-2", "insert into sharded (id) values (1002)"); err != nil {
		t.Fatal(err)
	}
	awaitRow(t, other, 1002, true)
	awaitRow(t, primary, 1002, false)
	var own, its string
	err := errors.Join(other.QueryRowContext(ctx, "select @@global.gtid_executed").Scan(&own),
		primary.QueryRowContext(ctx, "select gtid_subtract(?, @@global.gtid_executed)", own).Scan(&its))
	if err != nil || its == "" {
		t.Errorf("the replica has no errant transaction: %q (%v)", its, err)
	}
	commitOnPrimary(t, primary, its)
	if _, err := other.ExecContext(ctx, "insert into sharded (id) values (1003)"); err == nil ||
		!strings.Contains(err.Error(), "super-read-only") {
		t.Errorf("a replica accepts writes after Errant: %v", err)
	}

	for what, change := range map[string]func(string) error{
		"held back": func(name string) error { return s.HoldBack(ctx, name) },
		"errant":    func(name string) error { return s.Errant(ctx, name, "select 1") },
	} {
		if err := change("customer--80-0"); err == nil || !strings.Contains(err.Error(), "primary") {
			t.Errorf("a primary was %s: %v", what, err)
		}
		if err := change("customer--80-9"); err == nil || !strings.Contains(err.Error(), "customer--80-2") {
			t.Errorf("a tablet that does not exist was %s: %v", what, err)
		}
	}
}

// commitOnPrimary commits an empty transaction with a replica's errant GTID on the primary:
// a vttablet does not start if a replica has transactions that its primary lacks.
func commitOnPrimary(t *testing.T, primary *sql.DB, transaction string) {
	t.Helper()
	ctx := testContext(t, time.Minute)
	conn, err := primary.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"set gtid_next = '" + transaction + "'", "begin", "commit", "set gtid_next = automatic"} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
}

// awaitRow waits until the row exists; if it must not exist, that is checked once.
func awaitRow(t *testing.T, db *sql.DB, id int, want bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var n int
	var last error
	err := poll(ctx, func() (bool, error) {
		// A new replica has no table yet.
		last = db.QueryRowContext(ctx, "select count(*) from sharded where id = ?", id).Scan(&n)
		return last == nil && (!want || n > 0), nil
	}, func() error { return fmt.Errorf("row %d is not replicated: %w", id, last) })
	if err != nil || (n > 0) != want {
		t.Fatalf("row %d exists: %v, want %v (%v)", id, n > 0, want, err)
	}
}

// follows reports whether the replica catches up with the primary within a second.
func follows(t *testing.T, replica, primary *sql.DB) bool {
	t.Helper()
	ctx := testContext(t, time.Minute)
	var position string
	var late bool
	err := errors.Join(primary.QueryRowContext(ctx, "select @@global.gtid_executed").Scan(&position),
		replica.QueryRowContext(ctx, "select wait_for_executed_gtid_set(?, 1)", position).Scan(&late))
	if err != nil {
		t.Fatal(err)
	}
	return !late
}
