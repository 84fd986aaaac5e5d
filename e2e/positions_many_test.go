package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"source-planetscale/internal/sandbox"
)

// TestManyPositions reads 900 tables that are written to during their first sync, so that each of them has a position of its own. Before
// Vitess 23 transactions have no names; all the same one stream reads the changes of all tables: each has a connection to MySQL.
func TestManyPositions(t *testing.T) {
	long(t)
	c := own(t, sandbox.Default()[:1])
	p := newPipeline(t, c, c.ConfigUnsharded)
	mysqld := connect(t, "unix", c.MySQLSocket("commerce", "-"), "vt_dba", "vt_commerce", nil)
	names := tableNames(900)
	for _, name := range names {
		execOn(t, mysqld, "create table "+name+" (id bigint primary key, v bigint)", "insert into "+name+" values (1, 0), (2, 0), (3, 0)")
	}
	p.discover(names...)

	stop := p.writeTo(names)
	began := time.Now()
	p.readToEnd()
	stop()
	first := time.Since(began)
	positions := regexp.MustCompile(`"position":"[^"]+"`).FindAllString(string(p.state), -1)
	slices.Sort(positions)
	if positions = slices.Compact(positions); len(positions) < len(names)/2 {
		t.Fatalf("the tables have only %d positions", len(positions))
	}
	for _, name := range names {
		execOn(t, p.db, "update "+name+" set v = v + 1 where id = 1", "delete from "+name+" where id = 2")
	}
	dumps := watchDumps(t, c)
	began = time.Now()
	p.readToEnd()
	took, most := time.Since(began), dumps()
	p.mustEqualTheSource()
	if most > 2 {
		t.Errorf("MySQL served %d change streams at a time", most)
	}
	t.Logf("%d tables at %d positions: first sync %.1f s, the next one %.1f s, %d streams opened, %d at a time",
		len(names), len(positions), first.Seconds(), took.Seconds(), streamsOpened(p.last), most)
}

// writeTo changes one table after the other until it is told to stop.
func (p *pipeline) writeTo(tables []string) (stop func()) {
	done, wait := make(chan struct{}), sync.WaitGroup{}
	wait.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			default:
			}
			if _, err := p.db.Exec(fmt.Sprintf("update %s set v = v + 1 where id = 3", tables[n%len(tables)])); err != nil {
				p.t.Error(err)
				return
			}
		}
	})
	stop = sync.OnceFunc(func() { close(done); wait.Wait() })
	p.t.Cleanup(stop)
	return stop
}

// watchDumps counts the connections by which the keyspace's MySQL gives its binary log, until the most at a time is asked for.
func watchDumps(t *testing.T, c cluster) (most func() int) {
	t.Helper()
	db := connect(t, "unix", c.MySQLSocket("commerce", "-"), "vt_dba", "vt_commerce", nil)
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
