package schema

import (
	"context"
	"fmt"

	"source-planetscale/internal/table"
)

// AddVindexes extends the tables' keys in a sharded keyspace by their primary vindex. If the server does not show its vschema, the keys
// stay as they are and a warning says so. vtgate takes a while for each table of a large vschema (10 ms at 4,000 tables, regardless of
// the packets).
func (db *DB) AddVindexes(ctx context.Context, contents *Contents) error {
	sharded, err := db.sharded(ctx)
	if err != nil || !sharded {
		return err
	}
	vindexes, err := db.primaryVindexes(ctx, withKey(contents.Tables))
	if isRefused(err) {
		contents.Warnings = append(contents.Warnings, fmt.Sprintf(
			"the VSchema of %s cannot be read: rows with the same key in different shards become one row: %v", db.keyspace, err))
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
				"the VSchema names no vindex columns for table %q: rows with the same key in different shards become one row", table.Name))
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

// primaryVindexes queries the columns of each table's primary vindex, joined with ", ", or "" for a table without one; a table that the
// vschema does not know is left out. vtgate shows one table at a time (SHOW VSCHEMA VINDEXES FROM t, the primary vindex first), so many
// statements are sent per packet.
func (db *DB) primaryVindexes(ctx context.Context, tables []string) (map[string]string, error) {
	conn, err := db.conn(ctx, "")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	statements := make([]string, len(tables))
	for i, table := range tables {
		statements[i] = "show vschema vindexes from " + quoted(db.keyspace) + "." + quoted(table)
	}
	vindexes := make(map[string]string, len(tables))
	err = db.askEach(ctx, conn, statements, func(i int, rows []map[string]string, refusal error) error {
		switch {
		case isNumbered(refusal, erNoSuchTable):
		case refusal != nil:
			return refusal
		case len(rows) == 0:
			vindexes[tables[i]] = ""
		default:
			vindexes[tables[i]] = rows[0]["Columns"]
		}
		return nil
	})
	if err != nil {
		return nil, failed("reading the vindexes of "+db.keyspace, err)
	}
	return vindexes, nil
}
