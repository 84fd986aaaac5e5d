package engine

import (
	"context"
	"errors"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/table"
)

// Server is what an engine queries over the MySQL protocol.
type Server struct {
	// Shards are those that exist.
	Shards func(context.Context) ([]gtid.Shard, error)
	// Tables queries a shard for its tables by name, all or only some. Without keys, only their columns are queried, which takes a third
	// of the time, and views may be among them.
	Tables func(ctx context.Context, shard gtid.Shard, only []string, keys bool) (map[string]table.Table, error)
	// TablesAt are some tables, and the moment that their columns are of; without keys, only their columns.
	TablesAt   func(ctx context.Context, shard gtid.Shard, only []string, keys bool) (map[string]table.Table, schema.Moment, error)
	Statements Statements
	Primary    Primary
	// References are those of the tables that have all their rows in each shard.
	References func(ctx context.Context, tables []string) (map[string]bool, error)
	// Sorts returns the server's error if it cannot sort a table as a copy does.
	Sorts func(ctx context.Context, shard gtid.Shard, t *table.Table) error

	Variables func(context.Context, gtid.Shard) (schema.Variables, error)
	// Purged reports whether a shard no longer has the changes since a GTID set.
	Purged     func(ctx context.Context, shard gtid.Shard, gtid string) (bool, error)
	Moved      func(ctx context.Context, tables []string) (map[string]string, error)
	Journals   func(context.Context, []gtid.Shard) (map[gtid.Shard][]*binlogdatapb.Journal, error)
	TableSizes func(context.Context, []gtid.Shard) (map[gtid.Shard]map[string]schema.TableSize, error)
	Cascades   func(context.Context, []gtid.Shard) ([]schema.Cascade, error)
}

// Primary is what a shard's primary is queried for, also if replicas are read.
type Primary struct {
	// Executed is its UUID, and its GTID set.
	Executed func(context.Context, gtid.Shard) (server, executed string, err error)
	// TablesAt are as Server's.
	TablesAt func(ctx context.Context, shard gtid.Shard, only []string, keys bool) (map[string]table.Table, schema.Moment, error)
	// Incarnations distinguish tables from others that replaced them.
	Incarnations func(ctx context.Context, shard gtid.Shard, tables []string) (map[string]table.Incarnation, error)
}

// Statements are those that created or altered tables.
type Statements struct {
	// Definition is SHOW CREATE TABLE in a shard.
	Definition func(ctx context.Context, shard gtid.Shard, table string) (string, error)
	// Migration is one of Vitess' online DDLs, as made in a shard.
	Migration func(ctx context.Context, shard, uuid string) (table.OnlineDDL, error)
}

// ServerOf is the server behind a connection to a keyspace.
func ServerOf(db *schema.DB, keyspace string) Server {
	return Server{
		Shards: func(ctx context.Context) ([]gtid.Shard, error) {
			names, err := db.Shards(ctx)
			return gtid.Shards(keyspace, names...), err
		},
		Tables:   tablesBy(db),
		TablesAt: tablesAtBy(db),
		Variables: func(ctx context.Context, shard gtid.Shard) (schema.Variables, error) {
			return db.Variables(ctx, shard.Name)
		},
		Purged: func(ctx context.Context, shard gtid.Shard, gtid string) (bool, error) {
			return db.Purged(ctx, shard.Name, gtid)
		},
		Statements: Statements{
			Definition: func(ctx context.Context, shard gtid.Shard, table string) (string, error) {
				return db.Definition(ctx, shard.Name, table)
			},
			Migration: db.Migration,
		},
		Primary: Primary{
			Executed: func(ctx context.Context, shard gtid.Shard) (string, string, error) {
				return db.Executed(ctx, shard.Name)
			},
			TablesAt: tablesAtBy(db.OfPrimaries()),
			Incarnations: func(ctx context.Context, shard gtid.Shard, tables []string) (map[string]table.Incarnation, error) {
				return db.Incarnations(ctx, shard.Name, tables)
			},
		},
		References: db.References,
		Sorts:      func(ctx context.Context, shard gtid.Shard, t *table.Table) error { return db.Sorts(ctx, shard.Name, t) },
		Cascades: func(ctx context.Context, shards []gtid.Shard) ([]schema.Cascade, error) {
			return db.Cascades(ctx, gtid.Names(shards))
		},
		Moved: db.Moved, Journals: db.Journals, TableSizes: db.TableSizes,
	}
}

func tablesBy(db *schema.DB) func(ctx context.Context, shard gtid.Shard, only []string, keys bool) (map[string]table.Table, error) {
	return func(ctx context.Context, shard gtid.Shard, only []string, keys bool) (map[string]table.Table, error) {
		one := ""
		if len(only) == 1 {
			one = only[0]
		}
		if keys {
			k, err := ofShard(ctx, db, shard, func(shard string) (*schema.Contents, error) { return db.TablesOf(ctx, shard, one) })
			return byName(k), err
		}
		columns, err := columnsOf(ctx, db, shard, only)
		return withColumns(columns), err
	}
}

func tablesAtBy(db *schema.DB) func(context.Context, gtid.Shard, []string, bool) (map[string]table.Table, schema.Moment, error) {
	return func(ctx context.Context, shard gtid.Shard, only []string, keys bool) (map[string]table.Table, schema.Moment, error) {
		if keys {
			k, m, err := db.TablesAt(ctx, shard.Name, only)
			return byName(k), m, err
		}
		m, err := db.ColumnsAt(ctx, shard.Name, only)
		return withColumns(m.Columns), m, err
	}
}

// byName are the tables by name, none if they are unknown.
func byName(k *schema.Contents) map[string]table.Table {
	tables := map[string]table.Table{}
	if k != nil {
		for _, t := range k.Tables {
			tables[t.Name] = t
		}
	}
	return tables
}

// withColumns are tables of which only the columns are known.
func withColumns(columns map[string][]table.Column) map[string]table.Table {
	tables := make(map[string]table.Table, len(columns))
	for name, c := range columns {
		tables[name] = table.Table{Name: name, Columns: c}
	}
	return tables
}

// columnsOf queries the columns of some tables, or of all.
func columnsOf(ctx context.Context, db *schema.DB, shard gtid.Shard, only []string) (map[string][]table.Column, error) {
	if len(only) > 1 {
		m, err := db.ColumnsAt(ctx, shard.Name, only)
		if !errors.Is(err, schema.ErrRefused) {
			return m.Columns, err
		}
		only = []string{""}
	}
	return ofShard(ctx, db, shard, func(shard string) (map[string][]table.Column, error) {
		return db.ColumnsOf(ctx, shard, append(only, "")[0])
	})
}

// ofShard queries a shard; if the service does not allow querying any shard, it leaves the choice to VTGate.
func ofShard[T any](ctx context.Context, db *schema.DB, shard gtid.Shard, ask func(shard string) (T, error)) (T, error) {
	answer, err := ask(shard.Name)
	if !errors.Is(err, schema.ErrRefused) {
		return answer, err
	}
	if _, other := db.Variables(ctx, shard.Name); !errors.Is(other, schema.ErrRefused) {
		return answer, err // it refused only that query, or only for a moment
	}
	return ask("")
}
