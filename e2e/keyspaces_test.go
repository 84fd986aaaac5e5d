package e2e

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"source-planetscale/internal/destination"
	"source-planetscale/internal/sandbox"
)

// twoKeyspaces is one source that reads the unsharded keyspace and the sharded one, each of which has a table with the same name.
type twoKeyspaces struct {
	*pipeline
	parts []*pipeline // one for each keyspace, to write to and to compare with
}

func newTwoKeyspaces(t *testing.T, c cluster, table string) *twoKeyspaces {
	t.Helper()
	commerce, customer := newPipeline(t, c, c.ConfigUnsharded, table), newPipeline(t, c, c.ConfigSharded, table)
	both := commerce.with(map[string]any{"keyspaces": []string{"customer"}})
	both.warehouse = &destination.Warehouse{}
	both.discover(table)
	return &twoKeyspaces{both, []*pipeline{commerce, customer}}
}

// mustEqualTheSources compares the tables of both keyspaces.
func (k *twoKeyspaces) mustEqualTheSources() {
	k.t.Helper()
	for _, part := range k.parts {
		view := *k.pipeline
		view.keyspace, view.db = part.keyspace, part.db
		view.mustEqualTheSource()
	}
}

// TestKeyspacesOfOneSource reads two keyspaces with one source while both are written to, and kills it repeatedly. The destination, built
// from the records and states of both, must equal both tables.
func TestKeyspacesOfOneSource(t *testing.T) {
	const rows = 10_000
	k := newTwoKeyspaces(t, shared(t), "ks_orders")
	for i, part := range k.parts {
		part.insert(0, rows, func(id int) string { return part.keyspace + strconv.Itoa(id) + killNote })
		part.write(writes{seed: uint64(i), rows: rows})
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	kills := 6
	if testAll() {
		kills = 60
	}
	for n := 0; n < kills; {
		lines := 2 * rows
		if k.state != nil && !strings.Contains(string(k.state), `"last_pk"`) {
			lines = 2 * changesMeanwhile
		}
		if k.readUntilKilled(1 + random.IntN(lines)) {
			n++
		}
		if n == kills/2 {
			k.reset() // so that a copy is killed once more
		}
	}
	for _, part := range k.parts {
		part.writer.stop()
	}
	k.readToEnd()
	k.mustEqualTheSources()
	for _, part := range k.parts {
		part.exec("delete from ks_orders where id < 100", "update ks_orders set v = -1 where id >= 9000")
	}
	k.readToEnd()
	k.mustEqualTheSources()
	for _, part := range k.parts {
		if n := len(k.warehouse.Tables[part.stream("ks_orders")].Rows); n < rows/2 {
			t.Errorf("the destination has %d rows of %s", n, part.keyspace)
		}
	}
}

// TestKeyspaceDown stops the tablet of one keyspace: only its stream fails, and continues from its position afterwards.
func TestKeyspaceDown(t *testing.T) {
	long(t)
	c := own(t, sandbox.Default())
	k := newTwoKeyspaces(t, c, "down_t")
	for _, part := range k.parts {
		part.exec("insert into down_t (id, part, v) values (1,1,1), (2,1,1), (3,1,1)")
	}
	k.readToEnd()
	k.mustEqualTheSources()
	for _, part := range k.parts {
		part.exec("update down_t set v = 2", "delete from down_t where id = 3")
	}
	primary, err := c.Primary(t.Context(), "commerce", "-")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Kill(t.Context(), "vttablet-"+primary); err != nil {
		t.Fatal(err)
	}
	if check := k.check(); check.Status != "FAILED" || !strings.Contains(check.Message, "Keyspace commerce: ") || strings.Contains(check.Message, "customer") {
		t.Errorf("check returns %+v", check)
	}
	if err := k.start().finish(); err == nil {
		t.Error("the sync succeeded")
	}
	commerce, customer := k.parts[0].stream("down_t"), k.parts[1].stream("down_t")
	if k.last.Statuses[commerce] != "INCOMPLETE" || k.last.Statuses[customer] != "COMPLETE" {
		t.Errorf("statuses %v", k.last.Statuses)
	}
	for _, e := range k.last.Errors {
		if e.Stream == nil || *e.Stream != commerce || !strings.HasPrefix(e.Message, "Keyspace commerce: ") {
			t.Errorf("trace %+v", e)
		}
	}
	view := *k.pipeline
	view.keyspace, view.db = "customer", k.parts[1].db
	view.mustEqualTheSource()
	if err := c.Start(t.Context(), "vttablet-"+primary); err != nil {
		t.Fatal(err)
	}
	k.readToEnd()
	k.mustEqualTheSources()
}

// TestEveryKeyspace reads all keyspaces of the server except for a snapshot and one without shards.
func TestEveryKeyspace(t *testing.T) {
	c := own(t, sandbox.Default())
	for _, args := range [][]string{
		{"CreateKeyspace", "every_empty"},
		{"CreateKeyspace", "--type", "SNAPSHOT", "--base-keyspace", "customer", "--snapshot-timestamp", "2026-01-02T03:04:05+00:00", "every_snapshot"},
		{"CreateShard", "every_snapshot/-"},
		{"RebuildKeyspaceGraph", "--allow-partial", "every_snapshot"},
		{"RebuildKeyspaceGraph", "every_empty"},
	} {
		if _, err := c.vtctl(t, args...); err != nil {
			t.Fatal(err)
		}
	}
	p := newPipeline(t, c, c.ConfigUnsharded, "every_t").with(map[string]any{"keyspaces": []string{"*"}})
	newPipeline(t, c, c.ConfigSharded, "every_t")
	await(t, time.Minute, func() error { // until vtgate knows the keyspaces
		_, err := c.vtgate(t, "every_snapshot", nil).ExecContext(t.Context(), "show tables from commerce")
		return err
	})
	if check := p.check(); check.Status != "SUCCEEDED" {
		t.Errorf("check returns %+v", check)
	}
	p.discover("every_t")
	if said := p.logged("INFO"); !strings.Contains(said, "Keyspaces left out, because they have no serving primary (snapshots, for example): every_empty, every_snapshot.") {
		t.Errorf("discover logs %s", said)
	}
	p.readToEnd()
	if n := len(p.warehouse.Tables); n != 2 || p.last.Statuses[destination.Stream{Name: "every_t", Namespace: "customer"}] != "COMPLETE" {
		t.Errorf("%d streams, statuses %v", n, p.last.Statuses)
	}
}

// TestTableMovedWithinTheSource moves a table from one keyspace of a source to the other: its stream fails, and the error names the stream
// that continues with its rows, which copies them. Nothing is lost.
func TestTableMovedWithinTheSource(t *testing.T) {
	c := own(t, sandbox.Default())
	p := newPipeline(t, c, c.ConfigSharded, "mow_t", "mow_beside").with(map[string]any{"keyspaces": []string{"commerce"}})
	p.exec("insert into mow_t (id, part, v) values (1,1,1), (2,1,1), (3,1,1), (4,1,1)")
	p.readToEnd()
	move := func(args ...string) error {
		_, err := c.vtctl(t, append([]string{"MoveTables", "--workflow", "mow", "--target-keyspace", "commerce"}, args...)...)
		return err
	}
	if err := move("create", "--source-keyspace", "customer", "--tables", "mow_t", "--tablet-types", "primary"); err != nil {
		t.Fatal(err)
	}
	p.exec("update mow_t set v = 2 where id < 3")
	await(t, time.Minute, func() error { return move("SwitchTraffic") }) // refused until the copy has finished
	moved := newPipeline(t, c, c.ConfigUnsharded)
	await(t, time.Minute, func() error { _, err := moved.db.Exec("delete from mow_t where id = 4"); return err })

	p.discover("mow_t", "mow_beside")
	if err := p.start().finish(); err == nil {
		t.Error("the sync succeeded")
	}
	from, to := p.stream("mow_t"), moved.stream("mow_t")
	if len(p.last.Errors) != 1 || *p.last.Errors[0].Stream != from || p.last.Errors[0].FailureType != "config_error" ||
		!strings.Contains(p.last.Errors[0].Message, "stream commerce.mow_t of this source has them") {
		t.Fatalf("traces %+v", p.last.Errors)
	}
	for stream, status := range p.last.Statuses {
		if (status == "COMPLETE") == (stream == from) {
			t.Errorf("stream %s is %s", stream, status)
		}
	}
	if len(p.warehouse.Tables[to].Rows) != 3 {
		t.Errorf("the destination has %d rows of %s", len(p.warehouse.Tables[to].Rows), to)
	}
	view := *p
	view.keyspace, view.db, view.tables = "commerce", moved.db, []string{"mow_t"}
	view.mustEqualTheSource()
}
