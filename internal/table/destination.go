package table

import (
	"fmt"
	"slices"
	"strings"
)

// CheckKey compares the key by which a destination identifies rows with the table; the key is given without columns that are not the
// table's own by design. gives reports whether records have a column. deduplicates reports that the destination keeps one row per key:
// then the key must contain all columns of one of MySQL's keys. What a sharded keyspace adds to distinguish shards is not required. The
// warning is about the key of a table that has none itself.
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
