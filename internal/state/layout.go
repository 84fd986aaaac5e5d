package state

import (
	"errors"

	"source-planetscale/internal/table"
)

// layoutJSON is a table.Layout as a state has it.
type layoutJSON struct {
	Columns columnsJSON `json:"own_columns,omitempty"`
	Unknown bool        `json:"unknown_columns,omitempty"`
}

func newLayoutJSON(l table.Layout) layoutJSON {
	return layoutJSON{Columns: newColumnsJSON(l.Columns), Unknown: l.Unknown}
}

func (j layoutJSON) parse() (table.Layout, error) {
	columns, err := j.Columns.parse()
	if err == nil && len(columns) > 0 && j.Unknown {
		err = errors.New("its own_columns are said to be unknown, too")
	}
	return table.Layout{Columns: columns, Unknown: j.Unknown}, err
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
