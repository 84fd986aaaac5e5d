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
	for _, k := range d.keyspaces {
		r, err := d.connect(ctx, "read-1-"+k.name+".jsonl", "read", "--config", k.config, "--catalog", d.catalogOf(k))
		if err != nil {
			return err
		}
		if err := k.tables.Fold(r.Records); err != nil {
			return fmt.Errorf("the records in %s cannot be written to a destination: %w", r.file, err)
		}
		d.showCopy(k, r)
		if err := d.saveState(k, r, 1); err != nil {
			return err
		}
	}
	d.say("The streams of a sync are read side by side; the seconds are those of each from its first record to its end.")
	return nil
}

func (d *demo) showCopy(k *keyspace, r *result) {
	d.say("%-17s %9s %7s %8s %10s  %s", "stream", "records", "states", "seconds", "records/s", "status")
	digests := digestRead(r)
	for _, name := range tableNames(tablesOf(k.name)) {
		s := destination.Stream{Name: name, Namespace: k.name}
		g := digests[s]
		d.say("%-17s %9s %7d %8.2f %10s  %s", name, count(g.records), g.states, g.seconds, g.rate(), g.status)
		if g.sample != nil {
			d.line(dim, "      "+formatRow(g.sample.Data, columnNames(k.name, name)))
		}
	}
	seconds := r.took.Seconds()
	d.good("%s records in %.1f s, %s a second", count(len(r.Records)), seconds, count(int(float64(len(r.Records))/seconds)))
}

// saveState writes what Airbyte would hand to the next sync.
func (d *demo) saveState(k *keyspace, r *result, n int) error {
	k.states = append(k.states, r.States...)
	state, err := destination.StateFile(k.states)
	if err != nil {
		return fmt.Errorf("the states in %s cannot be kept: %w", r.file, err)
	}
	return os.WriteFile(d.stateOf(k, n), state, 0o600)
}

func (d *demo) stateOf(k *keyspace, n int) string {
	return d.path(fmt.Sprintf("state-%d-%s.json", n, k.name))
}

// follow is the second sync, from the state of the first.
func (d *demo) follow(ctx context.Context) error {
	for _, k := range d.keyspaces {
		r, err := d.connect(ctx, "read-2-"+k.name+".jsonl", "read", "--config", k.config, "--catalog", d.catalogOf(k), "--state", d.stateOf(k, 1))
		if err != nil {
			return err
		}
		changes, err := foldChanges(k.tables, r.Records)
		if err != nil {
			return fmt.Errorf("the records in %s cannot be written to a destination: %w", r.file, err)
		}
		d.showChanges(k, r, changes)
		if err := d.saveState(k, r, 2); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) showChanges(k *keyspace, r *result, changes map[destination.Stream]*changeCount) {
	d.say("%-17s %9s %9s %9s  %s", "stream", "inserted", "updated", "deleted", "status")
	for _, name := range tableNames(tablesOf(k.name)) {
		s := destination.Stream{Name: name, Namespace: k.name}
		c := changes[s]
		if c == nil {
			c = &changeCount{}
		}
		d.say("%-17s %9s %9s %9s  %s", name, count(c.inserted), count(c.updated), count(c.deleted), r.Statuses[s])
		if c.delete != nil {
			at := fmt.Sprintf("      deleted at %v, the row as it was: ", c.delete.Data[columnDeletedAt])
			d.line(dim, at+formatRow(c.delete.Data, columnNames(k.name, name)))
		}
	}
	d.good("%s records in %.1f s", count(len(r.Records)), r.took.Seconds())
}

// compare holds the tables that the records of both syncs left against what the source itself selects.
func (d *demo) compare(ctx context.Context) error {
	rows, tables := 0, 0
	for _, k := range d.keyspaces {
		streams, err := parseStreams(k.catalog)
		if err != nil {
			return err
		}
		for _, s := range streams {
			t := k.tables[destination.Stream{Name: s.name, Namespace: k.name}]
			differences, err := t.Compare(ctx, d.dbs[k.name], "select * from "+s.name, s.schema)
			if err != nil {
				return fmt.Errorf("comparing %s.%s with the source: %w", k.name, s.name, err)
			}
			if len(differences) > 0 {
				return errors.New("the destination is NOT equal to the source in " + k.name + "." + s.name +
					", which is a bug of the connector; report it with the files in " + d.dir + ":\n" + strings.Join(differences, "\n"))
			}
			rows += len(t.Rows)
			tables++
		}
	}
	d.say("All records of both syncs, folded by key as a warehouse does, against select * of each table:")
	d.good("the destination equals the source: %s rows in %d tables", count(rows), tables)
	return nil
}
