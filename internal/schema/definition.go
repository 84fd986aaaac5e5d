package schema

import (
	"context"
	"database/sql"
)

// Definition is the answer of SHOW CREATE TABLE for a table in one shard.
func (db *DB) Definition(ctx context.Context, shard, table string) (string, error) {
	conn, err := db.conn(ctx, shard)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	var name, definition string
	if err := conn.QueryRowContext(ctx, "show create table "+quoted(table)).Scan(&name, &definition); err != nil {
		return "", failed("asking shard "+shard+" how a table is defined", err)
	}
	return definition, nil
}

// Migration is the statement of an online DDL, "" if Vitess no longer knows it: it forgets migrations after some days. All shards are
// queried, because one may have been split or merged since.
func (db *DB) Migration(ctx context.Context, uuid string) (string, error) {
	conn, err := db.conn(ctx, "")
	if err != nil {
		return "", err
	}
	defer conn.Close()
	const asking = "asking for an online DDL"
	rows, err := conn.QueryContext(ctx, "show vitess_migrations like '"+uuid+"'") // of hexadecimal digits and underscores
	if err != nil {
		return "", failed(asking, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return "", failed(asking, err)
	}
	var statement sql.NullString
	values := make([]any, len(columns))
	for i, column := range columns {
		if values[i] = new(sql.RawBytes); column == "migration_statement" {
			values[i] = &statement
		}
	}
	for rows.Next() {
		if err := rows.Scan(values...); err != nil {
			return "", failed(asking, err)
		}
	}
	if err := rows.Err(); err != nil {
		return "", failed(asking, err)
	}
	return statement.String, nil
}
