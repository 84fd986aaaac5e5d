package schema

import (
	"context"
	"database/sql"
	"fmt"
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

// asked is a statement and what becomes of its answer.
type asked interface {
	statement() (query string, args []any)
	add(*sql.Rows) error
}

// pages are a list of any kind of rows.
type pages interface {
	asked
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
func inOnePacket(ctx context.Context, conn *sql.Conn, lists ...pages) error {
	questions := make([]asked, len(lists))
	for i, l := range lists {
		questions[i] = l
	}
	packet, args := joined(questions)
	rows, err := conn.QueryContext(ctx, packet, args...)
	if err == nil {
		err = firstPages(rows, questions)
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

// joined is the packet of questions.
func joined(questions []asked) (packet string, args []any) {
	queries := make([]string, len(questions))
	for i, q := range questions {
		query, its := q.statement()
		queries[i], args = query, append(args, its...)
	}
	return strings.Join(queries, ";"), args
}

// firstPages reads the answers to a packet, and closes them. There may be fewer than questions. Statements without answers, such as USE,
// may be among them.
func firstPages(rows *sql.Rows, questions []asked) error {
	defer rows.Close()
	for more := true; more; more = rows.NextResultSet() {
		columns, err := rows.Columns()
		if err != nil {
			return err
		}
		if len(columns) == 0 || len(questions) == 0 {
			continue
		}
		if err := questions[0].add(rows); err != nil {
			return err
		}
		questions = questions[1:]
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
