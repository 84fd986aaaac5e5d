package schema

import (
	"cmp"
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

// Incarnations queries the shard's primary for those of the tables, also if replicas are read: each server has its own IDs, and a replica
// that lags has those from before a statement that another one's position contains. Missing are tables that do not exist or are not
// InnoDB's, those with more than 1,000 partitions, and those with letters in their names that InnoDB encodes with a table of its own
// (é, ß, я).
func (db *DB) Incarnations(ctx context.Context, shard string, tables []string) (map[string]table.Incarnation, error) {
	conn, err := db.OfPrimaries().conn(ctx, shard)
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
	return nil, judged(fmt.Errorf("%w: different tablets of shard %s answer in turn", ErrRefused, shard))
}

// incarnations returns nil if the pages came from different servers.
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
	f := &incarnationsFound{names: names, tables: map[string]table.Incarnation{}}
	for count := page; count == page && len(tables) > 0; {
		rows, err := conn.QueryContext(ctx, query, slices.Concat([]any{f.last}, wanted, []any{page})...)
		if err != nil {
			return nil, err
		}
		if count, err = f.add(rows); err != nil || f.mixed {
			return nil, err
		}
	}
	found := f.tables
	for name, i := range found {
		if len(i.IDs) > maxPartitions {
			delete(found, name)
		}
	}
	return found, nil
}

// incarnationsFound are those from the pages read so far.
type incarnationsFound struct {
	names  map[string]string // of tables, by InnoDB's
	tables map[string]table.Incarnation
	server string
	last   uint64 // of all numbers
	mixed  bool   // the pages come from different servers
}

// add reads a page, and closes it.
func (f *incarnationsFound) add(rows *sql.Rows) (count int, err error) {
	defer rows.Close()
	for ; rows.Next(); count++ {
		var from, database, file string
		if err := rows.Scan(&from, &database, &file, &f.last); err != nil {
			return count, err
		}
		if f.server = cmp.Or(f.server, from); f.server != from {
			f.mixed = true
			return count, nil
		}
		folder, file, _ := strings.Cut(file, "/")
		file, _, _ = strings.Cut(file, "#")
		if name, ok := f.names[file]; ok && folder == fileName(database) {
			f.tables[name] = table.Incarnation{Server: from, IDs: append(f.tables[name].IDs, f.last)}
		}
	}
	return count, rows.Err()
}

// fileName encodes a name as InnoDB's files do: characters other than ASCII letters, digits and underscores become their code points.
// (Some letters have shorter encodings, which are not those of any other name.)
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
