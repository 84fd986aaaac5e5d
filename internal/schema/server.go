package schema

import (
	"context"
	"database/sql"
	"strings"
	"sync"
)

const (
	variablesQuery = "select @@global.binlog_row_image as row_image, @@global.binlog_row_value_options as row_value_options"
	purgedQuery    = "select gtid_subset(@@global.gtid_purged, ?) as intact"
	estimatesQuery = `select table_name, table_rows, data_length from information_schema.tables
		where table_schema = database() and table_type = 'BASE TABLE' and table_name >= ? order by table_name limit ?`
)

// Variables are a shard's settings that decide what its binary log holds of a row.
type Variables struct {
	// RowImage is binlog_row_image, e.g. "FULL", "NOBLOB".
	RowImage string
	// RowValueOptions is binlog_row_value_options, "" or "PARTIAL_JSON".
	RowValueOptions string
}

// Variables asks the shard's MySQL for them. A refusal (ErrRefused) says nothing about the stream.
func (db *DB) Variables(ctx context.Context, shard string) (Variables, error) {
	var v Variables
	err := db.askShard(ctx, shard, variablesQuery, nil, &v.RowImage, &v.RowValueOptions)
	return v, err
}

// Purged tells whether a position can no longer be read on from, because the shard's binary logs of transactions that
// it does not hold were purged. gtid is a MySQL GTID set, with or without Vitess's prefix "MySQL56/".
func (db *DB) Purged(ctx context.Context, shard, gtid string) (bool, error) {
	var intact bool
	err := db.askShard(ctx, shard, purgedQuery, []any{strings.TrimPrefix(gtid, "MySQL56/")}, &intact)
	return err == nil && !intact, err
}

// askShard runs a statement of one row on the shard.
func (db *DB) askShard(ctx context.Context, shard, query string, args []any, into ...any) error {
	conn, err := db.conn(ctx, shard)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.QueryRowContext(ctx, query, args...).Scan(into...); err != nil {
		return failed("asking shard "+shard, err)
	}
	return nil
}

// Estimate is how large MySQL believes a table to be, over all shards. It may be a day old
// (information_schema_stats_expiry) or far off.
type Estimate struct{ Rows, Bytes int64 }

// RowEstimates asks each of the shards once, page by page, about all tables.
func (db *DB) RowEstimates(ctx context.Context, shards []string) (map[string]Estimate, error) {
	var mu sync.Mutex
	sums := map[string]Estimate{}
	err := EachShard(ctx, shards, func(ctx context.Context, shard string) error {
		estimates, err := db.estimates(ctx, shard)
		mu.Lock()
		defer mu.Unlock()
		for table, one := range estimates {
			sum := sums[table]
			sums[table] = Estimate{sum.Rows + one[0].Rows, sum.Bytes + one[0].Bytes}
		}
		return err
	})
	return sums, err
}

func (db *DB) estimates(ctx context.Context, shard string) (map[string][]Estimate, error) {
	conn, err := db.conn(ctx, shard)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	estimates, err := byTable(ctx, conn, db.pageRows, estimatesQuery, "", scanEstimate)
	if err != nil {
		return nil, failed("reading the sizes of tables in shard "+shard, err)
	}
	return estimates, nil
}

func scanEstimate(rows *sql.Rows) (table string, e Estimate, err error) {
	var count, size sql.NullInt64
	err = rows.Scan(&table, &count, &size)
	return table, Estimate{count.Int64, size.Int64}, err
}
