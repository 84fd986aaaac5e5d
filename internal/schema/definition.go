package schema

import (
	"context"
	"database/sql"
	"slices"

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

// Migration is one of Vitess' online DDLs, as made in a shard; Vitess forgets them after some days. All shards are queried, because that
// one may have been split or merged since.
func (db *DB) Migration(ctx context.Context, shard, uuid string) (made table.OnlineDDL, err error) {
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
	return onlineDDL(list, shard, uuid), nil
}

// migration is a row of SHOW VITESS_MIGRATIONS.
type migration struct{ shard, uuid, status, stage, statement, reverted sql.NullString }

func migrationsIn(rows *sql.Rows) (list []migration, err error) {
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var m migration
		wanted := map[string]*sql.NullString{
			"shard": &m.shard, "migration_uuid": &m.uuid, "migration_status": &m.status, "stage": &m.stage, "migration_statement": &m.statement,
			"reverted_uuid": &m.reverted,
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

// renaming are the stages in which a running migration may have swapped the tables (executor.go of onlineddl, the same in Vitess 22 and
// 24). A revert that is made ready for later runs for a long time before.
var renaming = []string{"unlocking tables", "waiting for RENAME to complete", "cut-over complete", "re-enabling writes"}

func (m *migration) swapped() bool {
	return m.status.String == "complete" || m.status.String == "running" && slices.Contains(renaming, m.stage.String)
}

// onlineDDL finds an online DDL among the migrations of all shards, and how often its tables changed places: in the shard or, if Vitess
// does not have it there, at most.
func onlineDDL(list []migration, shard, uuid string) (made table.OnlineDDL) {
	type in struct{ shard, uuid string }
	reverts := map[in]string{} // by what they reverted
	for _, m := range list {
		if m.swapped() {
			reverts[in{m.shard.String, m.reverted.String}] = m.uuid.String
		}
	}
	for _, m := range list {
		if m.uuid.String != uuid {
			continue
		}
		swaps := 0
		for next := uuid; next != "" && swaps <= len(list); next = reverts[in{m.shard.String, next}] {
			swaps++
		}
		made = table.OnlineDDL{Statement: m.statement.String, Swaps: max(made.Swaps, swaps)}
		if m.shard.String == shard {
			made.Swaps = swaps
			break
		}
	}
	return made
}
