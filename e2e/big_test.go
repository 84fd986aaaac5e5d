package e2e

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"source-planetscale/internal/destination"
	"source-planetscale/internal/sandbox"
)

const mebibyte = 1 << 20

// long skips a test that needs minutes.
func long(t *testing.T) {
	t.Helper()
	if os.Getenv("TEST_ALL") == "" {
		t.Skip("slow: set TEST_ALL=1")
	}
}

// measured is one run of a connector.
type measured struct {
	out  *destination.Output
	err  error
	peak int64 // of resident memory, in bytes
}

// measure reads with that program, whether it ends well or not, and delivers what came.
func (p *pipeline) measure(program string) measured {
	p.t.Helper()
	cmd := exec.Command(program, p.readArgs()...)
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	var output bytes.Buffer
	var peak int64
	buf := make([]byte, 64<<10)
	for err == nil {
		var n int
		n, err = stdout.Read(buf)
		output.Write(buf[:n])
		peak = max(peak, peakMemory(p.t, cmd.Process.Pid))
	}
	if err != io.EOF {
		p.t.Fatal(err)
	}
	err = cmd.Wait()
	p.t.Logf("%d MB of output, peak memory %d MiB", output.Len()/1e6, peak/mebibyte)
	p.deliver(output.Bytes())
	return measured{p.last, err, peak}
}

// peakMemory is the most resident memory that a running process has had, in bytes; 0 for one that has ended. (The rusage of
// an ended one counts its parent's, too: Linux takes over what the process had before its exec, and Go forks with vfork.)
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
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
	return kibibytes << 10
}

func (r measured) mustBeGood(t *testing.T) measured {
	t.Helper()
	if r.err != nil {
		t.Fatalf("the connector ended with %v: %+v", r.err, r.out.Errors)
	}
	return r
}

// mustStayUnder holds the peak against 128 MiB plus three times the largest message.
func (r measured) mustStayUnder(t *testing.T, largest int64) {
	t.Helper()
	if limit := 128*mebibyte + 3*largest; r.peak > limit {
		t.Errorf("the connector needed %d MiB, allowed are %d", r.peak/mebibyte, limit/mebibyte)
	}
}

// fill inserts rows into one shard behind vtgate's back.
func fill(t *testing.T, db *sql.DB, table string, rows int) {
	t.Helper()
	var first []string
	for id := range 1000 {
		first = append(first, fmt.Sprintf("(%d,1,0,'row %d')", id, id))
	}
	execOn(t, db, "insert into "+table+" (id, part, v, note) values "+strings.Join(first, ","))
	grow(t, db, table, 1000, rows)
}

// grow doubles the rows with the ids 0 to from until there are so many.
func grow(t *testing.T, db *sql.DB, table string, from, rows int) {
	t.Helper()
	for n := from; n < rows; n *= 2 {
		execOn(t, db, fmt.Sprintf("insert into %[1]s (id, part, v, note) select id + %[2]d, part, v, note from %[1]s where id < %[3]d", table, n, rows-n))
	}
}

// TestBigCopy copies a table of more than 5 GB to a consumer that reads nothing for a minute in the middle: the memory is
// bounded, and no stream breaks.
func TestBigCopy(t *testing.T) {
	long(t)
	s := ownSandbox(t)
	p := newPipelineOf(t, "big_copy", s.PlainMySQL, s.ConfigSharded)
	db := shardMySQL(t, s, "-80")
	db.SetMaxOpenConns(1)
	execOn(t, db, "set sql_log_bin = 0") // half the space, and it is the copy that is of interest
	const rows = 1_300_000
	fill(t, db, p.name, 1000)
	execOn(t, db, "update big_copy set note = left(repeat(concat('row ', id * 7919, ' of many; '), 400), 4000)")
	grow(t, db, p.name, 1000, rows)
	c := consumer{p: p, pauseAfter: rows / 2, pause: time.Minute}
	c.read(plainConnector(t))
	if c.records != rows || c.sum != rows*(rows-1)/2 {
		t.Errorf("%d records with ids of the sum %d", c.records, c.sum)
	}
	if c.bytes < 5e9 {
		t.Errorf("the table has less than 5 GB")
	}
	if p.deliver(c.rest.Bytes()); strings.Contains(p.logged("WARN"), "broke") {
		t.Errorf("warnings: %s", p.logged("WARN"))
	}
	measured{peak: c.peak}.mustStayUnder(t, mebibyte)
}

