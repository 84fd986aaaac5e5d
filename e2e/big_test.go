package e2e

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"source-planetscale/internal/destination"
)

const mebibyte = 1 << 20

// newBigPipeline reads its own cluster with the connector as it is shipped: the race detector itself needs memory.
func newBigPipeline(t *testing.T, tables ...string) *pipeline {
	t.Helper()
	c := own(t, customer(1))
	p := newPipeline(t, c, c.ConfigSharded, tables...)
	program := plainConnector(t)
	p.command = func(args ...string) *exec.Cmd { return exec.Command(program, args...) }
	return p
}

// measured is one run of a connector.
type measured struct {
	out  *destination.Output
	err  error
	peak int64 // peak resident memory, in bytes
}

// measure runs a sync, which may fail, measures its memory, and delivers its output.
func (p *pipeline) measure() measured {
	p.t.Helper()
	s := p.start()
	var peak int64
	for n := 0; ; n++ {
		line := s.next()
		if len(line) == 0 {
			break
		}
		if n%1000 == 0 || !isRecord(line) {
			peak = max(peak, peakMemory(p.t, s.cmd.Process.Pid))
		}
	}
	err := s.finish()
	p.t.Logf("%d MB of output, peak memory %d MiB", s.out.Len()/1e6, peak/mebibyte)
	return measured{p.last, err, peak}
}

// peakMemory returns the peak resident memory of a running process and of the processes that it has started, in bytes; 0 if it has
// ended. (The rusage of an ended process includes its parent's peak: Linux keeps the value from before the exec, and Go forks with
// vfork.) What they share, the program's file, counts twice.
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) { // ESRCH if it ends between open and read
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	_, line, found := strings.Cut(string(status), "VmHWM:")
	if !found {
		return 0
	}
	var kibibytes int64
	if _, err := fmt.Sscan(line, &kibibytes); err != nil {
		t.Fatal(err)
	}
	peak := kibibytes << 10
	for _, child := range childrenOf(t, pid) {
		peak += peakMemory(t, child)
	}
	return peak
}

// childrenOf returns the processes that a running one has started.
func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var children []int
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(text)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			children = append(children, child)
		}
	}
	return children
}

func (r measured) mustBeGood(t *testing.T) measured {
	t.Helper()
	if r.err != nil {
		t.Fatalf("the connector ended with %v: %+v", r.err, r.out.Errors)
	}
	return r
}

// mustStayUnder checks that the peak is at most 128 MiB plus three times the largest message.
func (r measured) mustStayUnder(t *testing.T, largest int64) {
	t.Helper()
	if limit := 128*mebibyte + 3*largest; r.peak > limit {
		t.Errorf("the connector needed %d MiB, at most %d are allowed", r.peak/mebibyte, limit/mebibyte)
	}
}

// fill inserts rows into one shard, bypassing vtgate.
func fill(t *testing.T, db *sql.DB, table string, rows int) {
	t.Helper()
	var first []string
	for id := range 1000 {
		first = append(first, fmt.Sprintf("(%d,1,0,'row %d')", id, id))
	}
	execOn(t, db, "insert into "+table+" (id, part, v, note) values "+strings.Join(first, ","))
	grow(t, db, table, 1000, rows)
}

// grow doubles the rows, which have the ids 0 to from, until there are this many.
func grow(t *testing.T, db *sql.DB, table string, from, rows int) {
	t.Helper()
	for n := from; n < rows; n *= 2 {
		const double = "insert into %[1]s (id, part, v, note) select id + %[2]d, part, v, note from %[1]s where id < %[3]d"
		execOn(t, db, fmt.Sprintf(double, table, n, rows-n))
	}
}

// TestBigCopy copies a table of more than 5 GB to a consumer that stops reading for a minute in the middle: memory is
// bounded, and no stream breaks.
func TestBigCopy(t *testing.T) {
	long(t)
	p := newBigPipeline(t, "big_copy")
	db := p.mysqld(t, "-80")
	db.SetMaxOpenConns(1)
	execOn(t, db, "set sql_log_bin = 0") // needs half the space, and only the copy is tested
	const rows = 1_300_000
	fill(t, db, p.table, 1000)
	execOn(t, db, "update big_copy set note = left(repeat(concat('row ', id * 7919, ' of many; '), 400), 4000)")
	grow(t, db, p.table, 1000, rows)
	c := consumer{reading: p.start(), pauseAfter: rows / 2, pause: time.Minute}
	c.late.Reset(20 * time.Minute) // for 5 GB and the pause
	c.read()
	if c.records != rows || c.sum != rows*(rows-1)/2 {
		t.Errorf("%d records whose ids add up to %d", c.records, c.sum)
	}
	if c.bytes < 5e9 {
		t.Errorf("the table has less than 5 GB")
	}
	if strings.Contains(p.logged("WARN"), "trying again in") {
		t.Errorf("warnings: %s", p.logged("WARN"))
	}
	measured{peak: c.peak}.mustStayUnder(t, mebibyte)
}

