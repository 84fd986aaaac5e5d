package engine

import (
	"context"
	"errors"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/table"
)

// Server is what an engine asks the keyspace over the MySQL protocol.
type Server struct {
	// Shards are those that exist.
	Shards func(context.Context) ([]gtid.Shard, error)
	// Tables asks a shard for its tables by name, or for one of them. Without keys it is asked for their columns alone, which takes a
	// third of the time, and views are among them.
	Tables    func(ctx context.Context, shard gtid.Shard, only string, keys bool) (map[string]table.Table, error)
	Variables func(context.Context, gtid.Shard) (schema.Variables, error)
	// Purged reports whether a shard no longer has the changes since a GTID set.
	Purged     func(ctx context.Context, shard gtid.Shard, gtid string) (bool, error)
	Moved      func(ctx context.Context, tables []string) (map[string]string, error)
	Journals   func(context.Context, []gtid.Shard) (map[gtid.Shard][]*binlogdatapb.Journal, error)
	TableSizes func(context.Context, []gtid.Shard) (map[gtid.Shard]map[string]schema.TableSize, error)
	Cascades   func(context.Context, []gtid.Shard) ([]schema.Cascade, error)
}

// ServerOf is the server that a connection to a keyspace leads to.
func ServerOf(db *schema.DB, keyspace string) Server {
	return Server{
		Shards: func(ctx context.Context) ([]gtid.Shard, error) {
			names, err := db.Shards(ctx)
			return gtid.Shards(keyspace, names...), err
		},
		Tables: tablesBy(db),
		Variables: func(ctx context.Context, shard gtid.Shard) (schema.Variables, error) {
			return db.Variables(ctx, shard.Name)
		},
		Purged: func(ctx context.Context, shard gtid.Shard, gtid string) (bool, error) {
			return db.Purged(ctx, shard.Name, gtid)
		},
		Cascades: func(ctx context.Context, shards []gtid.Shard) ([]schema.Cascade, error) {
			return db.Cascades(ctx, gtid.Names(shards))
		},
		Moved: db.Moved, Journals: journalsBy(db),
		TableSizes: func(ctx context.Context, shards []gtid.Shard) (map[gtid.Shard]map[string]schema.TableSize, error) {
			byName, err := db.TableSizes(ctx, gtid.Names(shards))
			sizes := make(map[gtid.Shard]map[string]schema.TableSize, len(byName))
			for name, s := range byName {
				sizes[gtid.Shard{Keyspace: keyspace, Name: name}] = s
			}
			return sizes, err
		},
	}
}

func journalsBy(db *schema.DB) func(context.Context, []gtid.Shard) (map[gtid.Shard][]*binlogdatapb.Journal, error) {
	return func(ctx context.Context, shards []gtid.Shard) (map[gtid.Shard][]*binlogdatapb.Journal, error) {
		names := make([]string, len(shards))
		for i, s := range shards {
			names[i] = s.Keyspace + ":" + s.Name
		}
		byName, err := db.Journals(ctx, names)
		journals := make(map[gtid.Shard][]*binlogdatapb.Journal, len(byName))
		for i, s := range shards {
			if list, asked := byName[names[i]]; asked {
				journals[s] = list
			}
		}
		return journals, err
	}
}

func tablesBy(db *schema.DB) func(ctx context.Context, shard gtid.Shard, only string, keys bool) (map[string]table.Table, error) {
	return func(ctx context.Context, shard gtid.Shard, only string, keys bool) (map[string]table.Table, error) {
		tables := map[string]table.Table{}
		if !keys {
			columns, err := ofShard(shard, func(shard string) (map[string][]table.Column, error) { return db.ColumnsOf(ctx, shard, only) })
			for name, c := range columns {
				tables[name] = table.Table{Name: name, Columns: c}
			}
			return tables, err
		}
		k, err := ofShard(shard, func(shard string) (*schema.Contents, error) { return db.TablesOf(ctx, shard, only) })
		if err != nil {
			return nil, err
		}
		for _, t := range k.Tables {
			tables[t.Name] = t
		}
		return tables, nil
	}
}

// ofShard asks a shard; where the service does not let us ask one, it asks any.
func ofShard[T any](shard gtid.Shard, ask func(shard string) (T, error)) (T, error) {
	answer, err := ask(shard.Name)
	if errors.Is(err, schema.ErrRefused) {
		return ask("")
	}
	return answer, err
}
