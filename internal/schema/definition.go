package schema

import (
	"context"
	"database/sql"

	"source-planetscale/internal/table"
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

// Migration is one of Vitess' online DDLs, which it forgets after some days. All shards are queried, because one may have been split or
// merged since.
func (db *DB) Migration(ctx context.Context, uuid string) (made table.OnlineDDL, err error) {
	conn, err := db.conn(ctx, "")
	if err != nil {
		return made, err
	}
	defer conn.Close()
	const asking = "asking for an online DDL"
	// The UUID is of hexadecimal digits and underscores. Of the reverts, few, some may be reverts of its revert.
	rows, err := conn.QueryContext(ctx, "show vitess_migrations where migration_uuid = '"+uuid+"' or reverted_uuid != ''")
	if err != nil {
		return made, failed(asking, err)
	}
	defer rows.Close()
	list, err := migrationsIn(rows)
	if err != nil {
		return made, failed(asking, err)
	}
	return onlineDDL(list, uuid), nil
}

// migration is a row of SHOW VITESS_MIGRATIONS.
type migration struct{ shard, uuid, status, statement, reverted sql.NullString }

func migrationsIn(rows *sql.Rows) (list []migration, err error) {
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var m migration
		wanted := map[string]*sql.NullString{
			"shard": &m.shard, "migration_uuid": &m.uuid, "migration_status": &m.status, "migration_statement": &m.statement, "reverted_uuid": &m.reverted,
		}
		values := make([]any, len(columns))
		for i, column := range columns {
			if values[i] = new(sql.RawBytes); wanted[column] != nil {
				values[i] = wanted[column]
			}
		}
		if err := rows.Scan(values...); err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, rows.Err()
}

// onlineDDL finds an online DDL among the migrations of several shards, and how often it was reverted. A revert that is running may have
// swapped the tables already.
func onlineDDL(list []migration, uuid string) (made table.OnlineDDL) {
	type in struct{ shard, uuid string }
	reverts := map[in]string{} // by what they reverted
	for _, m := range list {
		if m.status.String == "complete" || m.status.String == "running" {
			reverts[in{m.shard.String, m.reverted.String}] = m.uuid.String
		}
	}
	for _, m := range list {
		if m.uuid.String != uuid {
			continue
		}
		made.Statement = m.statement.String
		swaps := 0
		for next := uuid; next != "" && swaps <= len(list); next = reverts[in{m.shard.String, next}] {
			swaps++
		}
		made.Swaps = max(made.Swaps, swaps)
	}
	return made
}
