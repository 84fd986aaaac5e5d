package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"source-planetscale/internal/sandbox"
)

// TestManyKeyspacesWithoutChanges logs how long a sync without changes takes for one keyspace of 2 shards and 100 tables, and for four.
// No time makes it fail: the machine may be busy.
func TestManyKeyspacesWithoutChanges(t *testing.T) {
	long(t)
	const tables = 100
	names := []string{"many1", "many2", "many3", "many4"}
	var topology sandbox.Topology
	for _, name := range names {
		keyspace := customer(1)[0]
		keyspace.Name = name
		topology = append(topology, keyspace)
	}
	c := own(t, topology)
	var group errgroup.Group
	for _, name := range names {
		db := c.vtgate(t, name, nil)
		group.Go(func() error {
			for i := range tables {
				for _, statement := range []string{
					"create table t%03d (id bigint primary key, v int)", "alter vschema on t%03d add vindex xxhash(id)",
				} {
					if _, err := db.Exec(fmt.Sprintf(statement, i)); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	p := newPipeline(t, c, c.ConfigSharded).with(map[string]any{"database": names[0]})
	one, four := p, p.with(map[string]any{"keyspaces": names[1:]})
	for _, source := range []*pipeline{one, four} {
		source.startHere()
	}
	took, worked := map[*pipeline][]time.Duration{}, map[*pipeline][]time.Duration{}
	for range 9 {
		for source, streams := range map[*pipeline]int{one: tables, four: tables * len(names)} {
			began := time.Now()
			s := source.start()
			err := s.rest()
			took[source] = append(took[source], time.Since(began)) // without the time in which the test processes the output
			worked[source] = append(worked[source], s.cmd.ProcessState.UserTime()+s.cmd.ProcessState.SystemTime())
			if err != nil {
				t.Fatal(err)
			}
			source.deliver(s.out.Bytes())
			if complete := len(source.last.Statuses); complete != streams || len(source.last.Records) > 0 {
				t.Errorf("%d streams, %d records", complete, len(source.last.Records))
			}
		}
	}
	median := func(times []time.Duration) time.Duration {
		slices.Sort(times)
		return times[len(times)/2].Round(time.Millisecond)
	}
	t.Logf("medians of time and of the connector's CPU time: one keyspace %v, %v; four %v, %v",
		median(took[one]), median(worked[one]), median(took[four]), median(worked[four]))
}

// startHere configures all tables, to be read from the source's current position.
func (p *pipeline) startHere() {
	p.t.Helper()
	p.discover()
	positions, err := p.command("position", "--config", p.config).Output()
	if err != nil {
		p.t.Fatal(err)
	}
	config := p.config
	p.config = p.file("starting.json", changed(p.t, config, map[string]any{"starting_gtids": string(positions)}))
	p.reset()
	p.readToEnd()
	p.config = config
}
