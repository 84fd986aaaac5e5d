package e2e

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"source-planetscale/internal/sandbox"
)

// TestManyPositions goes on with 900 tables each of which has a position of its own, between transactions of the others. Before Vitess 23
// transactions have no names; all the same one stream reads the changes of all tables: each stream has a connection to MySQL.
func TestManyPositions(t *testing.T) {
	long(t)
	c := own(t, sandbox.Default()[:1])
	p := newPipeline(t, c, c.ConfigUnsharded)
	db := connect(t, "unix", c.MySQLSocket("commerce", "-"), "vt_dba", "vt_commerce", nil)
	names := tableNames(900)
	for _, name := range names {
		execOn(t, db, "create table "+name+" (id bigint primary key, v bigint)")
	}
	var states []string
	for _, name := range names {
		execOn(t, db, "insert into "+name+" values (1, 0), (2, 0), (3, 0)")
		states = append(states, stateAt(t, db, name))
	}
	for _, name := range names {
		execOn(t, db, "update "+name+" set v = v + 1 where id = 1", "delete from "+name+" where id = 2")
	}
	p.discover(names...)
	p.state = []byte("[" + strings.Join(states, ",") + "]")

	dumps := watchDumps(t, db)
	began := time.Now()
	p.readToEnd()
	took, most := time.Since(began), dumps()
	t.Logf("%d tables at as many positions: %.1f s, %d streams opened, %d at a time", len(names), took.Seconds(), streamsOpened(p.last), most)
	if most > 2 {
		t.Errorf("MySQL served %d change streams at a time", most)
	}
	given := map[string][]string{}
	for _, r := range p.last.Records {
		deleted := r.Data["_ab_cdc_deleted_at"] != nil
		given[r.Stream.Name] = append(given[r.Stream.Name], fmt.Sprintf("%v:%v:%v", r.Data["id"], r.Data["v"], deleted))
	}
	for _, name := range names {
		if got := given[name]; !slices.Equal(got, []string{"1:1:false", "2:0:true"}) {
			t.Errorf("%s has the records %v", name, got)
		}
	}
}

// stateAt is the state of a stream that was read up to where the server is.
func stateAt(t *testing.T, db *sql.DB, table string) string {
	t.Helper()
	var gtids string
	if err := db.QueryRow("select @@global.gtid_executed").Scan(&gtids); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"type":"STREAM","stream":{"stream_descriptor":{"name":%q,"namespace":"commerce"},"stream_state":{"version":1,`+
		`"sync_mode":"incremental","shards":{"-":{"position":"MySQL56/%s"}},"last_cursor":1,"columns":[["id","bigint"],["v","bigint"]]}}}`,
		table, strings.ReplaceAll(gtids, "\n", ""))
}

// watchDumps counts the connections by which the keyspace's MySQL gives its binary log, until the most at a time is asked for.
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