// consumer reads a sync whose records are too many to be kept.
type consumer struct {
	p              *pipeline
	pauseAfter     int // records
	pause          time.Duration
	records, bytes int
	sum            int          // of the records' ids
	rest           bytes.Buffer // what is no record
	peak           int64
}

func (c *consumer) read(program string) {
	t := c.p.t
	t.Helper()
	cmd := exec.Command(program, c.p.readArgs()...)
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for lines := bufio.NewReaderSize(stdout, mebibyte); err == nil; {
		var line []byte
		line, err = lines.ReadSlice('\n')
		c.bytes += len(line)
		if !bytes.HasPrefix(line, []byte(`{"type":"RECORD"`)) {
			c.rest.Write(line)
			continue
		}
		id, _, _ := bytes.Cut(line[bytes.Index(line, []byte(`{"id":`))+len(`{"id":`):], []byte(","))
		n, invalid := strconv.Atoi(string(id))
		if invalid != nil {
			t.Fatal(invalid)
		}
		c.sum += n
		if c.records++; c.records == c.pauseAfter {
			<-time.After(c.pause) // the minute is what is tested
		}
		if c.records%10_000 == 0 {
			c.peak = max(c.peak, peakMemory(t, cmd.Process.Pid))
		}
	}
	if err != io.EOF {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the connector ended with %v: %s", err, c.rest.Bytes())
	}
	t.Logf("%d records, %d MB of output in %.0f s, peak memory %d MiB", c.records, c.bytes/1e6, time.Since(began).Seconds(), c.peak/mebibyte)
}

// TestBigTransaction replicates one transaction of 500,000 rows: the destination is right, and the connector does not hold
// the transaction in its memory.
func TestBigTransaction(t *testing.T) {
	long(t)
	s := ownSandbox(t)
	p := newPipelineOf(t, "big_transaction", s.PlainMySQL, s.ConfigSharded)
	db := shardMySQL(t, s, "-80")
	const rows = 500_000
	fill(t, db, p.name, rows)
	program := plainConnector(t)
	if r := p.measure(program).mustBeGood(t); len(r.out.Records) != rows {
		t.Fatalf("%d rows were copied", len(r.out.Records))
	}
	execOn(t, db, "update big_transaction set v = v + 1, note = concat(note, ' changed')")
	r := p.measure(program).mustBeGood(t)
	if len(r.out.Records) != rows {
		t.Errorf("%d rows were replicated", len(r.out.Records))
	}
	r.mustStayUnder(t, mebibyte)
	p.mustEqualTheSource()
}

// hugeText is the length of a value that Airbyte does not take, and that makes a message of more than half its limit.
const hugeText = 60_000_000

// TestHugeRows reads a row of 60 MB by copy, insert and delete: its value is null, which is said, and the row is there. A row
// that is larger than the server's messages may be fails its stream alone.
func TestHugeRows(t *testing.T) {
	s := ownSandbox(t)
	p := newPipelineOf(t, "big_rows", s.PlainMySQL, s.ConfigSharded)
	p.exec("alter table big_rows add column body longtext")
	beside := newPipelineOf(t, "big_beside", s.PlainMySQL, s.ConfigSharded)
	p.configureAll(s.ConfigSharded, "big_rows", "big_beside")
	p.exec("insert into big_beside (id, part, v) values (1,1,1), (2,1,1), (3,1,1), (4,1,1), (5,1,1), (6,1,1)")
	db := shardMySQL(t, s, "-80")
	program := plainConnector(t)

	insert := "insert into big_rows (id, part, v, note, body) values (%d, 1, 1, 'huge', repeat('x', %d))"
	execOn(t, db, fmt.Sprintf(insert, 1, hugeText))
	p.measure(program).mustBeGood(t).mustHaveHuge(t, false)
	execOn(t, db, fmt.Sprintf(insert, 2, hugeText))
	p.measure(program).mustBeGood(t).mustHaveHuge(t, false)
	execOn(t, db, "delete from big_rows where id = 2")
	p.measure(program).mustBeGood(t).mustHaveHuge(t, true)

	limitEdge(t, s, hugeText-mebibyte)
	p.exec("update big_beside set v = 2 where id < 4")
	execOn(t, db, fmt.Sprintf(insert, 3, hugeText))
	p.exec("update big_beside set v = v + 1 where id > 2")
	r := p.measure(program)
	if r.err == nil || len(r.out.Errors) != 1 {
		t.Fatalf("ended with %v, traces %+v", r.err, r.out.Errors)
	}
	if e := r.out.Errors[0]; e.FailureType != "config_error" || e.Stream.Name != "big_rows" || !strings.Contains(e.Message, "customer.big_rows in shard -80 is larger than a message may be (100 MiB") {
		t.Errorf("trace %+v", e)
	}
	if status := r.out.Statuses[destination.Stream{Name: "big_beside", Namespace: "customer"}]; status != "COMPLETE" {
		t.Errorf("the stream beside is %s", status)
	}
	beside.tables = p.tables
	beside.mustEqualTheSource()
}

