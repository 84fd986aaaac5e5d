package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// poolBytes is enough buffer pool in each MySQL for all tables, so that the speed of the disk is not measured.
const poolBytes = 2 << 30

// growPools gives the sandbox's MySQL servers enough memory; shrink reverses that.
func (l *loader) growPools(ctx context.Context) (shrink func() error, err error) {
	undo := func() error { return nil }
	for keyspace, list := range shards {
		for _, s := range list {
			err := l.onShard(ctx, keyspace, s.name, func(conn *sql.Conn) error {
				var before int64
				if err := conn.QueryRowContext(ctx, "select @@global.innodb_buffer_pool_size").Scan(&before); err != nil {
					return err
				}
				previous := undo
				undo = func() error {
					return errors.Join(previous(), l.resizePool(context.WithoutCancel(ctx), keyspace, s.name, before))
				}
				return l.resizePool(ctx, keyspace, s.name, poolBytes)
			})
			if err != nil {
				return undo, fmt.Errorf("growing the memory of MySQL: %w", err)
			}
		}
	}
	return undo, nil
}

func (l *loader) resizePool(ctx context.Context, keyspace, shard string, bytes int64) error {
	return l.onShard(ctx, keyspace, shard, func(conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, fmt.Sprintf("set global innodb_buffer_pool_size = %d", bytes))
		return err
	})
}
