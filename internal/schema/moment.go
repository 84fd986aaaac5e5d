package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
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
	return db.momentWith(ctx, shard, tables, func() []pages { return nil })
}

// TablesAt reads the tables of those names as TablesOf does, with the columns of a Moment, which it returns as well: in the same packet.
func (db *DB) TablesAt(ctx context.Context, shard string, names []string) (*Contents, Moment, error) {
	only := ""
	if len(names) == 1 {
		only = names[0]
	}
	var types *list[string]
	var keys *list[keyPart]
	m, err := db.momentWith(ctx, shard, names, func() []pages {
		types = newList(db.pageRows, restrict(tablesQuery, only), only, scanType)
		keys = newList(db.pageRows, restrict(keysQuery, only), only, scanKeyPart)
		return []pages{types, keys}
	})
	if err != nil {
		return nil, m, err
	}
	contents, err := assemble(types.all, m.Columns, keys.all)
	return contents, m, err
}

// momentWith reads a Moment, and other lists with it, which are made anew for each attempt.
func (db *DB) momentWith(ctx context.Context, shard string, tables []string, others func() []pages) (Moment, error) {
	size := columnsOfTables
	for range sameServerTries {
		m, err := db.moment(ctx, shard, tables, size, others())
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
func (db *DB) moment(ctx context.Context, shard string, tables []string, size int, others []pages) (Moment, error) {
	conn, err := db.sql.Conn(ctx)
	if err != nil {
		return Moment{}, err
	}
	defer conn.Close()
	m := Moment{Columns: map[string][]table.Column{}}
	var before, after serverPosition
	questions := []asked{&before}
	for some := range slices.Chunk(tables, size) {
		questions = append(questions, &columnsOfSome{some, db.pageRows, m.Columns})
	}
	for _, l := range others {
		questions = append(questions, l)
	}
	questions = append(questions, &after)
	if err := inTransaction(ctx, conn, db.target(shard), questions); err != nil {
		return Moment{}, err
	}
	for _, l := range others {
		if err := l.rest(ctx, conn); err != nil {
			return Moment{}, err
		}
	}
	m.Before, m.After = before.executed, after.executed
	if before.server == after.server {
		m.Server = before.server
	}
	return m, nil
}

// inTransaction asks the questions in one packet.
func inTransaction(ctx context.Context, conn *sql.Conn, target string, questions []asked) error {
	packet, args := joined(questions)
	rows, err := conn.QueryContext(ctx, "use "+quoted(target)+";begin;"+packet+";rollback", args...)
	if err == nil {
		err = firstPages(rows, questions)
	}
	if err != nil { // what failed in the middle has left the transaction open
		_, undone := conn.ExecContext(ctx, "rollback")
		err = errors.Join(err, undone)
	}
	return err
}

// serverPosition is the answer to positionQuery.
type serverPosition struct{ server, executed string }

func (p *serverPosition) statement() (query string, args []any) { return positionQuery, nil }

func (p *serverPosition) add(rows *sql.Rows) error {
	for rows.Next() {
		if err := rows.Scan(&p.server, &p.executed); err != nil {
			return err
		}
	}
	return rows.Err()
}

// columnsOfSome are the columns of tables that one statement asks about.
type columnsOfSome struct {
	names []string
	page  int
	into  map[string][]table.Column
}

func (c *columnsOfSome) statement() (query string, args []any) {
	for _, name := range c.names {
		args = append(args, name)
	}
	return fmt.Sprintf(columnsOfQuery, strings.TrimSuffix(strings.Repeat("?, ", len(c.names)), ", ")), append(args, c.page)
}

func (c *columnsOfSome) add(rows *sql.Rows) error {
	asked := make(map[string]bool, len(c.names))
	for _, name := range c.names {
		asked[name] = true
	}
	count := 0
	for ; rows.Next(); count++ {
		name, column, err := scanColumn(rows)
		if err != nil {
			return err
		}
		if asked[name] { // the server may take others' names for equal
			c.into[name] = append(c.into[name], column)
		}
	}
	if count >= c.page {
		return errManyColumns
	}
	return rows.Err()
}
