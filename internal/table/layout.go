package table

import "slices"

// Layout is what is known about the columns that a table had at a position: those of the changes after it, until a statement among them
// changes the columns. VStream reads rows of the binary log by position, with the columns that the table has now: rows with other columns
// may arrive under wrong names, without an error. If a Layout is not the stream's, such rows are read with the table's Evolution. Its
// methods are everything that may happen to it; testdata/layout.txt has each of them in each state.
//
// The zero Layout means that the columns at the position are those of the stream (state.Stream.Columns).
type Layout struct {
	// Columns are those at the position if they are known to differ from the stream's; else nil.
	Columns []Column
	// Unknown is set if they are not known, as for a position that the user gave: they are treated as the stream's until a statement
	// changes them.
	Unknown bool
}

// Adopt makes the layout refer to the columns that the table has now, instead of those of the stream that were saved with it.
func (l *Layout) Adopt(now, was []Column) {
	if l.Columns != nil {
		was = l.Columns
	}
	l.Columns = nil
	switch {
	case len(was) == 0: // the former connector's state
		l.Unknown = true
	case !l.Unknown:
		l.Step(was, now)
	}
}

// At are the columns at the position, of a stream with those columns; nil if unknown.
func (l *Layout) At(stream []Column) []Column {
	switch {
	case l.Columns != nil:
		return l.Columns
	case l.Unknown:
		return nil
	}
	return stream
}

// Differs reports whether changes after the position must be read with the table's Evolution.
func (l *Layout) Differs() bool { return l.Columns != nil }

// Reads reports whether rows after the position can be read with the columns that the table has now; unknown columns are treated as the
// stream's.
func (l *Layout) Reads(now, stream []Column) bool {
	if l.Columns != nil {
		return sameRows(now, l.Columns)
	}
	return sameRows(now, stream)
}

// Step handles a change to these columns from here on, by a statement or because the server keeps changes of them waiting. The stream has
// those columns.
func (l *Layout) Step(columns, stream []Column) {
	*l = Layout{}
	if !sameRows(stream, columns) {
		l.Columns = columns
	}
}

// Reach handles reaching the position at which the sync read the stream's columns.
func (l *Layout) Reach() { *l = Layout{} }

// Join returns the layout for changes some of which have one layout and some the other.
func (l Layout) Join(other Layout) Layout {
	if l.Unknown || other.Unknown || !slices.Equal(l.Columns, other.Columns) {
		return Layout{Unknown: true}
	}
	return l
}

// sameRows reports whether rows written with the columns was can be read with the columns now, each column by position: only members were
// added at the end of an ENUM or SET.
func sameRows(now, was []Column) bool { return len(now) == len(was) && Extends(now, was) }
