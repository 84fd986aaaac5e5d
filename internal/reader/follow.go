package reader

import (
	"context"
	"errors"
	"maps"
	"slices"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"

	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/row"
	"source-planetscale/internal/table"
	"source-planetscale/internal/vstream"
)

// Rows of a table whose columns were changed are read twice: a Scout finds out how the statements since the saved position changed the
// columns, and Follow sends the rows, each read with the columns that it was written with.

// changes are the statements that may have changed a table's columns between a position and the one to read up to.
type changes struct {
	// evolution is the effect of the statements, once all are known and lead to today's columns.
	evolution  *table.Evolution
	was        []table.Column // at the saved position; nil if unknown
	definition string         // today's SHOW CREATE TABLE, "" if unknown
	statements []statement
	// now is how many of them the reader has passed, and bound how many it had passed at the last boundary.
	now, bound int
	// written are the numbers of statements after which a Scout has met a row: rows that do not exist need not be readable.
	written map[int]bool
	// moved is where the shards that replaced this one continue, if it was read to its journal.
	moved map[gtid.Shard]gtid.Position
}

// statement is one that may have changed the columns.
type statement struct {
	text    string
	extends bool            // it added columns at the end, or none
	swapped string          // the table's copy that replaced it, "" for none
	made    table.OnlineDDL // how the copy was made, if Vitess made it
	step    int             // how many have changed the columns, including this one
}

// alone is a reader of one partition, from its saved position; former reports that its shard was split or merged.
func alone(env *Env, p *partition.Partition, isFormer bool) *Reader {
	r := newReader(env, p.Shard)
	at, layout := p.Saved().Replay()
	p.Read(gtid.Position{}, layout)
	r.tables.add(p)
	r.at = at
	if isFormer {
		r.former = &former{}
	}
	return r
}

// Scout finds out how a table's columns were changed between its saved position and the target. It sends no rows. definition is SHOW
// CREATE TABLE, "" if it may not be queried; isFormer reports that the shard was split or merged.
func Scout(env *Env, p *partition.Partition, definition string, isFormer bool) *Reader {
	r := alone(env, p, isFormer)
	r.scouted = &changes{was: p.Columns(), definition: definition, written: map[int]bool{}}
	return r
}

// ScoutOn continues the work of a Scout that has read its shard up to the journal, in a shard that replaced it, from where that one
// continues.
func ScoutOn(env *Env, scout *Reader, shard gtid.Shard, at gtid.Position, isFormer bool) *Reader {
	r := newReader(env, shard)
	r.tables.add(scout.tables.only().Partition)
	r.at, r.scouted = at, scout.scouted
	r.scouted.moved = nil
	if isFormer {
		r.former = &former{}
	}
	return r
}

// Moved is where the shards that replaced a Scout's continue.
func (p path) Moved() map[gtid.Shard]gtid.Position { return p.scouted.moved }

// Follow sends the changes of a table for which a Scout has found out how its columns were changed.
func Follow(env *Env, p *partition.Partition, scout *Reader, isFormer bool) *Reader {
	r := alone(env, p, isFormer)
	c := *scout.scouted
	c.now, c.bound = 0, 0
	r.followed = &c
	return r
}

// step is how many changes of the columns the reader has passed.
func (c *changes) step() int { return c.stepAfter(c.now) }

// stepAfter is how many of the first n statements have changed the columns.
func (c *changes) stepAfter(n int) int {
	if n == 0 {
		return 0
	}
	return c.statements[n-1].step
}

// note records a statement that a Scout meets. The statement of an online DDL is not in the binary log, but Vitess knows it.
func (c *changes) note(ctx context.Context, r *Reader, s statement) error {
	if uuid := table.Migration(s.swapped); uuid != "" {
		var err error
		if s.made, err = r.env.Migration(ctx, r.shard, uuid); err != nil {
			return err
		}
	}
	// Without what a broken stream had sent after its last boundary.
	c.statements = append(c.statements[:c.now], s)
	maps.DeleteFunc(c.written, func(n int, _ bool) bool { return n > c.now })
	c.now++
	return nil
}

