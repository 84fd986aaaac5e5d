package main

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"
)

const (
	batchRows   = 2000 // a statement; more gives vtgate nothing
	schemaDelay = 20 * time.Second
)

// openVTGate opens a keyspace of the sandbox through the endpoint without a password. OLAP lifts vtgate's limit on the rows of a select
// (10,000), and rejects transactions, which the demo does not need.
func openVTGate(addr, keyspace string) (*sql.DB, error) {
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.DBName = "tcp", addr, "root", keyspace
	c.InterpolateParams = true
	c.Params = map[string]string{"workload": "olap"}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("the address of the sandbox's vtgate cannot be used: %w", err)
	}
	return sql.OpenDB(connector), nil
}

// load recreates the tables of both keyspaces and fills them.
func load(ctx context.Context, dbs map[string]*sql.DB) error {
	group, groupCtx := errgroup.WithContext(ctx)
	for keyspace, db := range dbs {
		group.Go(func() error {
			for _, t := range tablesOf(keyspace) {
				if err := t.define(groupCtx, db); err != nil {
					return fmt.Errorf("making table %s.%s: %w", keyspace, t.name, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	group, groupCtx = errgroup.WithContext(ctx)
	for _, t := range shop {
		group.Go(func() error {
			if err := t.fill(groupCtx, dbs[t.keyspace]); err != nil {
				return fmt.Errorf("filling table %s.%s: %w", t.keyspace, t.name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (t *table) define(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, "drop table if exists "+t.name); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, t.create()); err != nil {
		return err
	}
	if t.shardedBy == "" {
		return nil
	}
	_, err := db.ExecContext(ctx, "alter vschema on "+t.name+" add vindex xxhash("+t.shardedBy+")")
	if err != nil && strings.Contains(err.Error(), "already defined on table") {
		return nil // a vindex outlives its table
	}
	return err
}

func (t *table) fill(ctx context.Context, db *sql.DB) error {
	for from := 1; from <= t.rows; from += batchRows {
		query, args := t.insert(from, min(t.rows, from+batchRows-1))
		if err := execute(ctx, db, query, args); err != nil {
			return err
		}
	}
	return nil
}

// insert creates a statement for the rows from and to and those between.
func (t *table) insert(from, to int) (query string, args []any) {
	var names []string
	for _, c := range t.columns {
		if c.value != nil {
			names = append(names, c.name)
		}
	}
	for n := from; n <= to; n++ {
		r := roll(t.name, n)
		for _, c := range t.columns {
			if c.value != nil {
				args = append(args, c.value(r))
			}
		}
	}
	marks := "(" + strings.Repeat("?,", len(names)-1) + "?)"
	query = "insert into " + t.name + " (" + strings.Join(names, ", ") + ") values " + strings.Repeat(marks+",", to-from) + marks
	return query, args
}

// execute retries while vtgate has not yet seen the table or its vindex.
func execute(ctx context.Context, db *sql.DB, query string, args []any) error {
	_, err := backoff.Retry(ctx, func() (sql.Result, error) {
		result, err := db.ExecContext(ctx, query, args...)
		if err != nil && !isUnseen(err) {
			return nil, backoff.Permanent(err)
		}
		return result, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(100*time.Millisecond)), backoff.WithMaxElapsedTime(schemaDelay))
	return err
}

// isUnseen reports whether vtgate rejected a statement because it does not know a new table yet: VT05004 and VT05005 for the table,
// VT09001 for its vindex, VT09004 for its columns.
func isUnseen(err error) bool {
	for _, code := range []string{"VT05004", "VT05005", "VT09001", "VT09004"} {
		if strings.Contains(err.Error(), code) {
			return true
		}
	}
	return false
}
