package source

import (
	"slices"

	"source-planetscale/internal/table"

	querypb "vitess.io/vitess/go/vt/proto/query"
)

// comparableTypes are the types whose values the server's `key > literal` orders as the copy does. Not among them, seen on
// Vitess 24 to end a resumed copy at once with rows missing: ENUM and SET (compared as text, ordered as numbers) and FLOAT
// and DOUBLE (compared with a text that does not hold their value).
var comparableTypes = []string{
	"tinyint", "smallint", "mediumint", "int", "bigint", "year", "decimal",
	"date", "datetime", "timestamp", "time",
	"char", "varchar", "tinytext", "text", "mediumtext", "longtext",
	"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob",
}

// comparable tells whether the server can go on with a copy of the table after this key, as VStream gives it: nil if there
// is none yet, all columns of a table without one. The server takes a key's values by their place for those of the key that
// the table has now.
func comparable(t *table.Table, key *querypb.QueryResult) bool {
	now := t.MySQLKey
	if now == nil {
		for _, c := range t.Columns {
			now = append(now, c.Name)
		}
	}
	return key != nil && slices.Equal(keyColumns(key), now) && comparableColumns(t, now)
}

// resumable tells whether the server can go on with the reader's copy where it stands.
func (r *reader) resumable() bool { return comparable(r.tables[r.names[0]].table, r.key) }

// describe completes a key by what a FIELD event says of its columns: their declarations and collations, by which a change of
// them is told later. A key's own description lacks lengths and digits, and that of older servers collations.
func describe(key *querypb.QueryResult, fields []*querypb.Field) *querypb.QueryResult {
	for _, c := range key.GetFields() {
		for _, f := range fields {
			if f.Name == c.Name {
				c.ColumnType, c.Charset = f.ColumnType, f.Charset
			}
		}
	}
	return key
}

// sameColumn tells whether a key's column is what it was. Else its values may have changed without an event, or stand in another
// order ('7' > '50', but 7 < 50), and rows that were not copied yet may come before the key. Charset is the number of the
// column's collation. Where the key was not described, its type says most of it.
func sameColumn(was, now *querypb.Field) bool {
	if was.ColumnType != "" && now.ColumnType != "" {
		return was.Name == now.Name && was.ColumnType == now.ColumnType && was.Charset == now.Charset
	}
	return was.Name == now.Name && was.Type == now.Type && (was.Charset == 0 || was.Charset == now.Charset)
}

// sameColumns tells whether a key's columns are what they were, as far as they are among those described now.
func sameColumns(key *querypb.QueryResult, now []*querypb.Field) bool {
	return !slices.ContainsFunc(key.Fields, func(was *querypb.Field) bool {
		return slices.ContainsFunc(now, func(f *querypb.Field) bool { return f.Name == was.Name && !sameColumn(was, f) })
	})
}

func keyColumns(key *querypb.QueryResult) []string {
	columns := make([]string, len(key.Fields))
	for i, f := range key.Fields {
		columns[i] = f.Name
	}
	return columns
}

func comparableColumns(t *table.Table, columns []string) bool {
	for _, name := range columns {
		c := t.Column(name)
		if c == nil || c.Nullable {
			return false
		}
		if !slices.Contains(comparableTypes, table.ParseType(c.Type).Base) {
			return false
		}
	}
	return len(columns) > 0
}