// meet handles a statement that arrives along with the rows.
func (c *changes) meet(text string) error {
	if c.now == len(c.statements) || c.statements[c.now].text != text {
		return errors.New("the statements that changed its columns are not the same as a moment ago")
	}
	c.now++
	return nil
}

// end checks, once a Scout has met all statements, that they lead to today's columns, and that the rows between them are readable.
func (c *changes) end(r *Reader) error {
	t := r.tables.only()
	err := c.evolve(t)
	if c.evolution != nil && c.was != nil { // also if rows are not readable: a new copy would leave those with the former keys
		if err := replaced(t, row.Replaced(c.evolution.Shape(0), t.Stream.IdentifiedBy())); err != nil {
			return err
		}
	}
	switch {
	case err == nil:
		return nil
	case r.former == nil && !r.env.Targets.Sure(r.shard):
		return failure.Transient("try again when the change is done", "The columns that %s has in shard %s at the end of this sync cannot be determined: %s",
			t.Stream.Descriptor, t.Shard.Name, err).Because(err).Of(t.Name())
	}
	return unknowable(t, err)
}

// evolve computes the effect of the statements.
func (c *changes) evolve(t *tableReader) error {
	if c.was != nil {
		return c.evolveFrom(t, c.was)
	}
	// The table's columns at that point are unknown. If columns were only added at its end, it had the ones before them.
	today := t.Stream.Table.Columns
	for n := len(today) - 1; n > 0 && !slices.ContainsFunc(c.statements, func(s statement) bool { return !s.extends }); n-- {
		if c.evolveFrom(t, today[:n]) == nil {
			return nil
		}
	}
	return errors.New("which columns it had at the saved position is not known")
}

func (c *changes) evolveFrom(t *tableReader, was []table.Column) error {
	today := t.Stream.Table.Columns
	e := table.NewEvolution(t.Name(), was)
	if err := c.apply(e, today); err != nil {
		return err
	}
	if err := e.End(today, c.definition); err != nil {
		return err
	}
	c.evolution = e
	for _, n := range slices.Sorted(maps.Keys(c.written)) {
		step := c.stepAfter(n)
		if step == e.Step() {
			break // rows from here on have today's columns
		}
		if err := row.CheckOlder(t.Stream.Table, e.Shape(step), t.Stream.Columns, t.Stream.Records.Types); err != nil {
			return err
		}
	}
	return nil
}

func (c *changes) apply(e *table.Evolution, today []table.Column) (err error) {
	for i := range c.statements {
		s := &c.statements[i]
		if s.swapped != "" {
			_, err = e.Swap(s.swapped, c.madeBy(s.swapped), today, c.definition)
		} else {
			_, err = e.Apply(s.text)
		}
		if err != nil {
			return err
		}
		s.step = e.Step()
	}
	return nil
}

// madeBy is the statement that made a copy, "" if unknown. A revert swaps in the former table under the copy's name: unless all swaps are
// among the statements, it is not known whether the first of these is one.
func (c *changes) madeBy(copied string) string {
	var made table.OnlineDDL
	swaps := 0
	for _, s := range c.statements {
		if s.swapped == copied {
			made = s.made
			swaps++
		}
	}
	if swaps != made.Swaps {
		return ""
	}
	return made.Statement
}

// columns are those of the rows that come next.
func (c *changes) columns() []table.Column { return c.evolution.Shape(c.step()).Old }

// compile prepares for rows as they were written at the reader's position.
func (c *changes) compile(t *tableReader, f *binlogdatapb.FieldEvent) (*row.Plan, error) {
	shape := c.evolution.Shape(c.step())
	if shape.Current() && t.Describes(f.Fields) && t.DescribesTypes(f.Fields) {
		return row.Compile(t.Stream.Table, f, t.Stream.Columns, row.Replicate, t.Stream.Records.Types)
	}
	return row.CompileOlder(t.Stream.Table, shape, f, t.Stream.Columns, t.Stream.Records.Types)
}

