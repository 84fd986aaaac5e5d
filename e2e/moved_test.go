package e2e

import (
	"strings"
	"testing"
	"time"

	"source-planetscale/internal/sandbox"
)

// TestTableMovedToAnotherKeyspace moves a table away, back, and away for good, and keeps the old table. No event reports this to a stream.
func TestTableMovedToAnotherKeyspace(t *testing.T) {
	c := own(t, sandbox.Default())
	p := newPipeline(t, c, c.ConfigSharded, "mov_t", "mov_beside")
	p.exec("insert into mov_t (id, part, v) values (1,1,1), (2,1,1), (3,1,1), (4,1,1)")
	move := func(args ...string) error {
		_, err := c.vtctl(t, append([]string{"MoveTables", "--workflow", "mov", "--target-keyspace", "commerce"}, args...)...)
		return err
	}
	if err := move("create", "--source-keyspace", "customer", "--tables", "mov_t", "--tablet-types", "primary"); err != nil {
		t.Fatal(err)
	}
	p.readToEnd()
	p.mustEqualTheSource()

	await(t, time.Minute, func() error { return move("SwitchTraffic") }) // refused until the copy has finished
	p.mustNameKeyspace("commerce")

	await(t, time.Minute, func() error { return move("ReverseTraffic") })
	p.exec("update mov_t set v = 2")
	p.readToEnd()
	p.mustEqualTheSource()
	if logged := p.logged("WARN"); logged != "" {
		t.Errorf("the sync warns: %s", logged)
	}

	await(t, time.Minute, func() error { return move("SwitchTraffic") })
	if err := move("complete", "--keep-data"); err != nil {
		t.Fatal(err)
	}
	p.mustNameKeyspace("commerce")

	p.reset()
	for _, warns := range []bool{true, false} { // a recreated table cannot be distinguished from the kept one; one warning is enough
		p.readToEnd()
		if logged := p.logged("WARN"); strings.Contains(logged, "MoveTables moved table customer.mov_t to keyspace commerce") != warns {
			t.Errorf("the sync warns: %q", logged)
		}
	}
}

// mustNameKeyspace runs a sync in which only the stream of the moved table must fail.
func (p *pipeline) mustNameKeyspace(keyspace string) {
	p.t.Helper()
	failed := p.readFails()
	for _, part := range []string{"customer." + p.table + " are now in keyspace " + keyspace, "source of database " + keyspace} {
		if !strings.Contains(failed.Message, part) {
			p.t.Errorf("the message lacks %q: %s", part, failed.Message)
		}
	}
}
