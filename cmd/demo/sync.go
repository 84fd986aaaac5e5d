package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"source-planetscale/internal/destination"
)

// copyAll is the first sync.
func (d *demo) copyAll(ctx context.Context) error {
	r, err := d.connect(ctx, "read-1.jsonl", "read", "--config", d.source.config, "--catalog", d.catalogFile())
	if err != nil {
		return err
	}
	if err := d.source.tables.Fold(r.Records); err != nil {
		return fmt.Errorf("the records in %s cannot be written to a destination: %w", r.file, err)
	}
	d.showCopy(r)
	d.say("The streams of a sync are read in parallel; the seconds of each are from its first record to its end.")
	return d.saveState(r, 1)
}

func (d *demo) showCopy(r *result) {
	d.say("%-26s %9s %7s %8s %10s  %s", "stream", "records", "states", "seconds", "records/s", "status")
	digests := digestRead(r)
	for _, t := range shop {
		g := digests[t.stream()]
		if g == nil {
			g = &readDigest{status: "not read"}
		}
		d.say("%-26s %9s %7d %8.2f %10s  %s", t.stream(), count(g.records), g.states, g.seconds, g.rate(), g.status)
		if g.sample != nil {
			d.line(dim, "      "+formatRow(g.sample.Data, columnNames(t.keyspace, t.name)))
		}
	}
	seconds := r.took.Seconds()
	d.good("%s records in %.1f s, %s a second", count(len(r.Records)), seconds, count(int(float64(len(r.Records))/seconds)))
}

// saveState writes what Airbyte would pass to the next sync.
func (d *demo) saveState(r *result, n int) error {
	d.source.states = append(d.source.states, r.States...)
	state, err := destination.StateFile(d.source.states)
	if err != nil {
		return fmt.Errorf("the states in %s cannot be kept: %w", r.file, err)
	}
	return os.WriteFile(d.stateFile(n), state, 0o600)
}

func (d *demo) stateFile(n int) string { return d.path(fmt.Sprintf("state-%d.json", n)) }

// follow is the second sync, from the state of the first.
func (d *demo) follow(ctx context.Context) error {
	args := []string{"read", "--config", d.source.config, "--catalog", d.catalogFile(), "--state", d.stateFile(1)}
	r, err := d.connect(ctx, "read-2.jsonl", args...)
	if err != nil {
		return err
	}
	changes, err := foldChanges(d.source.tables, r.Records)
	if err != nil {
		return fmt.Errorf("the records in %s cannot be written to a destination: %w", r.file, err)
	}
	d.showChanges(r, changes)
	return d.saveState(r, 2)
}

func (d *demo) showChanges(r *result, changes map[destination.Stream]*changeCount) {
	d.say("%-26s %9s %9s %9s  %s", "stream", "inserted", "updated", "deleted", "status")
	for _, t := range shop {
		c := changes[t.stream()]
		if c == nil {
			c = &changeCount{}
		}
		d.say("%-26s %9s %9s %9s  %s", t.stream(), count(c.inserted), count(c.updated), count(c.deleted), r.Statuses[t.stream()])
		if c.delete != nil {
			at := fmt.Sprintf("      deleted at %v, the row as it was: ", c.delete.Data[columnDeletedAt])
			d.line(dim, at+formatRow(c.delete.Data, columnNames(t.keyspace, t.name)))
		}
	}
	d.good("%s records in %.1f s", count(len(r.Records)), r.took.Seconds())
}

// compare compares the tables that result from the records of both syncs with what the source itself selects.
func (d *demo) compare(ctx context.Context) error {
	streams, err := parseStreams(d.source.catalog)
	if err != nil {
		return err
	}
	rows := 0
	for _, s := range streams {
		t := d.source.tables[s.Stream]
		differences, err := t.Compare(ctx, d.dbs[s.Namespace], "select * from "+s.Name, s.schema)
		if err != nil {
			return fmt.Errorf("comparing %s with the source: %w", s.Stream, err)
		}
		if len(differences) > 0 {
			return errors.New("the destination is NOT equal to the source in " + s.String() +
				", which is a bug of the connector; report it with the files in " + d.dir + ":\n" + strings.Join(differences, "\n"))
		}
		rows += len(t.Rows)
	}
	d.say("All records of both syncs, merged by key as a warehouse does, compared with select * of each table:")
	d.good("the destination equals the source: %s rows in %d tables of %d keyspaces", count(rows), len(streams), len(keyspaces))
	return nil
}