// replaced is the error for a stream that its destination deduplicates by a column, "" for none, in which the table's rows got other
// values than they were sent with: changes of those rows would not find them.
func replaced(t *tableReader, column string) error {
	if column == "" {
		return nil
	}
	return failure.Config("clear the stream's data and sync again",
		"Stream %s cannot be continued: the column %q of its primary key got other values in shard %s, because it was dropped and added again, renamed or converted, and rows already in the destination have the former ones",
		t.Stream.Descriptor, column, t.Shard.Name).Of(t.Name())
}

// replacedInCopy is the same for a copy, which starts over after the statement, once it has sent rows. Whether they were converted shows
// in the next sync.
func replacedInCopy(ctx context.Context, r *Reader, t *tableReader, by statement) error {
	if r.copying.key == nil && t.Origin.Count().Copied == 0 {
		return nil
	}
	var c changes
	if err := c.note(ctx, r, by); err != nil {
		return err
	}
	e := table.NewEvolution(t.Name(), t.Columns())
	if err := c.apply(e, t.Table.Columns); err != nil {
		return nil //nolint:nilerr // it is not known to be replaced
	}
	return replaced(t, e.Shape(0).Replaced(t.Stream.IdentifiedBy()))
}

// path is what is known about the changes of columns along a reader's way.
type path struct {
	// scouted are those that a Scout finds, followed those that Follow follows; else nil.
	scouted, followed *changes
}

// known reports whether the columns are known from the statements.
func (p path) known() bool { return p.scouted != nil || p.followed != nil }

// rewind begins again at the last boundary.
func (p path) rewind() {
	for _, c := range []*changes{p.scouted, p.followed} {
		if c != nil {
			c.now = c.bound
		}
	}
}

// bind records that a boundary was reached.
func (p path) bind() {
	for _, c := range []*changes{p.scouted, p.followed} {
		if c != nil {
			c.bound = c.now
		}
	}
}

// unreadable is the reason why older rows that arrived anyway, or that the server cannot send, cannot be read; nil for another error.
func (p path) unreadable(err error) error {
	value := new(row.Unconvertible)
	switch {
	case p.followed != nil && errors.As(err, &value):
		return value
	case p.known() && vstream.IsUnlabelled(err):
		return errors.New("it has an ENUM or SET column, and Vitess cannot send older rows of such a table once its columns have changed")
	}
	return nil
}

// unknowable is the verdict on a table with rows that were written with columns which cannot be derived from today's.
func unknowable(t *tableReader, err error) *failure.Verdict {
	return failure.Config("refresh the source's schema and clear the stream's data, or set "+failure.Option("If changes since the last sync cannot be read", "invalid_cdc_cursor_position_behavior")+
		" to \"Re-sync data\"",
		"The columns of %s were changed since the last sync, and row changes made before that in shard %s cannot be read: %s",
		t.Stream.Descriptor, t.Shard.Name, err).Because(err).Do(failure.Resync).Of(t.Name())
}

// apart ends the table's part in the reader, since further rows may have other columns than today's: it is read again by itself, from its
// saved position. A copy starts over.
func apart(r *Reader, t *tableReader) error {
	if r.copying != nil {
		t.Forgive()
		r.copying.key, r.copying.altered = nil, true
		return failure.Transient("", "The columns of %s were changed in shard %s while it was copied", t.Stream.Descriptor, t.Shard.Name).Do(failure.Restart)
	}
	return failure.Transient("", "The columns of %s were changed in shard %s while it was read", t.Stream.Descriptor, t.Shard.Name).
		Do(failure.Follow).Of(t.Name())
}

// misread handles rows that were sent while the columns were changed, possibly under wrong names. They are sent again, and replace those,
// unless the key itself is wrong.
func misread(r *Reader, t *tableReader, now table.Table) error {
	if t.MovesKey(now.Columns) {
		return failure.Config("refresh the source's schema and clear the stream's data",
			"The columns of %s were changed while earlier row changes were being read from shard %s, and those may have been written with wrong keys",
			t.Stream.Descriptor, t.Shard.Name).Of(t.Name())
	}
	return apart(r, t)
}
