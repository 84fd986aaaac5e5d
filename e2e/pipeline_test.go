package e2e

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"source-planetscale/internal/destination"
)

// pipeline has tables of a source, the connector and a destination, as on the platform: a sync continues from the last state, and the
// destination keeps the rows of all syncs and is compared with the source.
type pipeline struct {
	t *testing.T
	cluster
	keyspace string
	tables   []string // the configured ones; most tests have one
	table    string   // the first of them
	db       *sql.DB  // the keyspace, through vtgate
	dir      string
	config   string // files
	catalog  string
	command  func(args ...string) *exec.Cmd // the connector

	warehouse *destination.Warehouse
	state     []byte              // for the next sync
	last      *destination.Output // output of the last run

	proxy  *proxy  // in front of the edge's gRPC port, if the test has one
	writer *writer // the last one, if there was one
}

// newPipeline creates empty tables in the database of this configuration, and configures them. They are dropped when the test ends.
func newPipeline(t *testing.T, c cluster, config string, tables ...string) *pipeline {
	t.Helper()
	var options struct{ Database string }
	if err := json.Unmarshal(read(t, config), &options); err != nil {
		t.Fatal(err)
	}
	p := &pipeline{t: t, cluster: c, keyspace: options.Database, dir: t.TempDir(), command: program, warehouse: &destination.Warehouse{}}
	p.db = c.vtgate(t, p.keyspace, map[string]string{"workload": "olap"})
	p.config = p.file("config.json", changed(t, config, map[string]any{"checkpoint_interval_seconds": 1}))
	for _, table := range tables {
		p.make(table, "(id bigint, part int, v bigint, note varchar(4000), primary key (id, part))", "id")
	}
	if len(tables) > 0 {
		p.discover(tables...)
	}
	return p
}

func program(args ...string) *exec.Cmd { return exec.Command("source-planetscale", args...) }

// make creates a table; in the sharded keyspace vindex, quoted as in SQL, is the column of its vindex.
func (p *pipeline) make(table, definition, vindex string) {
	p.t.Helper()
	drop := "drop table if exists " + identifier(table)
	p.exec(drop, "create table "+identifier(table)+" "+definition)
	p.t.Cleanup(func() { execOn(p.t, p.db, drop) })
	if p.keyspace != "customer" {
		return
	}
	_, err := p.db.Exec("alter vschema on " + identifier(table) + " add vindex xxhash(" + vindex + ")")
	if err != nil && !strings.Contains(err.Error(), "already defined on table") { // the vindex remains after its table was dropped
		p.t.Fatal(err)
	}
}

