package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"source-planetscale/e2e/script"
	"source-planetscale/internal/sandbox"
)

// TestTableMovedToAnotherKeyspace moves a table away, back, and away for good, its old table kept. No event tells a stream of it.
func TestTableMovedToAnotherKeyspace(t *testing.T) {
	script.RequireSandbox(t)
	s, err := sandbox.Up(t.Context(), t.TempDir(), sandbox.Default(), testLog{t})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Purge(context.Background()); err != nil {
			t.Error(err)
		}
	})
	p := newPipelineOf(t, "mov_t", s.PlainMySQL, s.ConfigSharded)
	newPipelineOf(t, "mov_beside", s.PlainMySQL, s.ConfigSharded)
	p.configureAll(s.ConfigSharded, "mov_t", "mov_beside")
	p.exec("insert into mov_t (id, part, v) values (1,1,1), (2,1,1), (3,1,1), (4,1,1)")
	move := func(args ...string) error {
		args = append([]string{"--server", s.VTCtld, "MoveTables", "--workflow", "mov", "--target-keyspace", "commerce"}, args...)
		out, err := exec.CommandContext(t.Context(), s.VTCtldClient, args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%v: %w: %s", args, err, out)
		}
		return nil
	}
	if err := move("create", "--source-keyspace", "customer", "--tables", "mov_t", "--tablet-types", "primary"); err != nil {
		t.Fatal(err)
	}
	p.readToEnd()
	p.mustEqualTheSource()

	await(t, time.Minute, func() error { return move("SwitchTraffic") }) // refused until the copy is done
	p.mustSayWhereTo("commerce")

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
	p.mustSayWhereTo("commerce")

	p.reset()
	for _, warns := range []bool{true, false} { // a table made anew is not told from the kept one; once is enough to say so
		p.readToEnd()
		if logged := p.logged("WARN"); strings.Contains(logged, "MoveTables has moved table customer.mov_t to keyspace commerce") != warns {
			t.Errorf("the sync warns: %q", logged)
		}
	}
}

// mustSayWhereTo runs a sync in which only the stream of the moved table is to fail.
func (p *pipeline) mustSayWhereTo(keyspace string) {
	p.t.Helper()
	failed := p.readFails()
	for _, part := range []string{"customer." + p.name + " are in keyspace " + keyspace, "source of database " + keyspace} {
		if !strings.Contains(failed.Message, part) {
			p.t.Errorf("the message does not say %q: %s", part, failed.Message)
		}
	}
	for stream, status := range p.last.Statuses {
		if stream.Name != p.name && status != "COMPLETE" {
			p.t.Errorf("stream %s is %s", stream.Name, status)
		}
	}
}