// consumer reads a sync that has too many records to keep.
type consumer struct {
	*reading
	pauseAfter     int // number of records
	pause          time.Duration
	records, bytes int
	sum            int   // sum of the records' ids
	peak           int64 // peak memory of the connector
}

func (c *consumer) read() {
	t := c.p.t
	t.Helper()
	began := time.Now()
	for {
		line, err := c.r.ReadSlice('\n')
		c.bytes += len(line)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !isRecord(line) {
			c.out.Write(line)
			continue
		}
		id, _, _ := bytes.Cut(line[bytes.Index(line, []byte(`{"id":`))+len(`{"id":`):], []byte(","))
		n, err := strconv.Atoi(string(id))
		if err != nil {
			t.Fatal(err)
		}
		c.sum += n
		if c.records++; c.records == c.pauseAfter {
			<-time.After(c.pause) // the minute is what is tested
		}
		if c.records%10_000 == 0 {
			c.peak = max(c.peak, peakMemory(t, c.cmd.Process.Pid))
		}
	}
	if err := c.finish(); err != nil {
		t.Fatalf("the connector ended with %v: %s", err, c.out.Bytes())
	}
	t.Logf("%d records, %d MB of output in %.0f s, peak memory %d MiB", c.records, c.bytes/1e6, time.Since(began).Seconds(), c.peak/mebibyte)
}

// TestBigTransaction replicates one transaction of 500,000 rows: the destination is correct, and the connector does not keep
// the transaction in memory.
func TestBigTransaction(t *testing.T) {
	long(t)
	p := newBigPipeline(t, "big_transaction")
	db := p.mysqld(t, "-80")
	const rows = 500_000
	fill(t, db, p.table, rows)
	if r := p.measure().mustBeGood(t); len(r.out.Records) != rows {
		t.Fatalf("%d rows were copied", len(r.out.Records))
	}
	execOn(t, db, "update big_transaction set v = v + 1, note = concat(note, ' changed')")
	r := p.measure().mustBeGood(t)
	if len(r.out.Records) != rows {
		t.Errorf("%d rows were replicated", len(r.out.Records))
	}
	r.mustStayUnder(t, mebibyte)
	p.mustEqualTheSource()
}

// hugeText is the length of a value that Airbyte does not accept, and that fills more than half of the largest message.
const hugeText = 60_000_000

// TestHugeRows reads a row of 60 MB by copy, insert and delete: the row is emitted, and its value is null with a reason. A row
// that is larger than the server's maximum message size makes only its stream fail.
func TestHugeRows(t *testing.T) {
	p := newBigPipeline(t, "big_rows", "big_beside")
	p.exec("alter table big_rows add column body longtext")
	p.discover(p.tables...)
	p.exec("insert into big_beside (id, part, v) values (1,1,1), (2,1,1), (3,1,1), (4,1,1), (5,1,1), (6,1,1)")
	db := p.mysqld(t, "-80")

	insert := "insert into big_rows (id, part, v, note, body) values (%d, 1, 1, 'huge', repeat('x', %d))"
	execOn(t, db, fmt.Sprintf(insert, 1, hugeText))
	p.measure().mustBeGood(t).mustHaveHuge(t, false)
	execOn(t, db, fmt.Sprintf(insert, 2, hugeText))
	p.measure().mustBeGood(t).mustHaveHuge(t, false)
	execOn(t, db, "delete from big_rows where id = 2")
	p.measure().mustBeGood(t).mustHaveHuge(t, true)

	p.limitMessages(t, hugeText-mebibyte)
	p.exec("update big_beside set v = 2 where id < 4")
	execOn(t, db, fmt.Sprintf(insert, 3, hugeText))
	p.exec("update big_beside set v = v + 1 where id > 2")
	r := p.measure()
	if r.err == nil || len(r.out.Errors) != 1 {
		t.Fatalf("ended with %v, traces %+v", r.err, r.out.Errors)
	}
	const says = "customer.big_rows in shard -80 exceeds the maximum message size (100 MiB"
	if e := r.out.Errors[0]; e.FailureType != "config_error" || e.Stream.Name != "big_rows" || !strings.Contains(e.Message, says) {
		t.Errorf("trace %+v", e)
	}
	if status := r.out.Statuses[p.stream("big_beside")]; status != "COMPLETE" {
		t.Errorf("the other stream is %s", status)
	}
	p.mustEqual("big_beside", "*")
}

