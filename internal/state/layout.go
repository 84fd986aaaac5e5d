package state

import (
	"errors"

	"source-planetscale/internal/table"
)

// layoutJSON is a table.Layout as stored in a state.
type layoutJSON struct {
	Columns columnsJSON `json:"own_columns,omitempty"`
	Unknown bool        `json:"unknown_columns,omitempty"`
	former
}

// former is what earlier builds stored instead of Unknown.
type former struct {
	Stale   bool `json:"stale_columns,omitempty"`
	Assumed int  `json:"assumed_columns,omitempty"`
	Had     int  `json:"had_columns,omitempty"`
}

func newLayoutJSON(l table.Layout) layoutJSON {
	return layoutJSON{Columns: newColumnsJSON(l.Columns), Unknown: l.Unknown}
}

func (j layoutJSON) parse() (table.Layout, error) {
	columns, err := j.Columns.parse()
	switch {
	case err != nil:
		return table.Layout{}, err
	case len(columns) > 0 && j.Unknown:
		return table.Layout{}, errors.New("it has own_columns, and says that they are unknown")
	case j.Stale:
		return table.Layout{}, errors.New("an earlier release saved it while the table's columns were being changed")
	case j.Assumed != 0 || j.Had != 0:
		return table.Layout{Unknown: true}, nil
	}
	return table.Layout{Columns: columns, Unknown: j.Unknown}, nil
}

// columnsJSON has for each column its name, its type or the type's digest and, if there is one, its character set.
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
			return nil, errors.New("one of its columns is not a list of name, type and character set")
		}
		column := table.Column{Name: c[0], Type: c[1]}
		if len(c) == 3 {
			column.Charset = table.CanonicalCharset(c[2])
		}
		columns = append(columns, column)
	}
	return columns, nil
}
