package schema

import (
	"context"
	"database/sql"
	"regexp"
	"strings"
	"sync"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/table"
)

const (
	// A tag stands behind the colon of a server's UUID, where else the numbers of transactions begin.
	variablesQuery = "select @@global.binlog_row_image as row_image, @@global.binlog_row_value_options as row_value_options, " +
		"@@global.gtid_executed regexp ':[[:space:]]*[a-z_]' as tagged, @@version_comment as vtgate, version() as mysql"
	formatQuery = "select @@global.binlog_format as format"
	purgedQuery = "select gtid_subset(@@global.gtid_purged, ?) as intact"
	sizesQuery  = `select table_name, table_rows, data_length from information_schema.tables
		where table_schema = database() and table_type = 'BASE TABLE' and table_name >= ? order by table_name limit ?`
)

// Variables are a shard's settings that determine what its binary log contains of a row.
type Variables struct {
	// RowImage is binlog_row_image, e.g. "FULL", "NOBLOB".
	RowImage string
	// RowValueOptions is binlog_row_value_options, "" or "PARTIAL_JSON".
	RowValueOptions string
	// Format is binlog_format, "ROW", "MIXED" or "STATEMENT"; sessions may have their own. "ROW" on a server that knows no other.
	Format string
	// TaggedGTIDs is set where transactions have tags in their GTIDs, which Vitess (24) cannot read.
	TaggedGTIDs bool
	// Vitess and MySQL are the versions that VTGate and the shard's MySQL say, e.g. "24.0.4" and "8.4.6"; "" where they say none.
	Vitess, MySQL string
}

// Variables queries them from the shard's MySQL. A refusal (ErrRefused) says nothing about the stream.
func (db *DB) Variables(ctx context.Context, shard string) (Variables, error) {
	var v Variables
	conn, err := db.conn(ctx, shard)
	if err != nil {
		return v, err
	}
	defer conn.Close()
	err = db.askEach(ctx, conn, []string{variablesQuery, formatQuery}, func(i int, rows []map[string]string, refusal error) error {
		switch {
		case i == 1 && isNumbered(refusal, erUnknownVariable): // it is deprecated
			v.Format = "ROW"
			return nil
		case refusal != nil:
			return refusal
		case len(rows) != 1:
			return errAnswer
		case i == 1:
			v.Format = rows[0]["format"]
			return nil
		}
		v.RowImage, v.RowValueOptions, v.TaggedGTIDs = rows[0]["row_image"], rows[0]["row_value_options"], rows[0]["tagged"] == "1"
		v.Vitess, v.MySQL = versionIn(vitessVersion, rows[0]["vtgate"]), versionIn(mysqlVersion, rows[0]["mysql"])
		return nil
	})
	if err != nil {
		return v, failed("asking shard "+shard, err)
	}
	return v, nil
}

// VTGate's comment begins "Version: 24.0.4 (Git revision …"; a service in front of a VTGate may have its own.
var (
	vitessVersion = regexp.MustCompile(`^Version: ([0-9]{1,4}(?:\.[0-9]{1,4}){2})\b`)
	mysqlVersion  = regexp.MustCompile(`^([0-9]{1,4}(?:\.[0-9]{1,4}){2})\b`)
)

func versionIn(pattern *regexp.Regexp, said string) string {
	if m := pattern.FindStringSubmatch(said); m != nil {
		return m[1]
	}
	return ""
}

// Purged reports whether a position can no longer be resumed from, because the shard has purged the binary logs of transactions that the
// position does not contain. gtid is a MySQL GTID set, with or without Vitess' prefix "MySQL56/".
func (db *DB) Purged(ctx context.Context, shard, gtid string) (bool, error) {
	var intact bool
	err := db.askShard(ctx, shard, purgedQuery, []any{strings.TrimPrefix(gtid, "MySQL56/")}, &intact)
	return err == nil && !intact, err
}

// Executed returns the UUID of the shard's primary, and the GTID set that it has executed, whatever the DB's tablets.
func (db *DB) Executed(ctx context.Context, shard string) (server, executed string, err error) {
	conn, err := db.OfPrimaries().conn(ctx, shard)
	if err != nil {
		return "", "", err
	}
	defer conn.Close()
	if err := conn.QueryRowContext(ctx, positionQuery).Scan(&server, &executed); err != nil {
		return "", "", failed("asking the primary of shard "+shard+" for its position", err)
	}
	return server, executed, nil
}

// Sorts returns the server's error if it cannot sort the table's rows as a copy does, nil if it can. Querying one row is enough.
func (db *DB) Sorts(ctx context.Context, shard string, t *table.Table) error {
	conn, err := db.conn(ctx, shard)
	if err != nil {
		return err
	}
	defer conn.Close()
	var columns, keys []string
	for _, c := range t.Columns {
		columns = append(columns, quoted(c.Name))
	}
	for _, name := range table.KeyOf(t).Columns {
		keys = append(keys, quoted(name))
	}
	query := "select " + strings.Join(columns, ", ") + " from " + quoted(t.Name) + " order by " + strings.Join(keys, ", ") + " limit 1"
	if err := drain(ctx, conn, query); err != nil {
		return failed("sorting table "+t.Name+" in shard "+shard, err)
	}
	return nil
}

// drain runs a query and discards its rows.
func drain(ctx context.Context, conn *sql.Conn, query string) error {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() { //nolint:revive // to its end
	}
	return rows.Err()
}

// askShard runs a statement that returns one row on the shard.
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

// TableSize is MySQL's estimate of a table's size in a shard. It may be a day old (information_schema_stats_expiry) or far off.
type TableSize struct{ Rows, Bytes int64 }

// TableSizes queries each of the shards once, page by page, about all tables. It returns their sizes by shard and table.
func (db *DB) TableSizes(ctx context.Context, shards []gtid.Shard) (map[gtid.Shard]map[string]TableSize, error) {
	var mu sync.Mutex
	sizes := map[gtid.Shard]map[string]TableSize{}
	err := EachShard(ctx, shards, func(ctx context.Context, shard gtid.Shard) error {
		here, err := db.tableSizes(ctx, shard.Name)
		mu.Lock()
		defer mu.Unlock()
		sizes[shard] = here
		return err
	})
	return sizes, err
}

func (db *DB) tableSizes(ctx context.Context, shard string) (map[string]TableSize, error) {
	conn, err := db.conn(ctx, shard)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	rows, err := byTable(ctx, conn, db.pageRows, sizesQuery, "", scanSize)
	if err != nil {
		return nil, failed("reading the sizes of tables in shard "+shard, err)
	}
	sizes := make(map[string]TableSize, len(rows))
	for table, row := range rows {
		sizes[table] = row[0]
	}
	return sizes, nil
}

func scanSize(rows *sql.Rows) (table string, size TableSize, err error) {
	var count, bytes sql.NullInt64
	err = rows.Scan(&table, &count, &bytes)
	return table, TableSize{count.Int64, bytes.Int64}, err
}