// mustHaveHuge expects one record of the table with the huge value, which is null.
func (r measured) mustHaveHuge(t *testing.T, deleted bool) {
	t.Helper()
	var huge []destination.Record
	for _, record := range r.out.Records {
		if record.Stream.Name == "big_rows" {
			huge = append(huge, record)
		}
	}
	if len(huge) != 1 {
		t.Fatalf("%d records", len(huge))
	}
	one := huge[0]
	if one.Data["body"] != nil || one.Data["note"] != "huge" || (one.Data["_ab_cdc_deleted_at"] != nil) != deleted {
		t.Errorf("the record's note is %v, deleted at %v", one.Data["note"], one.Data["_ab_cdc_deleted_at"])
	}
	if len(one.Changes) != 1 || one.Changes[0]["field"] != "body" || one.Changes[0]["change"] != "NULLED" {
		t.Errorf("its changes are %v", one.Changes)
	}
	r.mustStayUnder(t, hugeText)
}

// TestManyTables reads 2,000 tables in one sync, and changes of a few of them in the next one, with one VStream per shard.
func TestManyTables(t *testing.T) {
	long(t)
	p := newBigPipeline(t)
	const tables = 2000
	shards := []string{"-80", "80-"}
	for id, shard := range shards {
		db := p.mysqld(t, shard)
		for i := range tables {
			execOn(t, db, fmt.Sprintf("create table big_table_%04d (id bigint primary key, name varchar(20))", i))
			execOn(t, db, fmt.Sprintf("insert into big_table_%04d (id, name) values (%d, '%s')", i, id, shard))
		}
	}
	p.discover()
	if r := p.measure().mustBeGood(t); len(r.out.Records) != 2*tables {
		t.Errorf("%d records", len(r.out.Records))
	}
	for _, shard := range shards {
		execOn(t, p.mysqld(t, shard), "update big_table_0000 set name = 'new'", "delete from big_table_1999")
	}
	r := p.measure().mustBeGood(t)
	if len(r.out.Records) != 2*len(shards) {
		t.Errorf("%d records of changes", len(r.out.Records))
	}
	if n := streamsOpened(r.out); n != 2 {
		t.Errorf("%d streams were opened", n)
	}
	r.mustStayUnder(t, mebibyte)
	one := p.unchanged(tableNames(1))
	if many := p.unchanged(tableNames(500)); many > 2*one+time.Second {
		t.Errorf("a sync without changes took %s for 500 tables, and %s for one", many, one)
	}
}

func tableNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("big_table_%04d", i)
	}
	return names
}

// unchanged reads these tables when nothing has changed, and returns how long that took. No stream may be opened for it.
func (p *pipeline) unchanged(tables []string) time.Duration {
	p.t.Helper()
	q := p.in(p.t, nil)
	q.state = p.state
	q.discover(tables...)
	began := time.Now()
	s := q.start()
	err := s.rest()
	took := time.Since(began) // without the time in which the test processes the output
	if q.deliver(s.out.Bytes()); err != nil {
		p.t.Fatalf("the connector ended with %v: %+v", err, q.last.Errors)
	}
	opened := streamsOpened(q.last)
	p.t.Logf("%d tables without changes: %d streams opened, %.2f s", len(tables), opened, took.Seconds())
	if opened != 0 || len(q.last.Records) != 0 || len(q.last.States) != len(tables) {
		p.t.Errorf("%d streams, %d records, %d states", opened, len(q.last.Records), len(q.last.States))
	}
	return took
}

// streamsOpened counts the streams for rows that the connector's log reports.
func streamsOpened(out *destination.Output) int {
	n := 0
	for _, l := range out.Logs {
		if strings.HasPrefix(l.Message, "Replicating ") || strings.HasPrefix(l.Message, "Copying ") {
			n++
		}
	}
	return n
}
