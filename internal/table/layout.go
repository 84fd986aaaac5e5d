package table

import "slices"

// Layout is what is known of the columns under which the changes after a position were written. VStream reads the rows of the binary
// log with the columns that the table has now, by their place: rows written before a change of columns may so arrive under wrong
// names, without an error. The Layout makes sure that such rows are not given, or that the stream fails before a state covers them.
// What may happen to it are its methods; testdata/layout.txt has each of them in each state.
//
// The zero Layout says that at the position the columns are those of the stream (state.Stream.Columns).
type Layout struct {
	// Columns are the table's in this shard where they are known to be others than the stream's; else nil.
	Columns []Column
	// Stale is set while changes made under other columns than those are to be read.
	Stale bool
	// Assumed says whether the columns of the changes to be read are known.
	Assumed Assumption
	// Had is set while changes are to be read that were made before columns were added at the end: how many of the columns
	// the table had at the position.
	Had int
}

// Assumption is how far the columns of a shard's changes are assumed to be a Layout's, instead of known to be.
type Assumption int

// The assumptions.
const (
	// Known: the columns were these at the position, and no change of them has come since.
	Known Assumption = iota
	// Assumed: a change of columns came, after which they are these unless another one comes; or they were never looked up, as
	// for a position that the user gave.
	Assumed
	// Relied: changes were given on that assumption. Another change of columns shows that they may be wrong.
	Relied
)

// Refusal is why rows of a table cannot be given, or should not have been; "" for no reason.
type Refusal string

// The refusals.
const (
	// OlderColumns: the row was written under other columns than the table's.
	OlderColumns Refusal = "older columns"
	// ReliedOnOthers: rows were given on an assumption that a later change of columns shows to be doubtful.
	ReliedOnOthers Refusal = "relied on others"
	// ChangedMeanwhile: the columns were changed while rows made before were given.
	ChangedMeanwhile Refusal = "changed meanwhile"
)

// Adopt makes the layout one that refers to the columns that the table has now, instead of those of the stream that were
// saved with it. What was written under others is stale, unless those of now only extend them.
func (l *Layout) Adopt(now, was []Column) {
	if l.Columns != nil {
		was = l.Columns
	}
	l.Columns = nil
	switch {
	case !Extends(now, was):
		l.Stale, l.Had = true, 0
	case len(was) == 0: // the former connector's state
		l.Assumed = max(l.Assumed, Assumed)
	case len(was) < len(now) && l.Had == 0:
		l.Had = len(was)
	}
}

// Give is a row of the binary log that is to be given.
func (l *Layout) Give() Refusal {
	switch {
	case l.Stale:
		return OlderColumns
	case l.Assumed == Assumed:
		l.Assumed = Relied
	}
	return ""
}

// Alter is a statement that may have changed the columns: they may be today's from here on. Rows between two such changes are
// neither the old columns' nor today's. So are rows between the addition of a column and such a change, which may have removed it
// again.
func (l *Layout) Alter() Refusal {
	if l.Assumed == Relied {
		return ReliedOnOthers
	}
	l.Stale, l.Assumed = false, Assumed
	return ""
}

// Extend is a statement that only added columns at the end.
func (l *Layout) Extend() { l.Assumed = max(l.Assumed, Assumed) }

// Look is that the table was looked up and has the columns now; stream are the stream's columns, and given says that rows of the
// binary log were given since the last look.
func (l *Layout) Look(now, stream []Column, given bool) Refusal {
	was := stream
	if l.Columns != nil {
		was = l.Columns
	}
	if Extends(now, was) {
		return ""
	}
	if given {
		return ChangedMeanwhile
	}
	l.Stale, l.Had, l.Columns = true, 0, own(now, stream)
	return ""
}

// Snapshot is that the table was looked up while the server keeps changes of its columns waiting: what is copied has them.
func (l *Layout) Snapshot(now, stream []Column, given bool) Refusal {
	if refusal := l.Look(now, stream, given); refusal != "" {
		return refusal
	}
	*l = Layout{Columns: own(now, stream)}
	return ""
}

// own are the columns where they are not the stream's.
func own(now, stream []Column) []Column {
	if len(now) == len(stream) && Extends(now, stream) {
		return nil
	}
	return now
}

// Reach is that the position was reached at which the sync looked the stream's columns up.
func (l *Layout) Reach() { *l = Layout{} }

// Join returns the layout of changes of which some are of the one layout and some of the other.
func (l Layout) Join(other Layout) Layout {
	joined := Layout{Columns: l.Columns, Stale: l.Stale || other.Stale, Assumed: max(l.Assumed, other.Assumed), Had: max(l.Had, other.Had)}
	if !slices.Equal(l.Columns, other.Columns) {
		joined.Stale = true
	}
	return joined
}
