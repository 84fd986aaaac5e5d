package table

import (
	"fmt"
	"slices"
	"strings"
)

// CheckKey holds the key by which a destination tells rows apart against the table; the key is without columns that are not the
// table's own by design. gives reports whether records have a column. deduplicates says that the destination keeps one row for
// each key: then the key must hold all columns of a key of MySQL's. What a sharded keyspace adds to tell shards apart is not
// asked for. The warning is about the key of a table that has none itself.
func (t *Table) CheckKey(key []string, gives func(column string) bool, deduplicates bool) (warning string, err error) {
	for _, name := range key {
		switch {
		case t.Column(name) == nil:
			return "", fmt.Errorf("its primary key has the column %q, which the table does not have or no longer has; "+
				"refresh the source's schema, and clear the stream's data", name)
		case !gives(name):
			return "", fmt.Errorf("its primary key has the column %q, which the catalog does not select; select it", name)
		}
	}
	if !deduplicates {
		return "", nil
	}
	var keys []string
	for _, own := range t.Unique {
		if !own.Identifies {
			continue
		}
		if !slices.ContainsFunc(own.Columns, func(column string) bool { return !slices.Contains(key, column) }) {
			return "", nil
		}
		keys = append(keys, "("+strings.Join(own.Columns, ", ")+")")
	}
	if keys != nil {
		return "", fmt.Errorf("the destination deduplicates by (%s), which does not identify the rows of the table: its keys are %s. "+
			"Refresh the source's schema, and clear the stream's data", strings.Join(key, ", "),
			strings.Join(keys, ", "))
	}
	return keylessWarning(key), nil
}
