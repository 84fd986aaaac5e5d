package schema

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"source-planetscale/internal/table"
)

// AddVindexes extends the tables' keys in a sharded keyspace by their primary vindex. Where the server does not show
// its vschema, the keys stay as they are and a warning says so. vtgate takes a while for each table of a large vschema
// (10 ms at 4,000 tables, whatever the packets).
func (db *DB) AddVindexes(ctx context.Context, contents *Contents) error {
	sharded, err := db.sharded(ctx)
	if err != nil || !sharded {
		return err
	}
	vindexes, err := db.primaryVindexes(ctx, withKey(contents.Tables))
	if isRefused(err) {
		contents.Warnings = append(contents.Warnings, fmt.Sprintf(
			"the vschema of %s cannot be read, so that rows of different shards with the same key count as one row: %v", db.keyspace, err))
		return nil
	}
	if err != nil {
		return err
	}
	for i := range contents.Tables {
		table := &contents.Tables[i]
		text, known := vindexes[table.Name]
		columns := splitColumns(text, table.Columns)
		switch {
		case table.MySQLKey == nil, known && text == "":
			// no key to extend; no vindex, for a reference table is the same in all shards
		case columns == nil:
			contents.Warnings = append(contents.Warnings, fmt.Sprintf(
				"the vschema names no columns of table %q, so that rows of different shards with the same key count as one row", table.Name))
		default:
			table.Key = withVindex(table.MySQLKey, columns)
		}
	}
	return nil
}

func withKey(tables []table.Table) []string {
	var names []string
	for _, table := range tables {
		if table.MySQLKey != nil {
			names = append(names, table.Name)
		}
	}
	return names
}

// primaryVindexes asks for the columns of each table's primary vindex, joined with ", ", or "" for a table without; a
// table that the vschema does not know is left out. vtgate shows one table at a time (SHOW VSCHEMA VINDEXES FROM t, the
// primary vindex first), so the statements go many to a packet.
func (db *DB) primaryVindexes(ctx context.Context, tables []string) (map[string]string, error) {
	conn, err := db.conn(ctx, "")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	vindexes := make(map[string]string, len(tables))
	size := db.batchSize
	for len(tables) > 0 {
		batch := tables[:min(len(tables), size)]
		answered, err := db.vindexBatch(ctx, conn, batch, vindexes)
		switch {
		case err == nil:
			tables = tables[answered:]
		case isNumbered(err, erNoSuchTable):
			tables = tables[answered+1:] // the error ended the packet, so go on after it
		case isNumbered(err, erParse, erSyntax) && len(batch) > 1:
			size = 1 // the server takes one statement to a packet
		default:
			return nil, failed("reading the vindexes of "+db.keyspace, err)
		}
	}
	return vindexes, nil
}

// vindexBatch asks in one packet and stores the answers, of which there may be fewer than statements: a statement that
// fails ends the packet. answered counts them.
func (db *DB) vindexBatch(ctx context.Context, conn *sql.Conn, tables []string, vindexes map[string]string) (answered int, err error) {
	statements := make([]string, len(tables))
	for i, table := range tables {
		statements[i] = "show vschema vindexes from " + quoted(db.keyspace) + "." + quoted(table)
	}
	rows, err := conn.QueryContext(ctx, strings.Join(statements, ";"))
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for more := true; more && answered < len(tables); more = rows.NextResultSet() {
		result, err := named(rows)
		if err != nil {
			return answered, err
		}
		vindexes[tables[answered]] = ""
		if len(result) > 0 {
			vindexes[tables[answered]] = result[0]["Columns"]
		}
		answered++
	}
	return answered, rows.Err()
}