func identifier(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

func (p *pipeline) exec(statements ...string) {
	p.t.Helper()
	execOn(p.t, p.db, statements...)
}

// insert fills the table with rows whose ids are from up to, but not including, to.
func (p *pipeline) insert(from, to int, note func(id int) string) {
	p.t.Helper()
	for ; from < to; from += 500 {
		var rows []string
		for id := from; id < min(to, from+500); id++ {
			rows = append(rows, fmt.Sprintf("(%d,1,0,'%s')", id, note(id)))
		}
		p.exec("insert into " + p.table + " (id, part, v, note) values " + strings.Join(rows, ","))
	}
}

// noise returns texts of this many bytes that do not compress, so that the number of rows that fit into a buffer is known.
func noise(bytes int) func(id int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	random := rand.New(rand.NewPCG(1, 1))
	return func(int) string {
		b := make([]byte, bytes)
		for i := range b {
			b[i] = letters[random.IntN(len(letters))]
		}
		return string(b)
	}
}

// discover configures these tables, or all, as they are now. The destination's rows are kept.
func (p *pipeline) discover(tables ...string) {
	p.t.Helper()
	data, err := destination.Configure(p.run("discover", "--config", p.config).Catalog, "incremental", tables...)
	if err != nil {
		p.t.Fatal(err)
	}
	p.catalog = p.file("catalog.json", data)
	if p.tables = tables; len(tables) > 0 {
		p.table = tables[0]
	}
	if err := p.warehouse.Configure(data); err != nil {
		p.t.Fatal(err)
	}
}

// with returns the pipeline with changed options, and the same destination; nil removes an option.
func (p *pipeline) with(options map[string]any) *pipeline {
	p.t.Helper()
	other := *p
	other.dir = p.t.TempDir()
	other.config = other.file("config.json", changed(p.t, p.config, options))
	return &other
}

// in returns the pipeline for a subtest, with changed options and its own empty destination.
func (p *pipeline) in(t *testing.T, options map[string]any) *pipeline {
	t.Helper()
	other := *p
	other.t = t
	if p.proxy != nil {
		p.proxy.open() // in case the last test failed before it did that
	}
	q := other.with(options)
	q.reset()
	return q
}

// throughProxy puts a proxy between connector and edge.
func (p *pipeline) throughProxy() *pipeline {
	p.t.Helper()
	proxy := newProxy(p.t, net.JoinHostPort(p.Host, strconv.Itoa(p.GRPCPort)))
	q := p.with(map[string]any{"grpc_port": proxy.port()})
	q.proxy = proxy
	return q
}

// reset empties the destination and forgets the state, as Airbyte does when streams are cleared.
func (p *pipeline) reset() {
	p.t.Helper()
	p.clear()
	p.state = nil
}

// clear empties the destination, whose rows no longer matter; the next sync continues from the state.
func (p *pipeline) clear() {
	p.t.Helper()
	p.warehouse = &destination.Warehouse{}
	if p.catalog == "" {
		return
	}
	if err := p.warehouse.Configure(read(p.t, p.catalog)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pipeline) file(name string, data []byte) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	write(p.t, path, data)
	return path
}

// run runs a command other than read, which must succeed.
func (p *pipeline) run(args ...string) *destination.Output {
	p.t.Helper()
	cmd := p.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		p.t.Fatalf("the connector ended with %v: %s%s", err, stdout.Bytes(), stderr.Bytes())
	}
	out, err := destination.Parse(&stdout)
	if err != nil {
		p.t.Fatal(err)
	}
	p.last = out
	return out
}

// check returns the result of the command check.
func (p *pipeline) check() destination.Check {
	p.t.Helper()
	check := p.run("check", "--config", p.config).Check
	if check == nil {
		p.t.Fatal("check returned no status")
	}
	return *check
}

// deliver passes a run's output to the destination, and its states to the platform.
func (p *pipeline) deliver(output []byte) {
	p.t.Helper()
	out, err := destination.Parse(bytes.NewReader(output))
	if err != nil {
		p.t.Fatal(err)
	}
	p.last = out
	p.keep(out.Records, out.States)
}

func (p *pipeline) keep(records []destination.Record, states []destination.State) {
	p.t.Helper()
	err := p.warehouse.Deliver(records, states)
	if err == nil && len(states) > 0 {
		p.state, err = p.warehouse.State()
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// logged returns what the last run has logged at these levels.
func (p *pipeline) logged(levels ...string) string {
	var b strings.Builder
	for _, l := range p.last.Logs {
		if slices.Contains(levels, l.Level) {
			b.WriteString(l.Message + "\n")
		}
	}
	return b.String()
}

func (p *pipeline) stream(table string) destination.Stream {
	return destination.Stream{Name: table, Namespace: p.keyspace}
}

// rows returns the destination's rows of a table.
func (p *pipeline) rows(table string) map[string]map[string]any {
	return p.warehouse.Tables[p.stream(table)].Rows
}

func (p *pipeline) mustEqualTheSource() {
	p.t.Helper()
	for _, table := range p.tables {
		p.mustEqual(table, "*")
	}
}

// mustEqual compares these columns of one table between destination and source.
func (p *pipeline) mustEqual(table, columns string) {
	p.t.Helper()
	differences, err := p.warehouse.Compare(p.t.Context(), p.db, p.stream(table), columns)
	if err != nil {
		p.t.Fatal(err)
	}
	if len(differences) > 0 {
		p.t.Errorf("the destination differs from the source in %s:\n%s\nstate: %s", table, strings.Join(differences, "\n"), p.state)
	}
}
