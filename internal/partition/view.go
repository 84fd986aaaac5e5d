package partition

import (
	"slices"

	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/table"
)

// View is what a partition's reader knows of the table where it is.
type View struct {
	stream *Stream
	shard  gtid.Shard
	// Table is the table as it was last looked up, with the stream's key.
	Table *table.Table
	// layout is that of the changes from where the reader is, and reached, in a copy, that at the last boundary.
	layout, reached table.Layout
	given           bool // a row of the binary log was given since the columns were last looked up
}

// Bound notes that a copy's reader reached a boundary.
func (v *View) Bound() { v.reached = v.layout }

// Rewind forgets what a broken copy's stream has shown of the columns since its last boundary.
func (v *View) Rewind() { v.layout = v.reached }

// ReplaysFewerColumns reports whether the changes to be read begin before columns were added.
func (v *View) ReplaysFewerColumns() bool { return v.layout.Had > 0 }

// Give is a row of the binary log that is to be given.
func (v *View) Give() error {
	if refusal := v.layout.Give(); refusal != "" {
		return v.refuse(refusal)
	}
	v.given = true
	return nil
}

// Given reports whether rows of the binary log were given since the columns were last looked up.
func (v *View) Given() bool { return v.given }

// Alter is a statement that may have changed the table's columns.
func (v *View) Alter() error { return v.refuse(v.layout.Alter()) }

// Extend is a statement that only added columns at the end.
func (v *View) Extend() { v.layout.Extend() }

// Look is that the table was looked up. At a snapshot, which the server reads, it has the columns that it has now: until the server
// has read all of it, changes of columns wait. Rows that were read while its columns were changed may be under wrong names, and so may
// those that were written before, if they are still to be read.
func (v *View) Look(now table.Table, snapshot bool) error {
	look := v.layout.Look
	if snapshot {
		look = v.layout.Snapshot
	}
	if refusal := look(now.Columns, v.stream.state.Columns, v.given); refusal != "" {
		return v.refuse(refusal)
	}
	v.given = false
	now.Key = v.stream.Table.Key
	v.Table = &now
	return nil
}

// Selected are the columns that a copy selects: those to give and those of the key, by which it can be resumed.
func (v *View) Selected() []string {
	selected := slices.Clone(v.stream.Columns)
	for _, c := range v.stream.Table.Key {
		if !slices.Contains(selected, c) {
			selected = append(selected, c)
		}
	}
	return v.Has(selected)
}

// Has are those of the columns that the table has now. A copy leaves out what was dropped before it began: the server does not
// open a stream that names such a column.
func (v *View) Has(columns []string) []string {
	return slices.DeleteFunc(slices.Clone(columns), func(name string) bool { return v.Table.Column(name) == nil })
}

// Describes reports whether the fields of a row are the table's columns in their order, but for some at the end.
func (v *View) Describes(fields []*querypb.Field) bool {
	if len(fields) > len(v.Table.Columns) {
		return false
	}
	for i, f := range fields {
		if f.Name != v.Table.Columns[i].Name {
			return false
		}
	}
	return true
}

// DescribesTypes reports whether the fields' declarations, where they have some, are those of the table's columns of the same names.
func (v *View) DescribesTypes(fields []*querypb.Field) bool {
	return !slices.ContainsFunc(fields, func(f *querypb.Field) bool {
		c := v.Table.Column(f.Name)
		return c == nil || f.ColumnType != "" && f.ColumnType != c.Type
	})
}

// Replayed are the columns to give of changes whose rows have these fields: without the ones that were added at the table's end after
// the rows were written. Without such an addition, or at least the chance of one, a missing column is an error.
func (v *View) Replayed(fields []*querypb.Field) []string {
	all, had := v.stream.Columns, v.layout.Had
	if had == 0 && v.layout.Assumed == table.Known || len(fields) < had || len(fields) > len(v.Table.Columns) {
		return all
	}
	var columns []string
	for i, f := range fields {
		if f.Name != v.Table.Columns[i].Name {
			return all
		}
		if slices.Contains(all, f.Name) {
			columns = append(columns, f.Name)
		}
	}
	if columns == nil {
		return all
	}
	return columns
}

const refresh = "refresh the source's schema and clear the stream's data"

// refuse is the verdict on a refusal, nil for none.
func (v *View) refuse(r table.Refusal) error {
	d, shard := v.stream.Descriptor, v.shard.Name
	var f *failure.Verdict
	switch r {
	case table.OlderColumns:
		f = failure.Config(refresh, "The columns of %s were changed, and rows that were changed before that are still to be read from shard %s, which the server would give under wrong names", d, shard)
	case table.ReliedOnOthers:
		f = failure.Config(refresh, "The columns of %s were changed, and the rows read from shard %s before that may have been written under yet other columns, and stand under wrong names", d, shard)
	case table.ChangedMeanwhile:
		f = failure.Config(refresh, "The columns of %s were changed while changes made before that were read from shard %s, which may stand under wrong names", d, shard)
	default:
		return nil
	}
	return f.Of(v.stream.Table.Name)
}
