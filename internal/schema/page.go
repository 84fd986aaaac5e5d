package schema

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// list is the result of a query, read page by page, with its rows grouped by table, starting from a name. The query ends with `… and
// table_name >= ? order by table_name, … limit ?`; scan reads one row and the table it belongs to.
//
// A full page's last table may be cut off, so it is dropped and the next page begins with it: each table's rows come
// from one statement, whatever is created, altered or dropped in the meantime. Comparing and ordering go by the collation
// of the dictionary's own unique index of table names, so that no two tables are equal to it.
type list[R any] struct {
	query, from string
	page        int
	scan        func(*sql.Rows) (string, R, error)
	all         map[string][]R
	complete    bool
}

func newList[R any](page int, query, from string, scan func(*sql.Rows) (string, R, error)) *list[R] {
	return &list[R]{query: query, from: from, page: page, scan: scan, all: map[string][]R{}}
}

// asked is a list of any kind of rows.
type asked interface {
	statement() (query string, args []any)
	add(*sql.Rows) error
	rest(context.Context, *sql.Conn) error
}

// statement asks for the next page.
func (l *list[R]) statement() (query string, args []any) { return l.query, []any{l.from, l.page} }

// add reads a page.
func (l *list[R]) add(rows *sql.Rows) error {
	last, count := "", 0
	for ; rows.Next(); count++ {
		table, row, err := l.scan(rows)
		if err != nil {
			return err
		}
		l.all[table] = append(l.all[table], row)
		last = table
	}
	switch {
	case rows.Err() != nil:
		return rows.Err()
	case count < l.page:
		l.complete = true
		return nil
	case last == l.from:
		return fmt.Errorf("table %q has %d rows or more in information_schema, more than MySQL allows", last, l.page)
	}
	delete(l.all, last)
	l.from = last
	return nil
}

// rest asks for the pages that are left.
func (l *list[R]) rest(ctx context.Context, conn *sql.Conn) error {
	for !l.complete {
		if err := l.next(ctx, conn); err != nil {
			return err
		}
	}
	return nil
}

// next asks for one page.
func (l *list[R]) next(ctx context.Context, conn *sql.Conn) error {
	query, args := l.statement()
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	return l.add(rows)
}

// inOnePacket asks for the first pages of lists together, since each alone would cost a round trip, and for what is left one by one: that
// is all where the server takes one statement to a packet.
func inOnePacket(ctx context.Context, conn *sql.Conn, lists ...asked) error {
	var queries []string
	var args []any
	for _, l := range lists {
		query, its := l.statement()
		queries, args = append(queries, query), slices.Concat(args, its)
	}
	rows, err := conn.QueryContext(ctx, strings.Join(queries, ";"), args...)
	if err == nil {
		err = firstPages(rows, lists)
	}
	if err != nil && !isNumbered(err, erParse, erSyntax) {
		return err
	}
	for _, l := range lists {
		if err := l.rest(ctx, conn); err != nil {
			return err
		}
	}
	return nil
}

// firstPages reads the answers to a packet, and closes them. There may be fewer than questions.
func firstPages(rows *sql.Rows, lists []asked) error {
	defer rows.Close()
	for i, l := range lists {
		if i > 0 && !rows.NextResultSet() {
			break
		}
		if err := l.add(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// byTable asks for a list by itself.
func byTable[R any](
	ctx context.Context, conn *sql.Conn, page int, query, from string, scan func(*sql.Rows) (string, R, error),
) (map[string][]R, error) {
	l := newList(page, query, from, scan)
	if err := l.rest(ctx, conn); err != nil {
		return nil, err
	}
	return l.all, nil
}
