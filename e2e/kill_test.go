package e2e

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"source-planetscale/e2e/script"
	"source-planetscale/internal/destination"
)

// killRows is how many rows the table has at first. They are of killNote, so that a shard's copy comes in dozens of packets
// of 250 kB, at the end of which its key may be saved, and is not over when the first one is.
const killRows = 30_000

var killNote = strings.Repeat(" and so on", 40)

// TestKilledAtRandomMoments kills the connector again and again while it copies and replicates a sharded table that is
// written to, and goes on each time from the last state printed. The destination must end equal to the source.
func TestKilledAtRandomMoments(t *testing.T) {
	p := newPipeline(t, "kill_orders")
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("KILL_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("KILL_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	kills := 10
	if os.Getenv("TEST_ALL") != "" {
		kills = 100
	}
	stop := p.write(random.Uint64())
	midCopy := 0
	most := killRows
	for killed := 0; killed < kills; {
		if p.readUntilKilled(1 + random.IntN(most)) {
			killed++
			most = killRows
		} else {
			most = max(most/2, 1) // a sync after the copy has few lines
		}
		if strings.Contains(string(p.state), `"last_pk"`) {
			midCopy++
		}
		if killed%3 == 2 {
			p.reset() // so that copies are killed, too, and not only the first one
		}
	}
	stop()
	p.readToEnd()
	p.mustEqualTheSource()
	if kills == 100 && midCopy == 0 {
		t.Error("no kill left a copy to be resumed by its key")
	}
	t.Logf("%d kills, %d of them left a copy to be resumed by its key; %d records, %d states", kills, midCopy, p.records, p.statesSeen)
}

// TestEveryStateReplays reads the table once, under writes, and goes on from each state of that run.
func TestEveryStateReplays(t *testing.T) {
	p := newPipeline(t, "kill_replay")
	stop := p.write(1)
	p.readToEnd()
	first := p.last
	stop()
	p.readToEnd() // after the writes, so that each replay has some to catch up with
	for i, state := range first.States {
		q := &pipeline{t: t, name: p.name, db: p.db, dir: t.TempDir(), config: p.config, catalog: p.catalog, schema: p.schema}
		q.reset()
		if err := q.tables.Fold(first.Records[:state.Before]); err != nil {
			t.Fatal(err)
		}
		q.remember(first.States[:i+1])
		q.readToEnd()
		q.mustEqualTheSource()
	}
	t.Logf("%d states replayed", len(first.States))
}

// TestKeyChangedBetweenAttemptsOfACopy gives the table another key of as many columns while its copy is unfinished.
func TestKeyChangedBetweenAttemptsOfACopy(t *testing.T) {
	p := newPipeline(t, "kill_key")
	p.copyHalf(killRows * 2 / 3)
	p.exec("alter table kill_key drop primary key, add primary key (part, id)")
	p.readToEnd()
	p.mustEqualTheSource()
}

// TestColumnAddedBetweenAttemptsOfACopy adds a column while the copy is unfinished, after rows were changed that are replayed.
func TestColumnAddedBetweenAttemptsOfACopy(t *testing.T) {
	p := newPipeline(t, "kill_column")
	p.copyHalf(killRows * 2 / 3)
	p.exec("update kill_column set v = v + 1 where id % 100 = 0")
	p.exec("alter table kill_column add column extra varchar(20)")
	await(t, time.Minute, func() error { // until vtgate has heard of the column
		_, err := p.db.Exec("update kill_column set extra = 'some' where id % 100 < 2")
		return err
	})
	p.configure(os.Getenv("SANDBOX_CONFIG_SHARDED"))
	p.readToEnd()
	p.mustEqualTheSource()
}

// copyHalf reads that many lines until the copy is to be resumed by its key.
func (p *pipeline) copyHalf(lines int) {
	p.t.Helper()
	for !strings.Contains(string(p.state), `"last_pk"`) {
		p.reset()
		p.readUntilKilled(lines)
	}
}

// pipeline is a source table, the connector and a destination.
type pipeline struct {
	t       *testing.T
	name    string
	db      *sql.DB
	dir     string
	config  string // files
	catalog string
	schema  json.RawMessage

	tables     destination.Tables
	states     []destination.State
	state      []byte
	last       *destination.Output
	records    int
	statesSeen int
}

// newPipeline makes a filled table in the tests' sandbox.
func newPipeline(t *testing.T, name string) *pipeline {
	t.Helper()
	script.RequireSandbox(t)
	p := newPipelineOf(t, name, os.Getenv("SANDBOX_PLAIN_MYSQL"), os.Getenv("SANDBOX_CONFIG_SHARDED"))
	for from := 0; from < killRows; from += 2000 {
		var rows []string
		for id := from; id < from+2000; id++ {
			rows = append(rows, fmt.Sprintf("(%d,1,0,'row %d%s')", id, id, killNote))
		}
		p.exec("insert into " + name + " (id, part, v, note) values " + strings.Join(rows, ","))
	}
	return p
}

// newPipelineOf makes an empty table in the sandbox with that vtgate, which the given configuration reaches, too.
func newPipelineOf(t *testing.T, name, plainMySQL, config string) *pipeline {
	t.Helper()
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.DBName = "tcp", plainMySQL, "root", "customer"
	c.Params = map[string]string{"workload": "olap"}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	p := &pipeline{t: t, name: name, db: sql.OpenDB(connector), dir: t.TempDir()}
	t.Cleanup(func() { p.db.Close() })
	p.exec("drop table if exists " + name)
	p.exec("create table " + name + " (id bigint, part int, v bigint, note varchar(4000), primary key (id, part))")
	if _, err := p.db.Exec("alter vschema on " + name + " add vindex xxhash(id)"); err != nil && !strings.Contains(err.Error(), "already defined") {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.exec("drop table " + name) })
	p.configure(config)
	p.reset()
	return p
}

