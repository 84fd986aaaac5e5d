package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"source-planetscale/internal/sandbox"
)

// tables are figures of a sync of many tables and of the discovery of very many.
type tables struct {
	Count    int     `json:"count"`
	Creating float64 `json:"creating"` // seconds it took to make them, which is no part of what is measured
	Seconds  float64 `json:"seconds"`
}

const (
	unchangedTables  = 500
	discoveredTables = 5000
	discoverRuns     = 3
)

// withCluster runs f with a cluster of its own that has the sandbox's keyspaces: thousands of tables would slow down everything else in
// the sandbox.
func (b *bench) withCluster(ctx context.Context, f func(*bench) error) (err error) {
	dir := b.sandbox.Dir + "-bench"
	own, err := sandbox.Up(ctx, dir, sandbox.Default(), os.Stderr)
	if err != nil {
		return err
	}
	defer func() {
		if purged := own.Purge(context.WithoutCancel(ctx)); err == nil {
			err = purged
		}
	}()
	return f(&bench{
		loader:    &loader{sandbox: own, say: b.say},
		connector: &connector{program: b.connector.program, dir: b.connector.dir, catalogs: map[string]streamsByTable{}},
		self:      b.self, rounds: b.rounds,
	})
}

// makeMany makes small tables in all shards of a keyspace and returns their names and the seconds it took.
func (b *bench) makeMany(ctx context.Context, keyspace string, count int) (names []string, seconds float64, err error) {
	began := time.Now()
	for i := range count {
		names = append(names, fmt.Sprintf("bench_many_%04d", i))
	}
	for _, s := range shards[keyspace] {
		err := b.onShard(ctx, keyspace, s.name, func(conn *sql.Conn) error {
			for part := range slices.Chunk(names, 100) {
				var packet strings.Builder
				for _, name := range part {
					fmt.Fprintf(&packet, "create table %s (id bigint primary key, name varchar(40) not null, price decimal(10,2), created_at "+
						"datetime(6), document json);", name)
				}
				if _, err := conn.ExecContext(ctx, packet.String()); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, 0, fmt.Errorf("making %d tables in shard %s of keyspace %s: %w", count, s.name, keyspace, err)
		}
	}
	return names, time.Since(began).Seconds(), nil
}

// measureTables measures what grows with the number of tables.
func (b *bench) measureTables(ctx context.Context) (unchanged, discover *tables, err error) {
	err = b.withCluster(ctx, func(b *bench) error {
		var err error
		if unchanged, err = b.measureUnchanged(ctx); err != nil {
			return err
		}
		discover, err = b.measureDiscover(ctx)
		return err
	})
	return unchanged, discover, err
}

// measureUnchanged syncs many tables that have not changed, in two shards.
func (b *bench) measureUnchanged(ctx context.Context) (*tables, error) {
	names, creating, err := b.makeMany(ctx, "customer", unchangedTables)
	if err != nil {
		return nil, err
	}
	seconds, err := b.unchanged(ctx, b.plain(), "customer", names)
	b.say("  unchanged sync of %d tables in 2 shards: %.2f s (made in %.1f s)", len(names), seconds, creating)
	return &tables{len(names), creating, seconds}, err
}

// measureDiscover discovers a keyspace of very many tables.
func (b *bench) measureDiscover(ctx context.Context) (*tables, error) {
	names, creating, err := b.makeMany(ctx, "commerce", discoveredTables)
	if err != nil {
		return nil, err
	}
	config, err := b.connector.config("discover", b.plain(), "commerce", nil)
	if err != nil {
		return nil, err
	}
	found, err := b.connector.discover(ctx, config)
	if err != nil {
		return nil, err
	}
	if len(found) != len(names) {
		return nil, fmt.Errorf("the connector discovered %d tables, there are %d", len(found), len(names))
	}
	s, err := repeat(discoverRuns, func() (sample, error) { return run(ctx, nil, b.connector.program, "discover", "--config", config) })
	b.say("  discover of %d tables: %.2f s (made in %.1f s)", len(names), s.Seconds, creating)
	return &tables{len(names), creating, s.Seconds}, err
}
