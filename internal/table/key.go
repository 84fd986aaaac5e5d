package table

import (
	"slices"

	querypb "vitess.io/vitess/go/vt/proto/query"
)

// Key is the key of a table, and what it can be used for.
type Key struct {
	// Columns are those by which VStream copies the table and resumes a copy: MySQL's key, in its order, or all columns of a table
	// without one.
	Columns []string
	// Identifies reports that no two rows share the key's values. Only a primary key or a unique key without NULLs guarantees that.
	Identifies bool
	// Ordered reports that the server's `key > literal`, by which it resumes, orders the values as the copy does.
	Ordered bool
}

// KeyOf returns the key of a table.
func KeyOf(t *Table) Key {
	k := Key{Columns: t.MySQLKey, Identifies: t.MySQLKey != nil}
	if !k.Identifies {
		for _, c := range t.Columns {
			k.Columns = append(k.Columns, c.Name)
		}
	}
	k.Ordered = len(k.Columns) > 0 && !slices.ContainsFunc(k.Columns, func(name string) bool { return !ordered(t.Column(name)) })
	return k
}

// Resumable reports whether a copy can resume after a value of the key. If the key does not identify a row, rows equal to the last one
// copied would be skipped; if it is not ordered, any rows.
func (k Key) Resumable() bool { return k.Identifies && k.Ordered }

// WhyNot says why a copy cannot resume after a value of the key, as the end of a sentence.
func (k Key) WhyNot() string {
	switch {
	case !k.Identifies:
		return "the table has neither a primary key nor a unique key without NULLs"
	case !k.Ordered:
		return "its key has a column whose values the server compares differently than it sorts them (ENUM, SET, FLOAT, DOUBLE, BIT)"
	}
	return "it has not reached a key yet"
}

// Resumes reports whether the server can resume after that key, as VStream sent it; nil for none yet. The server interprets its values by
// position, as those of the key that the table has now.
func (k Key) Resumes(last *querypb.QueryResult) bool {
	return k.Resumable() && last != nil && slices.EqualFunc(last.Fields, k.Columns, func(f *querypb.Field,
		name string,
	) bool {
		return f.Name == name
	})
}

// orderedTypes are the types whose values the server's `key > literal` orders as the copy does. Not among them, because on Vitess 24 they
// were seen to end a resumed copy at once with rows missing: ENUM and SET (compared as text, ordered as numbers) and FLOAT and DOUBLE
// (compared with a text that does not represent their value).
var orderedTypes = []string{
	"tinyint", "smallint", "mediumint", "int", "bigint", "year", "decimal",
	"date", "datetime", "timestamp", "time",
	"char", "varchar", "tinytext", "text", "mediumtext", "longtext",
	"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob",
}

func ordered(c *Column) bool {
	return c != nil && !c.Nullable && slices.Contains(orderedTypes, ParseType(c.Type).Base)
}

// Describe completes a key's value with what a FIELD event says about its columns: their declarations and collations, by which a change
// of them is recognized later. The value's own description lacks lengths and digits, and on older servers collations.
func Describe(last *querypb.QueryResult, fields []*querypb.Field) *querypb.QueryResult {
	for _, c := range last.GetFields() {
		for _, f := range fields {
			if f.Name == c.Name {
				c.ColumnType, c.Charset = f.ColumnType, f.Charset
			}
		}
	}
	return last
}

// SameColumns reports whether the columns of two keys are the same, in the same order.
func SameColumns(was, now *querypb.QueryResult) bool {
	return slices.EqualFunc(was.Fields, now.Fields, sameColumn)
}

// StillDescribes reports whether the columns of a key are unchanged, as far as they are among those described now.
func StillDescribes(was *querypb.QueryResult, now []*querypb.Field) bool {
	return !slices.ContainsFunc(was.Fields, func(c *querypb.Field) bool {
		return slices.ContainsFunc(now, func(f *querypb.Field) bool { return f.Name == c.Name && !sameColumn(c, f) })
	})
}

// sameColumn reports whether a key's column is unchanged. Otherwise its values may have changed without an event, or be in another order
// ('7' > '50', but 7 < 50), and rows that were not copied yet may come before the key. Charset is the number of the column's collation.
// If the key was not described, its type covers most of that.
func sameColumn(was, now *querypb.Field) bool {
	if was.ColumnType != "" && now.ColumnType != "" {
		return was.Name == now.Name && was.ColumnType == now.ColumnType && was.Charset == now.Charset
	}
	return was.Name == now.Name && was.Type == now.Type && (was.Charset == 0 || was.Charset == now.Charset)
}
