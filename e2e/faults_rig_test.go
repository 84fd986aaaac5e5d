package e2e

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"source-planetscale/e2e/script"
	"source-planetscale/internal/sandbox"
)

const (
	// faultNote is the size of a row in bytes; faultGate is how many bytes the connector gets before the fault, so that the
	// most is still at the source then. Of so many it gives faultRecords at least: a change has two images, and each shard's
	// reader holds up to 1 MiB of records back.
	faultNote    = 3_000
	faultGate    = 5 << 20
	faultRecords = 300
	// faultLimit is how long a sync with a fault may take; the longest wait in it is vstream.Silence.
	faultLimit = 4 * time.Minute
)

// faultRows are more than the connections between connector and edge hold: 9 MB in each of two shards, of which half of
// faultGate is let through, and gRPC's window of 4 MB may be on the way. To be more than the buffers up to MySQL hold, too, they
// must be twice as many, which is slow.
func faultRows() int {
	if os.Getenv("TEST_ALL") != "" {
		return 12_000
	}
	return 6_000
}

// rig is a cluster of its own for faults: keyspace customer with two shards, each with a primary and a replica.
type rig struct {
	*sandbox.Sandbox
	*pipeline
	proxy  *proxy // before the edge's gRPC port
	random *rand.Rand
	writer *writer
}

// newRig starts the cluster and fills a table.
func newRig(t *testing.T, name string, tablets int) *rig {
	t.Helper()
	script.RequireSandbox(t)
	topology := sandbox.Default()[1:]
	topology[0].Shards = []sandbox.Shard{{Name: "-80", Tablets: tablets}, {Name: "80-", Tablets: tablets}}
	s, err := sandbox.Up(t.Context(), t.TempDir(), topology, testLog{t})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Purge(context.Background()); err != nil {
			t.Error(err)
		}
	})
	f := &rig{Sandbox: s, pipeline: newPipelineOf(t, name, s.PlainMySQL, s.ConfigSharded), random: rand.New(rand.NewPCG(1, 1))}
	f.proxy = newProxy(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(s.GRPCPort)))
	for from := 0; from < faultRows(); from += 500 {
		rows := make([]string, 500)
		for i := range rows {
			rows[i] = fmt.Sprintf("(%d,1,0,'%s')", from+i, f.note())
		}
		f.exec("insert into " + name + " (id, part, v, note) values " + strings.Join(rows, ","))
	}
	return f
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// note is text that does not compress, so that a buffer's size in bytes is one in rows, too.
func (f *rig) note() string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	b := make([]byte, faultNote)
	for i := range b {
		b[i] = letters[f.random.IntN(len(letters))]
	}
	return string(b)
}

// in returns the rig for a subtest, with an empty destination. Options are added to the configuration.
func (f *rig) in(t *testing.T, options map[string]any) *rig {
	t.Helper()
	f.proxy.open() // should the last test have failed before it did
	p := *f.pipeline
	p.t, p.dir = t, t.TempDir()
	sub := *f
	sub.pipeline = &p
	var config map[string]any
	data, err := os.ReadFile(p.config)
	if err == nil {
		err = json.Unmarshal(data, &config)
	}
	if err != nil {
		t.Fatal(err)
	}
	config["grpc_port"] = f.proxy.port()
	maps.Copy(config, options)
	if data, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	p.config = p.file("config.json", data)
	p.reset()
	return &sub
}

// burst changes every row, in transactions that an incremental sync must replicate.
func (f *rig) burst() {
	f.t.Helper()
	for from := 0; from < faultRows(); from += 200 {
		f.exec(fmt.Sprintf("update %s set v = v + 1 where id >= %d and id < %d", f.name, from, from+200))
	}
}

// reading is a run of the connector that is read step by step.
type reading struct {
	p    *pipeline
	cmd  *exec.Cmd
	r    *bufio.Reader
	out  bytes.Buffer
	done context.CancelFunc
}

func (p *pipeline) start() *reading {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), faultLimit)
	s := &reading{p: p, cmd: exec.CommandContext(ctx, "source-planetscale", p.readArgs()...), done: cancel}
	stdout, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	s.r = bufio.NewReader(stdout)
	return s
}

// until reads up to that many records. After it the connector waits for its reader, and the server for the connector.
func (s *reading) until(records int) {
	s.p.t.Helper()
	for records > 0 {
		line, err := s.r.ReadBytes('\n')
		s.out.Write(line)
		if err != nil {
			s.p.t.Fatalf("the connector ended %d records early: %v: %s", records, err, lastLines(s.out.Bytes()))
		}
		if bytes.Contains(line, []byte(`"type":"RECORD"`)) {
			records--
		}
	}
}

// untilSaid reads up to a message with these words.
func (s *reading) untilSaid(words string) {
	s.p.t.Helper()
	for {
		line, err := s.r.ReadBytes('\n')
		s.out.Write(line)
		if bytes.Contains(line, []byte(words)) {
			return
		}
		if err != nil {
			s.p.t.Fatalf("the connector ended (%v) before it said %q: %s", err, words, notRecords(s.out.Bytes()))
		}
	}
}