func (p *pipeline) exec(statement string) {
	p.t.Helper()
	if _, err := p.db.Exec(statement); err != nil {
		p.t.Fatal(err)
	}
}

// configure writes a configuration like the given one, with a checkpoint every second, and the catalog.
func (p *pipeline) configure(like string) {
	p.t.Helper()
	var config map[string]any
	data, err := os.ReadFile(like)
	if err == nil {
		err = json.Unmarshal(data, &config)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	config["checkpoint_interval_seconds"] = 1
	if data, err = json.Marshal(config); err != nil {
		p.t.Fatal(err)
	}
	p.config, p.catalog = p.file("config.json", data), filepath.Join(p.dir, "catalog.json")
	out := p.run("discover", "--config", p.config)
	if data, err = destination.Configure(out.Catalog, "incremental", p.name); err != nil {
		p.t.Fatal(err)
	}
	p.file("catalog.json", data)
	var catalog struct {
		Streams []struct {
			Stream struct {
				Schema json.RawMessage `json:"json_schema"`
			} `json:"stream"`
		} `json:"streams"`
	}
	if err := json.Unmarshal(data, &catalog); err != nil {
		p.t.Fatal(err)
	}
	p.schema = catalog.Streams[0].Stream.Schema
}

func (p *pipeline) file(name string, data []byte) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// reset empties the destination and forgets the state, as Airbyte does when a stream is cleared.
func (p *pipeline) reset() {
	p.t.Helper()
	data, err := os.ReadFile(p.catalog)
	if err != nil {
		p.t.Fatal(err)
	}
	if p.tables, err = destination.NewTables(data); err != nil {
		p.t.Fatal(err)
	}
	p.states, p.state = nil, nil
}

// write inserts, updates, deletes and moves rows until the returned function is called.
func (p *pipeline) write(seed uint64) (stop func()) {
	random := rand.New(rand.NewPCG(seed, 1))
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() {
		for next := killRows; ctx.Err() == nil; next++ {
			id := random.IntN(next)
			for _, statement := range []string{
				fmt.Sprintf("insert into %s (id, part, v, note) values (%d, 1, 1, 'new')", p.name, next),
				fmt.Sprintf("update %s set v = v + 1, note = 'changed' where id = %d", p.name, id),
				fmt.Sprintf("update %s set part = part + 1 where id = %d", p.name, id+1),
				fmt.Sprintf("delete from %s where id = %d", p.name, random.IntN(next)),
			} {
				if _, err := p.db.ExecContext(ctx, statement); err != nil && ctx.Err() == nil {
					p.t.Errorf("%s: %v", statement, err)
					return
				}
			}
		}
	})
	return func() {
		cancel()
		wait.Wait()
	}
}

func (p *pipeline) readArgs() []string {
	args := []string{"read", "--config", p.config, "--catalog", p.catalog}
	if p.state != nil {
		args = append(args, "--state", p.file("state.json", p.state))
	}
	return args
}

// readUntilKilled reads that many lines and kills the connector; false if it had ended by then.
func (p *pipeline) readUntilKilled(lines int) bool {
	p.t.Helper()
	cmd := exec.Command("source-planetscale", p.readArgs()...)
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	var out bytes.Buffer
	r := bufio.NewReader(stdout)
	ended := false
	for n := range lines {
		if n == lines/4 {
			// A slow consumer: the next boundary is due for a checkpoint, which falls into the copy.
			time.Sleep(1100 * time.Millisecond)
		}
		line, err := r.ReadBytes('\n')
		out.Write(line)
		if err != nil {
			ended = true
			break
		}
	}
	_ = cmd.Process.Kill()
	if _, err := r.WriteTo(&out); err != nil && !errors.Is(err, os.ErrClosed) {
		p.t.Fatal(err)
	}
	_ = cmd.Wait()
	p.deliver(out.Bytes())
	return !ended
}

// readToEnd runs a sync that is to succeed.
func (p *pipeline) readToEnd() {
	p.t.Helper()
	cmd := exec.Command("source-planetscale", p.readArgs()...)
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("the connector ended with %v: %s", err, lastLines(out))
	}
	p.deliver(out)
}

func (p *pipeline) run(args ...string) *destination.Output {
	p.t.Helper()
	data, err := exec.Command("source-planetscale", args...).Output()
	if err != nil {
		p.t.Fatalf("the connector ended with %v: %s", err, lastLines(data))
	}
	out, err := destination.Parse(bytes.NewReader(data))
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// deliver hands output to the destination and keeps its states.
func (p *pipeline) deliver(output []byte) {
	p.t.Helper()
	out, err := destination.Parse(bytes.NewReader(output))
	if err == nil {
		err = p.tables.Fold(out.Records)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.last = out
	p.records += len(out.Records)
	p.statesSeen += len(out.States)
	p.remember(out.States)
}

func (p *pipeline) remember(states []destination.State) {
	p.t.Helper()
	p.states = append(p.states, states...)
	if len(p.states) == 0 {
		return
	}
	var err error
	if p.state, err = destination.StateFile(p.states); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pipeline) mustEqualTheSource() {
	p.t.Helper()
	table := p.tables[destination.Stream{Name: p.name, Namespace: "customer"}]
	differences, err := table.Compare(p.t.Context(), p.db, "select * from "+p.name, p.schema)
	if err != nil {
		p.t.Fatal(err)
	}
	if len(differences) > 0 {
		p.t.Errorf("the destination differs from the source:\n%s\nstate: %s", strings.Join(differences, "\n"), p.state)
	}
}

func lastLines(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}
