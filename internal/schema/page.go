package schema

import (
	"context"
	"database/sql"
	"fmt"
)

// byTable runs a query page by page and returns its rows grouped by table, from a name on. The query ends with
// `… and table_name >= ? order by table_name, … limit ?`; scan reads one row and the table it belongs to.
//
// A full page's last table may be cut off, so it is dropped and the next page begins with it: each table's rows come
// from one statement, whatever is created, altered or dropped in the meantime. Comparing and ordering go by the collation
// of the dictionary's own unique index of table names, so that no two tables are equal to it.
func byTable[R any](
	ctx context.Context,
	conn *sql.Conn,
	page int,
	query, from string,
	scan func(*sql.Rows) (string, R, error),
) (map[string][]R, error) {
	all := map[string][]R{}
	for {
		rows, err := conn.QueryContext(ctx, query, from, page)
		if err != nil {
			return nil, err
		}
		last, count, err := group(rows, all, scan)
		if err != nil {
			return nil, err
		}
		if count < page {
			return all, nil
		}
		if last == from {
			return nil, fmt.Errorf("table %q has %d rows or more in information_schema, more than MySQL allows", last, page)
		}
		delete(all, last)
		from = last
	}
}

// group adds rows to their tables and closes them; last is the last row's table.
func group[R any](rows *sql.Rows, all map[string][]R, scan func(*sql.Rows) (string, R, error)) (last string, count int, err error) {
	defer rows.Close()
	for ; rows.Next(); count++ {
		table, row, err := scan(rows)
		if err != nil {
			return "", 0, err
		}
		all[table] = append(all[table], row)
		last = table
	}
	return last, count, rows.Err()
}
