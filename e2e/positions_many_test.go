package e2e

import (
	"database/sql"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"source-planetscale/internal/sandbox"
)

// TestManyPositions copies 900 tables while all of them are written to, so that each ends at a different position, and continues with them
// in the next sync. Before Vitess 23 transactions are sent without their GTID. Even so, one stream reads the changes of all tables, since
// each stream needs a connection to MySQL.
func TestManyPositions(t *testing.T) {
	long(t)
	// With so many tables vttablet would do little else than reload their schema.
	c := own(t, sandbox.Default()[:1], sandbox.VTTabletFlags("--queryserver-config-schema-reload-time", "30m"))
	p := newPipeline(t, c, c.ConfigUnsharded)
	db := connect(t, "unix", c.MySQLSocket("commerce", "-"), "vt_dba", "vt_commerce", nil)
	names := tableNames(900)
	for _, name := range names {
		execOn(t, db, "create table "+name+" (id bigint primary key, v bigint)", "insert into "+name+" values (1, 0), (2, 0), (3, 0)")
	}
	if _, err := c.vtctl(t, "ReloadSchemaShard", "--include-primary", "commerce/-"); err != nil {
		t.Fatal(err)
	}
	p.discover(names...)

	dumps, stop, began := watchDumps(t, db), writeToEach(t, db, names), time.Now()
	p.readToEnd()
	first, most, written := time.Since(began), dumps(), stop()
	positions := regexp.MustCompile(`"position":"[^"]+"`).FindAllString(string(p.state), -1)
	slices.Sort(positions)
	if positions = slices.Compact(positions); len(positions) < len(names)/2 {
		t.Fatalf("the tables have only %d positions, after %d transactions", len(positions), written)
	}
	for _, name := range names {
		execOn(t, db, "update "+name+" set v = v + 1 where id = 1", "delete from "+name+" where id = 2")
	}

	dumps, began = watchDumps(t, db), time.Now()
	p.readToEnd()
	next, mostNext := time.Since(began), dumps()
	t.Logf("%d tables, with %d transactions during the copy: %.1f s, %d streams at a time; then from %d positions: %.1f s, %d streams opened, %d at a time",
		len(names), written, first.Seconds(), most, len(positions), next.Seconds(), streamsOpened(p.last), mostNext)
	if max(most, mostNext) > 2 {
		t.Errorf("MySQL served %d change streams at a time, and %d", most, mostNext)
	}
	if n := len(p.last.Records); n < 3*len(names) {
		t.Errorf("the next sync has %d records", n)
	}
	p.mustEqualTheSource()
}

// writeToEach changes one table after the other, at most 100 times a second, until stop is called, which returns the number of changes.
func writeToEach(t *testing.T, db *sql.DB, tables []string) (stop func() int) {
	t.Helper()
	done, wait, n := make(chan struct{}), sync.WaitGroup{}, 0
	wait.Go(func() {
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for ; ; n++ {
			select {
			case <-done:
				return
			case <-ticker.C:
			}
			if _, err := db.Exec("update " + tables[n%len(tables)] + " set v = v + 1 where id = 3"); err != nil {
				t.Error(err)
				return
			}
		}
	})
	end := sync.OnceFunc(func() { close(done); wait.Wait() })
	t.Cleanup(end)
	return func() int { end(); return n }
}

// watchDumps counts the connections on which the keyspace's MySQL sends its binary log; most ends that and returns the highest count.
func watchDumps(t *testing.T, db *sql.DB) (most func() int) {
	t.Helper()
	done, wait, n := make(chan struct{}), sync.WaitGroup{}, 0
	wait.Go(func() {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for {
			var now int
			err := db.QueryRow("select count(*) from performance_schema.processlist where command like 'Binlog Dump%'").Scan(&now)
			if err != nil && !strings.Contains(err.Error(), "closed") {
				t.Error(err)
				return
			}
			n = max(n, now)
			select {
			case <-done:
				return
			case <-ticker.C:
			}
		}
	})
	stop := sync.OnceFunc(func() { close(done); wait.Wait() })
	t.Cleanup(stop)
	return func() int { stop(); return n }
}
