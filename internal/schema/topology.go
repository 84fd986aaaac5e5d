package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"source-planetscale/internal/failure"
)

const (
	// shardsWait is how long vtgate may take to hear of a new keyspace's shards.
	shardsWait = 5 * time.Second
	shardsPoll = 200 * time.Millisecond
)

// Tablet is one MySQL server of the keyspace as vtgate's health check sees it.
type Tablet struct {
	Shard string
	// Type is spelled as Open's tabletType: "primary", "replica", "rdonly", or another of Vitess's.
	Type string
	// Serving tells whether queries are sent to it.
	Serving bool
	Cell    string
}

// Tablets lists the keyspace's tablets of all types known to vtgate (SHOW VITESS_TABLETS).
func (db *DB) Tablets(ctx context.Context) ([]Tablet, error) {
	rows, err := db.show(ctx, db.target(""), "show vitess_tablets")
	if err != nil {
		return nil, err
	}
	var tablets []Tablet
	for _, row := range rows {
		if row["Keyspace"] == db.keyspace {
			tablets = append(tablets, Tablet{row["Shard"], strings.ToLower(row["TabletType"]), row["State"] == "SERVING", row["Cell"]})
		}
	}
	return tablets, nil
}

// Shards lists the keyspace's shards, in order, as served by their primaries (SHOW VITESS_SHARDS). While shards are split or merged,
// those of replicas may already be different, and no journal leads to them yet. The list can be empty for a moment after a keyspace was
// created; after some seconds of that, an error is returned.
func (db *DB) Shards(ctx context.Context) ([]string, error) {
	giveUp := time.After(shardsWait)
	for {
		rows, err := db.show(ctx, db.primary(), "show vitess_shards")
		if err != nil {
			return nil, err
		}
		if shards := shardsOf(db.keyspace, rows); len(shards) > 0 {
			return shards, nil
		}
		select {
		case <-ctx.Done():
			return nil, failed("waiting for the shards of "+db.keyspace, ctx.Err())
		case <-giveUp:
			return nil, failure.Transient("check that its tablets are up, or choose another database",
				"No shard of keyspace %s has a serving primary", db.keyspace).Because(ErrNoShards)
		case <-time.After(shardsPoll):
		}
	}
}

// shardsOf selects the keyspace's shards from lines "keyspace/shard". It filters here because SHOW's LIKE treats `_` as a wildcard, and
// matches other keyspaces.
func shardsOf(keyspace string, rows []map[string]string) []string {
	var shards []string
	for _, row := range rows {
		for _, line := range row {
			if name, shard, ok := strings.Cut(line, "/"); ok && name == keyspace {
				shards = append(shards, shard)
			}
		}
	}
	slices.Sort(shards)
	return shards
}

// sharded reports whether rows are distributed over shards by vindexes, according to the vschema, or to the shards' names if the server
// does not show it.
func (db *DB) sharded(ctx context.Context) (bool, error) {
	rows, err := db.show(ctx, db.target(""), "show vschema keyspaces")
	if err != nil && !isRefused(err) {
		return false, err
	}
	for _, row := range rows {
		if row["Keyspace"] == db.keyspace && row["Sharded"] != "" {
			return row["Sharded"] == "true", nil
		}
	}
	shards, err := db.Shards(ctx)
	return len(shards) > 1 || len(shards) == 1 && shards[0] != "-" && shards[0] != "0", err
}

// Keyspaces lists all of the server's keyspaces: those with a serving shard, and the others. A snapshot of a keyspace, which is a
// restored backup, has shards but no primary, and is one of the others. The server requires no privilege to see a name.
func (db *DB) Keyspaces(ctx context.Context) (serving, others []string, err error) {
	names, err := keyspaces(ctx, db.sql)
	if err != nil {
		return nil, nil, failed("asking for the keyspaces", err)
	}
	serves, err := db.serves(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		if serves[name] {
			serving = append(serving, name)
		} else {
			others = append(others, name)
		}
	}
	return serving, others, nil
}

