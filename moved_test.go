package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"source-planetscale/internal/sandbox"
)

// TestTableMovedToAnotherKeyspace moves a table away and back. No event tells a stream of it.
func TestTableMovedToAnotherKeyspace(t *testing.T) {
	requireSandbox(t)
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
	failed := p.readFails()
	for _, part := range []string{"customer.mov_t from keyspace commerce", "source of database commerce"} {
		if !strings.Contains(failed.Message, part) {
			t.Errorf("the message does not say %q: %s", part, failed.Message)
		}
	}

	await(t, time.Minute, func() error { return move("ReverseTraffic") })
	p.exec("update mov_t set v = 2")
	p.readToEnd()
	p.mustEqualTheSource()
}
