package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"source-planetscale/internal/table"
)

// Moment is what one server of a shard reports about tables, between two of its own positions.
type Moment struct {
	// Server is the server's UUID.
	Server string
	// Before and After are the GTID sets that the server had executed before and after it was asked for the columns, which are
	// not read at one moment with either: a table may be altered in between.
	Before, After string
	// Columns of the tables that exist, by table.
	Columns map[string][]table.Column
}

const (
	positionQuery  = "select @@server_uuid, @@global.gtid_executed"
	columnsOfQuery = `select table_name, column_name, column_type, is_nullable, character_set_name from information_schema.columns
		where table_schema = database() and table_name in (%s) order by table_name, ordinal_position limit ?`
	// columnsOfTables is how many tables one statement asks about.
	columnsOfTables = 100
)

// errManyColumns reports that the tables of one statement have more columns than an answer may have rows.
var errManyColumns = errors.New("too many columns for one answer")

// ColumnsAt queries one server of the shard for the columns of the tables, and for its position before and after them, in one packet. A
// position P that was queried between two Moments a and b, contains a.After and is contained in b.Before, has the columns of both if they
// are the same.
func (db *DB) ColumnsAt(ctx context.Context, shard string, tables []string) (Moment, error) {
	size := columnsOfTables
	for range sameServerTries {
		m, err := db.moment(ctx, shard, tables, size)
		switch {
		case errors.Is(err, errManyColumns) && size > 1:
			size = max(size/5, 1)
		case err != nil:
			return Moment{}, failed("asking shard "+shard+" for columns and position", err)
		case m.Server != "":
			return m, nil
		}
	}
	return Moment{}, judged(fmt.Errorf("%w: different tablets of shard %s answer in turn", ErrRefused, shard))
}

// moment returns a Moment without a server if the answers came from different ones. A transaction runs on one server.
func (db *DB) moment(ctx context.Context, shard string, tables []string, size int) (Moment, error) {
	conn, err := db.sql.Conn(ctx)
	if err != nil {
		return Moment{}, err
	}
	defer conn.Close()
	var packet strings.Builder
	var args []any
	packet.WriteString("use " + quoted(db.target(shard)) + ";begin;" + positionQuery)
	for from := 0; from < len(tables); from += size {
		some := tables[from:min(from+size, len(tables))]
		fmt.Fprintf(&packet, ";"+columnsOfQuery, strings.TrimSuffix(strings.Repeat("?, ", len(some)), ", "))
		for _, name := range some {
			args = append(args, name)
		}
		args = append(args, db.pageRows)
	}
	packet.WriteString(";" + positionQuery + ";rollback")
	rows, err := conn.QueryContext(ctx, packet.String(), args...)
	if err == nil {
		var m Moment
		if m, err = readMoment(rows, tables, db.pageRows); err == nil {
			return m, nil
		}
	}
	// What failed in the middle has left the transaction open.
	_, undone := conn.ExecContext(ctx, "rollback")
	return Moment{}, errors.Join(err, undone)
}

// readMoment reads the results of the packet, and closes them. The results of use, begin and rollback have no columns.
func readMoment(rows *sql.Rows, tables []string, page int) (Moment, error) {
	defer rows.Close()
	asked := make(map[string]bool, len(tables))
	for _, name := range tables {
		asked[name] = true
	}
	m := Moment{Columns: map[string][]table.Column{}}
	var servers []string
	for more := true; more; more = rows.NextResultSet() {
		columns, err := rows.Columns()
		switch {
		case err != nil:
			return Moment{}, err
		case len(columns) == 0:
			continue
		case len(columns) == 2:
			var server string
			m.Before = m.After
			for rows.Next() {
				if err := rows.Scan(&server, &m.After); err != nil {
					return Moment{}, err
				}
			}
			servers = append(servers, server)
			continue
		}
		count := 0
		for ; rows.Next(); count++ {
			name, c, err := scanColumn(rows)
			if err != nil {
				return Moment{}, err
			}
			if asked[name] { // the server may take others' names for equal
				m.Columns[name] = append(m.Columns[name], c)
			}
		}
		if count >= page {
			return Moment{}, errManyColumns
		}
	}
	if err := rows.Err(); err != nil {
		return Moment{}, err
	}
	if len(servers) == 2 && servers[0] == servers[1] {
		m.Server = servers[0]
	}
	return m, nil
}