// serves are the keyspaces that have a serving primary or, if the server does not show its tablets, any shard.
func (db *DB) serves(ctx context.Context) (map[string]bool, error) {
	found := map[string]bool{}
	tablets, err := ask(ctx, db.sql, "show vitess_tablets")
	if err != nil && !isRefused(failed("show vitess_tablets", err)) {
		return nil, failed("show vitess_tablets", err)
	}
	for _, row := range tablets {
		if strings.EqualFold(row["TabletType"], "primary") && row["State"] == "SERVING" {
			found[row["Keyspace"]] = true
		}
	}
	if len(tablets) > 0 {
		return found, nil
	}
	shards, err := ask(ctx, db.sql, "show vitess_shards")
	if err != nil {
		return nil, failed("show vitess_shards", err)
	}
	for _, row := range shards {
		for _, line := range row {
			if keyspace, _, ok := strings.Cut(line, "/"); ok {
				found[keyspace] = true
			}
		}
	}
	return found, nil
}

// keyspaces lists the server's keyspaces, for a person to choose from.
func keyspaces(ctx context.Context, pool *sql.DB) ([]string, error) {
	table, err := ask(ctx, pool, "show keyspaces")
	var names []string
	for _, row := range table {
		for _, name := range row {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, err
}

// unknownKeyspace is the verdict on a keyspace that the server has just reported as unknown. Its list of keyspaces confirms that: it is
// complete, and comes from where the server looked the keyspace up. A server that has just started, and has not loaded it, lists none.
func unknownKeyspace(ctx context.Context, pool *sql.DB, keyspace string) error {
	names, err := keyspaces(ctx, pool)
	switch {
	case isNumbered(err, erNoDB), err == nil && len(names) == 0, slices.Contains(names, keyspace):
		return failure.Transient("try again when it has", "The server has not loaded keyspace %s yet, probably because VTGate has just started", keyspace).
			Because(ErrUnknownKeyspace)
	case errors.As(err, new(*mysql.MySQLError)):
		return unsureKeyspace(keyspace)
	case err != nil:
		return failed("asking for the keyspaces", err)
	}
	return judged(shorten(fmt.Errorf("%w: %q; there are: %s", ErrUnknownKeyspace, keyspace, strings.Join(names, ", "))))
}

// unsureKeyspace is the verdict if the server does not list its keyspaces: it may not have loaded them yet.
func unsureKeyspace(keyspace string) error {
	return failure.Judge(judged(fmt.Errorf("%w: %q", ErrUnknownKeyspace, keyspace))).Do(failure.Retry)
}

// ask runs a statement without arguments, whatever the target is.
func ask(ctx context.Context, pool *sql.DB, statement string) ([]map[string]string, error) {
	rows, err := pool.QueryContext(ctx, statement)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return named(rows)
}

// show runs a SHOW, or another statement without arguments, on that target. Columns are read by name, since versions of Vitess add some.
func (db *DB) show(ctx context.Context, target, statement string) ([]map[string]string, error) {
	conn, err := db.connTo(ctx, target)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	rows, err := conn.QueryContext(ctx, statement)
	if err != nil {
		return nil, db.failed(ctx, conn, statement, err)
	}
	defer rows.Close()
	table, err := named(rows)
	if err != nil {
		return nil, failed(statement, err)
	}
	return table, nil
}

// failed is failed for a question to the keyspace, which may not exist. The connection is closed: the list of keyspaces takes another.
func (db *DB) failed(ctx context.Context, conn *sql.Conn, doing string, err error) error {
	if isNumbered(err, erBadDB) {
		_ = conn.Close()
		return unknownKeyspace(ctx, db.sql, db.keyspace)
	}
	return failed(doing, err)
}

// named reads one result set as maps from column name to text (NULL as "").
func named(rows *sql.Rows) ([]map[string]string, error) {
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	var table []map[string]string
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		row := make(map[string]string, len(columns))
		for i, column := range columns {
			row[column] = values[i].String
		}
		table = append(table, row)
	}
	return table, rows.Err()
}
