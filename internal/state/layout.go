package state

import (
	"errors"
	"slices"

	"source-planetscale/internal/table"
)

// Layout is what is known of the columns under which the changes after a position were written. The zero Layout says that at
// the position they are Stream.Columns.
type Layout struct {
	// Columns are the table's in this shard where they are known to be others than Stream.Columns; else nil.
	Columns []table.Column
	// Stale is set while changes made under other columns than those are to be read.
	Stale bool
	// Assumed says whether the columns of the changes to be read are known.
	Assumed Assumption
	// Had is set while changes are to be read that were made before columns were added at the end: how many of the columns
	// the table had at the position.
	Had int
}

// Assumption is how far the columns of a shard's changes are assumed to be a Layout's, instead of known to be.
type Assumption int

// The assumptions.
const (
	// Known: the columns were these at the position, and no change of them has come since.
	Known Assumption = iota
	// Assumed: a change of columns came, after which they are these unless another one comes; or they were never looked up, as
	// for a position that the user gave.
	Assumed
	// Relied: changes were given on that assumption. Another change of columns shows that they may be wrong.
	Relied
)

// Adopt makes the layout one that refers to the columns that the table has now, instead of those of the stream that were
// saved with it. What was written under others is stale, unless those of now only extend them.
func (l *Layout) Adopt(now, was []table.Column) {
	if l.Columns != nil {
		was = l.Columns
	}
	l.Columns = nil
	switch {
	case !table.Extends(now, was):
		l.Stale, l.Had = true, 0
	case len(was) == 0: // the former connector's state
		l.Assumed = max(l.Assumed, Assumed)
	case len(was) < len(now) && l.Had == 0:
		l.Had = len(was)
	}
}

// Join returns the layout of changes of which some are of the one layout and some of the other.
func (l Layout) Join(other Layout) Layout {
	joined := Layout{Columns: l.Columns, Stale: l.Stale || other.Stale, Assumed: max(l.Assumed, other.Assumed), Had: max(l.Had, other.Had)}
	if !slices.Equal(l.Columns, other.Columns) {
		joined.Stale = true
	}
	return joined
}

type layoutJSON struct {
	Columns columnsJSON `json:"own_columns,omitempty"`
	Stale   bool        `json:"stale_columns,omitempty"`
	Assumed Assumption  `json:"assumed_columns,omitempty"`
	Had     int         `json:"had_columns,omitempty"`
}

func (l Layout) json() layoutJSON {
	return layoutJSON{Columns: newColumnsJSON(l.Columns), Stale: l.Stale, Assumed: l.Assumed, Had: l.Had}
}

func (j layoutJSON) parse() (Layout, error) {
	columns, err := j.Columns.parse()
	return Layout{Columns: columns, Stale: j.Stale, Assumed: j.Assumed, Had: j.Had}, err
}

// columnsJSON are of each column its name, its type or that one's digest, and, where there is one, its character set.
type columnsJSON [][]string

func newColumnsJSON(columns []table.Column) (list columnsJSON) {
	for _, c := range columns {
		column := []string{c.Name, table.DigestType(c.Type)}
		if c.Charset != "" {
			column = append(column, c.Charset)
		}
		list = append(list, column)
	}
	return list
}

func (list columnsJSON) parse() (columns []table.Column, err error) {
	for _, c := range list {
		if len(c) < 2 || len(c) > 3 {
			return nil, errors.New("a column of it has not name, type and character set")
		}
		column := table.Column{Name: c[0], Type: c[1]}
		if len(c) == 3 {
			column.Charset = c[2]
		}
		columns = append(columns, column)
	}
	return columns, nil
}
