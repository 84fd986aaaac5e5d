package schema

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"source-planetscale/internal/table"
)

const (
	// incarnationsQuery needs the privilege PROCESS. InnoDB names a partition t#p#….
	incarnationsQuery = `select @@server_uuid, database(), name, table_id from information_schema.innodb_tables
		where table_id > ? order by table_id limit ?`
	incarnationsOfQuery = `select @@server_uuid, database(), name, table_id from information_schema.innodb_tables
		where table_id > ? and substring_index(substring_index(name, '/', -1), '#', 1) in (%s) order by table_id limit ?`
	// namedTables is up to how many tables are asked for by name, instead of all.
	namedTables = 200
	// maxPartitions is the most of a table that are compared, so that states stay small.
	maxPartitions = 1000
	// sameServerTries is how often answers in a row may come from different servers.
	sameServerTries = 10
)

// Incarnations asks one server of the shard for those of the tables. Missing are tables that are not there or not InnoDB's, those
// of more than 1,000 partitions, and those with letters in their names that InnoDB spells by a table of its own (é, ß, я).
func (db *DB) Incarnations(ctx context.Context, shard string, tables []string) (map[string]table.Incarnation, error) {
	conn, err := db.conn(ctx, shard)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	for range sameServerTries {
		found, err := incarnations(ctx, conn, db.pageRows, tables)
		if err != nil {
			return nil, failed("asking shard "+shard+" for the identity of its tables", err)
		}
		if found != nil {
			return found, nil
		}
	}
	return nil, judged(fmt.Errorf("%w: the tablets of shard %s take turns in answering", ErrRefused, shard))
}

// incarnations returns nil when the pages came from different servers.
func incarnations(ctx context.Context, conn *sql.Conn, page int, tables []string) (map[string]table.Incarnation, error) {
	names := make(map[string]string, len(tables)) // by InnoDB's
	for _, name := range tables {
		names[fileName(name)] = name
	}
	query, wanted := incarnationsQuery, []any{}
	if len(tables) <= namedTables {
		query = fmt.Sprintf(incarnationsOfQuery, strings.TrimSuffix(strings.Repeat("?, ", len(tables)), ", "))
		for name := range names {
			wanted = append(wanted, name)
		}
	}
	found := map[string]table.Incarnation{}
	server, last, count := "", uint64(0), page
	for count == page && len(tables) > 0 {
		rows, err := conn.QueryContext(ctx, query, slices.Concat([]any{last}, wanted, []any{page})...)
		if err != nil {
			return nil, err
		}
		for count = 0; rows.Next(); count++ {
			var from, database, file string
			if err := rows.Scan(&from, &database, &file, &last); err != nil {
				_ = rows.Close()
				return nil, err
			}
			if server == "" {
				server = from
			}
			if from != server {
				return nil, rows.Close()
			}
			folder, file, _ := strings.Cut(file, "/")
			file, _, _ = strings.Cut(file, "#")
			if name, ok := names[file]; ok && folder == fileName(database) {
				found[name] = table.Incarnation{Server: server, IDs: append(found[name].IDs, last)}
			}
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	for name, i := range found {
		if len(i.IDs) > maxPartitions {
			delete(found, name)
		}
	}
	return found, nil
}

// fileName spells a name as InnoDB's files have it: other characters than letters and digits of ASCII and underscores by their
// numbers. (Some letters have shorter spellings, which are not those of any other name.)
func fileName(name string) string {
	var b strings.Builder
	for _, r := range name {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_':
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "@%04x", r)
		}
	}
	return b.String()
}