// limitEdge makes the server refuse larger messages.
func limitEdge(t *testing.T, s *sandbox.Sandbox, limit int) {
	t.Helper()
	path := filepath.Join(s.Dir, "edge.json")
	config := map[string]any{}
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &config)
	}
	if err != nil || config["max_message"] == nil {
		t.Fatalf("%s: %v", path, err)
	}
	config["max_message"] = limit
	if data, err = json.Marshal(config); err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err == nil {
		err = s.Kill(t.Context(), "edge")
	}
	if err == nil {
		err = s.Start(t.Context(), "edge")
	}
	if err != nil {
		t.Fatal(err)
	}
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

// TestManyTables reads 2,000 tables in one sync, and what changed in a few of them in the next: with one VStream a shard.
func TestManyTables(t *testing.T) {
	long(t)
	s := ownSandbox(t)
	const tables = 2000
	shards := []string{"-80", "80-"}
	for id, shard := range shards {
		db := shardMySQL(t, s, shard)
		for i := range tables {
			execOn(t, db, fmt.Sprintf("create table big_table_%04d (id bigint primary key, name varchar(20))", i))
			execOn(t, db, fmt.Sprintf("insert into big_table_%04d (id, name) values (%d, '%s')", i, id, shard))
		}
	}
	p := newPipelineOf(t, "big_any", s.PlainMySQL, s.ConfigSharded)
	p.configureAll(s.ConfigSharded)
	program := plainConnector(t)
	if r := p.measure(program).mustBeGood(t); len(r.out.Records) != 2*tables {
		t.Errorf("%d records", len(r.out.Records))
	}
	for _, shard := range shards {
		execOn(t, shardMySQL(t, s, shard), "update big_table_0000 set name = 'new'", "delete from big_table_1999")
	}
	r := p.measure(program).mustBeGood(t)
	if len(r.out.Records) != 2*len(shards) {
		t.Errorf("%d records of changes", len(r.out.Records))
	}
	if n := streamsOpened(r.out); n != 2 {
		t.Errorf("%d streams were opened", n)
	}
	r.mustStayUnder(t, mebibyte)
	one := p.unchanged(program, tableNames(1))
	if many := p.unchanged(program, tableNames(500)); many > 2*one+time.Second {
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

// unchanged reads those tables when nothing has changed, and returns how long it took. No stream is opened for that.
func (p *pipeline) unchanged(program string, tables []string) time.Duration {
	p.t.Helper()
	q := *p
	q.dir, q.states = p.t.TempDir(), nil
	q.configureAll(p.config, tables...)
	q.state = p.state
	began := time.Now()
	r := q.measure(program).mustBeGood(p.t)
	took := time.Since(began)
	opened := streamsOpened(r.out)
	p.t.Logf("%d tables without changes: %d streams opened, %.2f s", len(tables), opened, took.Seconds())
	if opened != 0 || len(r.out.Records) != 0 || len(r.out.States) != len(tables) {
		p.t.Errorf("%d streams, %d records, %d states", opened, len(r.out.Records), len(r.out.States))
	}
	return took
}

// streamsOpened counts what the connector says of its streams for rows.
func streamsOpened(out *destination.Output) int {
	n := 0
	for _, l := range out.Logs {
		if strings.HasPrefix(l.Message, "Replicating ") || strings.HasPrefix(l.Message, "Copying ") {
			n++
		}
	}
	return n
}

// configureAll configures those tables, or all.
func (p *pipeline) configureAll(like string, names ...string) {
	p.t.Helper()
	p.configure(like)
	out := p.run("discover", "--config", p.config)
	data, err := destination.Configure(out.Catalog, "incremental", names...)
	if err != nil {
		p.t.Fatal(err)
	}
	p.file("catalog.json", data)
	p.reset()
}
