package state

import (
	"errors"

	"source-planetscale/internal/table"
)

// layoutJSON is a table.Layout as a state has it.
type layoutJSON struct {
	Columns columnsJSON      `json:"own_columns,omitempty"`
	Stale   bool             `json:"stale_columns,omitempty"`
	Assumed table.Assumption `json:"assumed_columns,omitempty"`
	Had     int              `json:"had_columns,omitempty"`
}

func newLayoutJSON(l table.Layout) layoutJSON {
	return layoutJSON{Columns: newColumnsJSON(l.Columns), Stale: l.Stale, Assumed: l.Assumed, Had: l.Had}
}

func (j layoutJSON) parse() (table.Layout, error) {
	columns, err := j.Columns.parse()
	if err == nil && (j.Assumed < table.Known || j.Assumed > table.Relied || j.Had < 0) {
		err = errors.New("its assumed_columns or had_columns are none that this source writes")
	}
	return table.Layout{Columns: columns, Stale: j.Stale, Assumed: j.Assumed, Had: j.Had}, err
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
