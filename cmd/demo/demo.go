package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"source-planetscale/internal/destination"
	"source-planetscale/internal/sandbox"
)

// demo is one run of the demo.
type demo struct {
	*screen
	sandbox *sandbox.Sandbox
	dir     string             // where its files go
	program string             // the connector
	dbs     map[string]*sql.DB // by keyspace
	source  source
}

// source is what the demo knows about its source, which reads both keyspaces, as the demo proceeds.
type source struct {
	config  string // a file
	catalog []byte // configured
	tables  destination.Tables
	states  []destination.State
}

// keyspaces are those of the source.
var keyspaces = []string{commerce, customer}

// run shows everything. dir is the sandbox's folder; slow work of the sandbox is reported to progress.
func run(ctx context.Context, dir string, s *screen, progress io.Writer) (err error) {
	began := time.Now()
	d := &demo{screen: s}
	d.title("A real Vitess on this machine")
	d.say("etcd, vtgate, and a vttablet with a MySQL for each shard. Installing them takes minutes, once; the same by hand:")
	d.command("go run ./cmd/sandbox up" + dirFlag(dir))
	if d.sandbox, err = sandbox.Up(ctx, dir, sandbox.Default(), progress); err != nil {
		return fmt.Errorf("the sandbox does not start; its logs are in %s: %w", filepath.Join(dir, "log"), err)
	}
	d.say("It runs: keyspace %s (unsharded) and keyspace %s (2 shards), behind TLS and a password as at PlanetScale.", commerce, customer)
	release, err := d.prepare()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := d.show(ctx); err != nil {
		return err
	}
	d.farewell(dirFlag(dir), time.Since(began))
	return nil
}

func (d *demo) show(ctx context.Context) error {
	for _, step := range []struct {
		title string
		run   func(context.Context) error
	}{
		{"The connector, built as the program that Airbyte runs", d.build},
		{"Sample data: a small shop", d.loadShop},
		{"spec: what can be configured", d.spec},
		{"check: can the connector use a configuration?", d.check},
		{"discover: the tables and their columns", d.discover},
		{"read: the first sync copies every row", d.copyAll},
		{"Changes at the source", d.change},
		{"read: the next sync brings what changed since the state of the first", d.follow},
		{"Is the destination equal to the source?", d.compare},
	} {
		d.title(step.title)
		if err := step.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// prepare creates the demo's folder, which nobody else may use in the meantime, and opens the keyspaces. The caller releases both.
func (d *demo) prepare() (release func() error, err error) {
	d.dir = filepath.Join(d.sandbox.Dir, "demo")
	d.program = d.path("source-planetscale")
	d.source = source{config: d.path("source.json")}
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the demo's folder: %w", err)
	}
	lock, err := os.Create(filepath.Join(d.dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("locking the demo's folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another demo runs in %s; wait for its end", d.dir), lock.Close())
	}
	if err := d.configure(d.source.config, map[string]any{"keyspaces": []string{customer}}); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	d.dbs = map[string]*sql.DB{}
	for _, name := range keyspaces {
		if d.dbs[name], err = openVTGate(d.sandbox.PlainMySQL, name); err != nil {
			return nil, errors.Join(err, lock.Close())
		}
	}
	return func() error {
		err := lock.Close() // unlocks
		for _, db := range d.dbs {
			err = errors.Join(err, db.Close())
		}
		return err
	}, nil
}

func (d *demo) loadShop(ctx context.Context) error {
	d.say("through vtgate, in statements of %s rows …", count(batchRows))
	began := time.Now()
	if err := load(ctx, d.dbs); err != nil {
		return fmt.Errorf("the sample data cannot be loaded (`go run ./cmd/sandbox up` heals a broken sandbox): %w", err)
	}
	sum := 0
	for _, t := range shop {
		sharding := "unsharded"
		if t.shardedBy != "" {
			sharding = "sharded by xxhash(" + t.shardedBy + ")"
		}
		d.say("%-28s %8s rows   %s", t.keyspace+"."+t.name, count(t.rows), sharding)
		sum += t.rows
	}
	d.good("%s rows in %d tables in %.1f s", count(sum), len(shop), time.Since(began).Seconds())
	return nil
}
