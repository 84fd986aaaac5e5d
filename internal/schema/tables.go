// Package schema queries what the tables of a keyspace look like: columns, keys and, in a sharded keyspace, the vindex columns that
// distinguish shards; and what its servers report about themselves. Everything is read over the MySQL protocol, from information_schema
// and vtgate's SHOW.
package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"source-planetscale/internal/table"
)

// The three queries about all tables of a keyspace. database() is the physical schema (vt_commerce) where the statement runs: in the
// shard that the connection targets, otherwise in any shard.
const (
	tablesQuery = `select table_name, table_type from information_schema.tables
		where table_schema = database() and table_name >= ? order by table_name limit ?`
	columnsQuery = `select table_name, column_name, column_type, is_nullable, character_set_name from information_schema.columns
		where table_schema = database() and table_name >= ? order by table_name, ordinal_position limit ?`
	keysQuery = `select table_name, index_name, column_name, nullable, sub_part from information_schema.statistics
		where table_schema = database() and non_unique = 0 and table_name >= ? order by table_name, index_name, seq_in_index limit ?`
)

// Contents are the contents of a keyspace.
type Contents struct {
	// Tables that VStream sends, by name; some of them may be Excluded.
	Tables []table.Table
	// Excluded are the base tables that are not offered as streams, by name.
	Excluded map[string]*table.Exclusion
	// Views by name; VStream does not carry their changes.
	Views []string
	// Warnings are for the log: what could not be found out, and what it means.
	Warnings []string
}

// Tables reads all tables of the keyspace, in a number of queries that grows only with the number of pages. Keys are MySQL's own until
// AddVindexes extends them.
func (db *DB) Tables(ctx context.Context) (*Contents, error) { return db.TablesOf(ctx, "", "") }

// TablesOf reads the tables as one shard has them: while a schema change is in progress, shards differ. An empty name leaves the choice
// of the shard to vtgate. Unless only is empty, it reads just the table of that name, if it exists, and those whose names the server
// considers equal to it. Answers that do not fit, of replicas of which some lag or in the middle of a change, are asked for again.
func (db *DB) TablesOf(ctx context.Context, shard, only string) (*Contents, error) {
	for try := 1; ; try++ {
		contents, err := db.tablesOf(ctx, shard, only)
		if !errors.Is(err, ErrAltered) || try == alteredTries {
			return contents, err
		}
		select {
		case <-time.After(alteredPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

const (
	// alteredTries is how often tables are read whose columns and keys do not fit.
	alteredTries = 10
	alteredPause = 500 * time.Millisecond
)

func (db *DB) tablesOf(ctx context.Context, shard, only string) (*Contents, error) {
	conn, err := db.conn(ctx, shard)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	types := newList(db.pageRows, restrict(tablesQuery, only), only, scanType)
	columns := newList(db.pageRows, restrict(columnsQuery, only), only, scanColumn)
	keys := newList(db.pageRows, restrict(keysQuery, only), only, scanKeyPart)
	if err := inOnePacket(ctx, conn, types, columns, keys); err != nil {
		return nil, db.failed(ctx, conn, "reading the tables of "+db.keyspace, err)
	}
	return assemble(types.all, columns.all, keys.all)
}

// Count is how many tables the keyspace offers as streams: one query instead of three.
func (db *DB) Count(ctx context.Context) (int, error) {
	conn, err := db.conn(ctx, "")
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	types, err := byTable(ctx, conn, db.pageRows, tablesQuery, "", scanType)
	if err != nil {
		return 0, db.failed(ctx, conn, "counting the tables of "+db.keyspace, err)
	}
	isBase := baseTables(types)
	n := 0
	for name := range types {
		if isBase(name) && table.Excluded(name, isBase) == nil {
			n++
		}
	}
	return n, nil
}

// baseTables separates tables from views, in the result of tablesQuery.
func baseTables(types map[string][]string) func(name string) bool {
	return func(name string) bool { return len(types[name]) > 0 && types[name][0] != "VIEW" }
}

// ColumnsOf reads only the columns of what TablesOf reads, by table, including those of views: one query instead of three, because it is
// used often.
func (db *DB) ColumnsOf(ctx context.Context, shard, only string) (map[string][]table.Column, error) {
	conn, err := db.conn(ctx, shard)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return db.columns(ctx, conn, only)
}

func (db *DB) columns(ctx context.Context, conn *sql.Conn, only string) (map[string][]table.Column, error) {
	columns, err := byTable(ctx, conn, db.pageRows, restrict(columnsQuery, only), only, scanColumn)
	if err != nil {
		return nil, failed("reading the columns of "+db.keyspace, err)
	}
	return columns, nil
}

// restrict turns a query about all tables into one about the table of that name, unless it is empty.
func restrict(query, only string) string {
	if only == "" {
		return query
	}
	return strings.Replace(query, "table_name >= ?", "table_name = ?", 1)
}

func scanType(rows *sql.Rows) (table, tableType string, err error) {
	err = rows.Scan(&table, &tableType)
	return table, tableType, err
}

func scanColumn(rows *sql.Rows) (name string, c table.Column, err error) {
	var nullable string
	var charset sql.NullString
	err = rows.Scan(&name, &c.Name, &c.Type, &nullable, &charset)
	c.Nullable, c.Charset = nullable == "YES", table.CanonicalCharset(charset.String)
	return name, c, err
}

func scanKeyPart(rows *sql.Rows) (table string, p keyPart, err error) {
	var column, nullable sql.NullString
	var prefix sql.NullInt64
	err = rows.Scan(&table, &p.index, &column, &nullable, &prefix)
	p.column, p.nullable, p.prefix = column.String, nullable.String == "YES", prefix.Valid
	return table, p, err
}

// assemble leaves out tables that were created or dropped between the queries.
func assemble(types map[string][]string, columns map[string][]table.Column, keys map[string][]keyPart) (*Contents, error) {
	contents := &Contents{Excluded: map[string]*table.Exclusion{}}
	isBase := baseTables(types)
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if !isBase(name) {
			contents.Views = append(contents.Views, name)
			continue
		}
		exclusion := table.Excluded(name, isBase)
		if exclusion != nil {
			contents.Excluded[name] = exclusion
		}
		if exclusion != nil && exclusion.Unsent || len(columns[name]) == 0 {
			continue
		}
		all := indexes(keys[name])
		key := mysqlKey(all, columns[name])
		t := table.Table{Name: name, Columns: columns[name], Key: key, MySQLKey: key, Unique: uniqueKeys(all)}
		for _, k := range t.Unique {
			if slices.ContainsFunc(k.Columns, func(column string) bool { return t.Column(column) == nil }) {
				return nil, judged(fmt.Errorf("%w: %q", ErrAltered, name))
			}
		}
		contents.Tables = append(contents.Tables, t)
	}
	return contents, nil
}