// toEnd reads on to the end, which must be a good one.
func (s *reading) toEnd() {
	s.p.t.Helper()
	if err := s.finish(); err != nil {
		s.p.t.Fatalf("the connector ended with %v: %s", err, notRecords(s.out.Bytes()))
	}
}

// finish reads on to the end, well or not, and delivers what came.
func (s *reading) finish() error {
	s.p.t.Helper()
	defer s.done()
	if _, err := io.Copy(&s.out, s.r); err != nil {
		s.p.t.Fatal(err)
	}
	err := s.cmd.Wait()
	s.p.deliver(s.out.Bytes())
	return err
}

// logged is what the last run has said at these levels.
func (p *pipeline) logged(levels ...string) string {
	var b strings.Builder
	for _, l := range p.last.Logs {
		if slices.Contains(levels, l.Level) {
			b.WriteString(l.Message + "\n")
		}
	}
	return b.String()
}

// vtgateLog is what vtgate has logged since that offset.
func (f *rig) vtgateLog(since int) string {
	f.t.Helper()
	data, err := os.ReadFile(filepath.Join(f.Dir, "log", "vtgate.log"))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(data[since:])
}

// notRecords are the lines of an output that are not records.
func notRecords(out []byte) string {
	var b strings.Builder
	for line := range bytes.Lines(out) {
		if !bytes.Contains(line, []byte(`"type":"RECORD"`)) && !bytes.Contains(line, []byte(`"type":"STATE"`)) {
			b.Write(line)
		}
	}
	return b.String()
}

// writer changes a table all the time, whatever the server says.
type writer struct {
	name  string
	db    *sql.DB
	quiet sync.Mutex // held during each round
	done  chan struct{}
	wait  sync.WaitGroup
	mu    sync.Mutex
	good  int // statements since the last call of recovered
	last  error
}

// newWriter starts to write. It ends with the test.
func newWriter(t *testing.T, db *sql.DB, name string) *writer {
	w := &writer{name: name, db: db, done: make(chan struct{})}
	random := rand.New(rand.NewPCG(2, 2))
	w.wait.Go(func() {
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-w.done:
				return
			case <-ticker.C:
				w.round(random)
			}
		}
	})
	t.Cleanup(w.stop)
	return w
}

// round leaves most rows as they are: the table is to stay as large as it is.
func (w *writer) round(random *rand.Rand) {
	w.quiet.Lock()
	defer w.quiet.Unlock()
	tenth := faultRows() / 10
	id := 10 * random.IntN(tenth)
	for _, statement := range []string{
		fmt.Sprintf("insert into %s (id, part, v, note) values (%d, 1, 1, 'new') on duplicate key update v = v + 1", w.name, faultRows()+random.IntN(tenth)),
		fmt.Sprintf("update %s set v = v + 1, note = 'changed' where id = %d", w.name, id),
		fmt.Sprintf("update %s set part = part + 1 where id = %d", w.name, id+1),
		fmt.Sprintf("delete from %s where id = %d", w.name, id+2),
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		_, err := w.db.ExecContext(ctx, statement)
		cancel()
		w.mu.Lock()
		if err != nil {
			w.last = err
		} else {
			w.good++
		}
		w.mu.Unlock()
	}
}

func (w *writer) stop() {
	select {
	case <-w.done:
	default:
		close(w.done)
	}
	w.wait.Wait()
}

// recovered waits until rows can be written again.
func (w *writer) recovered(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	w.good = 0
	w.mu.Unlock()
	await(t, time.Minute, func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.good < 8 {
			return fmt.Errorf("nothing can be written: %w", w.last)
		}
		return nil
	})
}

// await polls until there is no error any more.
func await(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	late := time.After(limit)
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-late:
			t.Fatal(err)
		}
	}
}

// awaitReplicas waits until the replicas of these shards have what their primaries have.
func (f *rig) awaitReplicas(shards ...string) {
	f.t.Helper()
	for _, shard := range shards {
		replicas, err := f.Replicas(f.t.Context(), "customer", shard)
		if err != nil {
			f.t.Fatal(err)
		}
		if len(replicas) == 0 {
			continue
		}
		want := f.executed(f.t, "customer/"+shard)
		await(f.t, time.Minute, func() error {
			db := openTarget(f.t, f.PlainMySQL, "customer/"+shard+"@replica")
			defer db.Close()
			var has sql.NullBool
			err := db.QueryRowContext(f.t.Context(), "select GTID_SUBSET('"+want+"', @@global.gtid_executed) as has").Scan(&has)
			if err == nil && !has.Bool {
				err = fmt.Errorf("the replica of %s lags", shard)
			}
			return err
		})
	}
}

func (f *rig) executed(t *testing.T, target string) string {
	t.Helper()
	db := openTarget(t, f.PlainMySQL, target)
	defer db.Close()
	var gtids string
	await(t, time.Minute, func() error {
		return db.QueryRowContext(t.Context(), "select @@global.gtid_executed as gtids").Scan(&gtids)
	})
	return strings.ReplaceAll(gtids, "\n", "")
}

func openTarget(t *testing.T, addr, target string) *sql.DB {
	t.Helper()
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.DBName, c.Logger = "tcp", addr, "root", target, &mysql.NopLogger{}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	return sql.OpenDB(connector)
}
