// Package table holds what is known about a table without querying a server: its columns, its keys, what a column's declaration means,
// the effect of a DDL statement, and whether rows written with some columns can be read with others. It does no I/O.
package table

import "slices"

// Table is one base table of a keyspace.
type Table struct {
	Name string
	// Columns in ordinal order, including generated and invisible ones.
	Columns []Column
	// Key holds the columns that distinguish the rows of the keyspace: MySQLKey, followed in a sharded keyspace by the primary vindex's
	// columns not already in it, since MySQL's keys are unique per shard only. Nil if MySQLKey is.
	Key []string
	// MySQLKey is the primary key in key order; without one, the columns of the unique key over NOT NULL columns that Vitess uses in its
	// place (vstreamer's mapPKEquivalentCols); nil without such a key. VStream copies a table in the order of this key and resumes by it;
	// a table without one is copied and resumed by all its columns.
	MySQLKey []string
	// Unique are all unique indexes that have columns, the primary key first, then by name.
	Unique []UniqueKey
}

// UniqueKey is a unique index of a table.
type UniqueKey struct {
	// Columns in key order, including those of which only a prefix is indexed, but not expressions.
	Columns []string
	// Identifies is set if the columns are a key that distinguishes rows: those of the primary key, or NOT NULL and indexed as a whole.
	Identifies bool
}

// InUniqueKey reports whether a column is part of a unique index.
func (t *Table) InUniqueKey(column string) bool {
	return slices.ContainsFunc(t.Unique, func(k UniqueKey) bool { return slices.Contains(k.Columns, column) })
}

// Column is one column as information_schema.columns describes it.
type Column struct {
	Name string
	// Type is COLUMN_TYPE, e.g. "bigint unsigned zerofill", "enum('a','b')", "datetime(6)".
	Type string
	// Nullable is IS_NULLABLE.
	Nullable bool
	// Charset is CHARACTER_SET_NAME, in its canonical spelling, e.g. "utf8mb4", "latin1", "binary"; empty for types without one. MySQL
	// reports no character set for binary types. A `_bin` collation does not change it.
	Charset string
}

// Column returns the column of that name, or nil.
func (t *Table) Column(name string) *Column {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i]
		}
	}
	return nil
}

// SameRows reports whether two tables have the same rows to read: other unique indexes make no difference.
func (t *Table) SameRows(other *Table) bool {
	return slices.Equal(t.Columns, other.Columns) && slices.Equal(t.MySQLKey, other.MySQLKey)
}
