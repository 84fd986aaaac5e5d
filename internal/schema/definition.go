package schema

import "context"

// Definition is what SHOW CREATE TABLE says of a table in one shard.
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
