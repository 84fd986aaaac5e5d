package schema

import (
	"slices"
	"strings"

	"source-planetscale/internal/table"
)

// keyPart is one part of one unique index, as information_schema.statistics describes it.
type keyPart struct {
	index string
	// column is empty for an expression.
	column   string
	nullable bool
	// prefix says that only the column's beginning is indexed.
	prefix bool
}

// indexes splits the parts of a table's unique indexes, which come in the order of index and position, into the indexes.
func indexes(parts []keyPart) [][]keyPart {
	var all [][]keyPart
	for len(parts) > 0 {
		end := slices.IndexFunc(parts, func(p keyPart) bool { return p.index != parts[0].index })
		if end < 0 {
			end = len(parts)
		}
		all = append(all, parts[:end])
		parts = parts[end:]
	}
	return all
}

// isPrimary reports whether an index is the primary key. MySQL gives no other index that name.
func isPrimary(index []keyPart) bool { return index[0].index == "PRIMARY" }

// identifies reports whether the index covers whole columns that are NOT NULL.
func identifies(index []keyPart) bool {
	return !slices.ContainsFunc(index, func(p keyPart) bool { return p.nullable || p.prefix || p.column == "" })
}

// uniqueKeys are the keys of a table's unique indexes, the primary key first.
func uniqueKeys(all [][]keyPart) []table.UniqueKey {
	var keys []table.UniqueKey
	for _, index := range all {
		key := table.UniqueKey{
			Columns:    slices.DeleteFunc(columnNames(index), func(name string) bool { return name == "" }),
			Identifies: isPrimary(index) || identifies(index),
		}
		switch {
		case len(key.Columns) == 0:
		case isPrimary(index):
			keys = slices.Insert(keys, 0, key)
		default:
			keys = append(keys, key)
		}
	}
	return keys
}

// mysqlKey chooses among a table's unique indexes: the primary key, otherwise what Vitess uses in its place (mysqlctl's
// GetPrimaryKeyEquivalentColumns): of the unique keys without nullable columns, the one whose types cost least, and of those the one with
// the fewest columns. Between equals, Vitess leaves the choice to MySQL; here the first by name is used. Keys over expressions or
// prefixes are skipped; Vitess makes no such exception.
func mysqlKey(all [][]keyPart, columns []table.Column) []string {
	var best []string
	var bestCost int
	for _, index := range all {
		if isPrimary(index) {
			return columnNames(index)
		}
		if !identifies(index) {
			continue
		}
		cost := keyCost(index, columns)
		if best == nil || cost < bestCost || cost == bestCost && len(index) < len(best) {
			best, bestCost = columnNames(index), cost
		}
	}
	return best
}

func columnNames(index []keyPart) []string {
	names := make([]string, len(index))
	for i, part := range index {
		names[i] = part.column
	}
	return names
}

func keyCost(index []keyPart, columns []table.Column) int {
	sum := 0
	for _, part := range index {
		for _, column := range columns {
			if column.Name == part.column {
				sum += typeCost(column.Type)
			}
		}
	}
	return sum
}

// typeCosts are Vitess' own, from the statement in GetPrimaryKeyEquivalentColumns.
var typeCosts = map[string]int{
	"enum": 0, "tinyint": 1, "year": 2, "smallint": 3, "date": 4, "mediumint": 5, "time": 6, "int": 7, "set": 8,
	"timestamp": 9, "bigint": 10, "float": 11, "double": 12, "decimal": 13, "datetime": 14, "binary": 30, "char": 31,
	"varbinary": 60, "varchar": 61, "tinyblob": 80, "tinytext": 81,
}

// typeCost takes a COLUMN_TYPE; its first word is the DATA_TYPE that Vitess uses.
func typeCost(columnType string) int {
	if cost, ok := typeCosts[table.ParseType(columnType).Base]; ok {
		return cost
	}
	return 1000
}

// withVindex adds to a key the vindex's columns that it does not contain. Column names are case-insensitive.
func withVindex(key, vindex []string) []string {
	whole := slices.Clone(key)
	for _, column := range vindex {
		if !slices.ContainsFunc(whole, func(k string) bool { return strings.EqualFold(k, column) }) {
			whole = append(whole, column)
		}
	}
	return whole
}

// splitColumns splits the column names that SHOW VSCHEMA VINDEXES joins with ", ". A name may itself contain that, so the text is matched
// against the table's columns, longer names first, and returned in the table's own spelling; nil if they do not account for all of it.
func splitColumns(text string, columns []table.Column) []string {
	most := 0
	for _, c := range columns {
		most += len(c.Name) + len(", ")
	}
	if len(text) > most { // a vindex has a column once
		return nil
	}
	byLength := slices.SortedFunc(slices.Values(columns), func(a, b table.Column) int { return len(b.Name) - len(a.Name) })
	return splitNames(text, byLength, map[int]bool{})
}

// splitNames records in dead the lengths of the remainders that cannot be split: otherwise each remainder would be examined again and
// again when names contain commas.
func splitNames(text string, columns []table.Column, dead map[int]bool) []string {
	if dead[len(text)] {
		return nil
	}
	for _, column := range columns {
		size := len(column.Name)
		if size > len(text) || !strings.EqualFold(text[:size], column.Name) {
			continue
		}
		if size == len(text) {
			return []string{column.Name}
		}
		tail, ok := strings.CutPrefix(text[size:], ", ")
		if !ok {
			continue
		}
		if others := splitNames(tail, columns, dead); others != nil {
			return append([]string{column.Name}, others...)
		}
	}
	dead[len(text)] = true
	return nil
}
