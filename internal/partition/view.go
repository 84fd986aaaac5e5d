package partition

import (
	"slices"

	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/table"
)

// View is what a partition's reader knows about the table at its position.
type View struct {
	stream *Stream
	shard  gtid.Shard
	// Table is the table as last queried, with the stream's key.
	Table *table.Table
	// layout is that of the changes from the reader's position on, and reached, in a copy, that at the last boundary.
	layout, reached table.Layout
	others          bool // the table was seen with other columns than those of the next changes
	given           bool // a row of the binary log was sent since the columns were last queried
}

// Bound records that a reader reached a boundary.
func (v *View) Bound() { v.reached = v.layout }

// Rewind discards what a broken stream has shown of the columns since its last boundary.
func (v *View) Rewind() { v.layout, v.others = v.reached, false }

// Columns are those of the changes to be read; nil if unknown.
func (v *View) Columns() []table.Column { return v.layout.At(v.stream.state.Columns) }

// Give records a row of the binary log that is to be sent as the server describes it; false if it may have other columns.
func (v *View) Give() bool {
	if v.others {
		return false
	}
	v.given = true
	return true
}

// Given reports whether rows of the binary log were sent since the columns were last queried.
func (v *View) Given() bool { return v.given }

// Forgive forgets that rows of the binary log were sent: they are sent again.
func (v *View) Forgive() { v.given = false }

// Step handles a statement that left the table with these columns, or did not change them.
func (v *View) Step(columns []table.Column) { v.layout.Step(columns, v.stream.state.Columns) }

// Look handles a query of the table. Rows that were sent while its columns were changed may have been under wrong names: then it returns
// false.
func (v *View) Look(now table.Table) bool {
	v.others = !v.layout.Reads(now.Columns, v.stream.state.Columns)
	if v.others && v.given {
		return false
	}
	v.given = false
	v.see(now)
	return true
}

// Snapshot handles a query of the table whose columns are those of a copy's snapshot.
func (v *View) Snapshot(now table.Table) bool {
	if !v.Look(now) {
		return false
	}
	v.others = false
	v.Step(now.Columns)
	return true
}

func (v *View) see(now table.Table) {
	now.Key = v.stream.Table.Key
	v.Table = &now
}

// MovesKey reports whether columns of the key are different, or at different positions, in those columns than in those that the changes
// have: a record of such a row would be one of a row that does not exist.
func (v *View) MovesKey(now []table.Column) bool {
	was := v.Columns()
	return slices.ContainsFunc(v.stream.Table.Key, func(name string) bool {
		at := slices.IndexFunc(was, func(c table.Column) bool { return c.Name == name })
		return at < 0 || at >= len(now) || now[at].Name != name || !table.Alike(now[at], was[at])
	})
}

// Selected are the columns that a copy selects: those to send and those of the key, by which it can be resumed.
func (v *View) Selected() []string {
	selected := slices.Clone(v.stream.Columns)
	for _, c := range v.stream.Table.Key {
		if !slices.Contains(selected, c) {
			selected = append(selected, c)
		}
	}
	return v.Has(selected)
}

// Has are those of the columns that the table has now. A copy leaves out what was dropped before it began: the server does not open a
// stream that names such a column.
func (v *View) Has(columns []string) []string {
	return slices.DeleteFunc(slices.Clone(columns), func(name string) bool { return v.Table.Column(name) == nil })
}

// Describes reports whether the fields of a row are the table's columns in order.
func (v *View) Describes(fields []*querypb.Field) bool {
	return slices.EqualFunc(fields, v.Table.Columns, func(f *querypb.Field, c table.Column) bool { return f.Name == c.Name })
}

// DescribesTypes reports whether the fields' declarations, where they have some, are those of the table's columns of the same names.
func (v *View) DescribesTypes(fields []*querypb.Field) bool {
	return !slices.ContainsFunc(fields, func(f *querypb.Field) bool {
		c := v.Table.Column(f.Name)
		return c == nil || f.ColumnType != "" && f.ColumnType != c.Type
	})
}
