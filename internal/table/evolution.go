package table

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"vitess.io/vitess/go/vt/sqlparser"
)

// Evolution tracks a table's columns, statement by statement, from those that a state knows to today's.
type Evolution struct {
	name    string
	now     []*life
	stages  [][]*life // by step, the columns after it
	charset string    // the table's default, UnknownCharset at first
	// inferred reports that an online DDL's statement was unknown, so that the columns after it were assumed to be today's.
	inferred bool
	guessed  bool                                   // a column of the inferred ones was given today's default
	made     map[string]*sqlparser.ColumnDefinition // today's declarations by lower-case name; nil if unknown
	byNow    string                                 // today's default character set, "" if unknown
	retired  map[string]retired                     // by the copy's name, the tables that Vitess' online DDLs replaced
}

// life is one column, whatever its names and declarations.
type life struct {
	declared []declared
	initial  Default  // of an added column
	refused  string   // why the value it was added with is unknown
	unsure   *Default // the reason if the server read the text of the statement as it was read here
	doubtful int      // the step at which its values may have been created anew; 0 for none
	// redeclared is the step at which it was last declared anew, as a generated column maybe; 0 for none.
	redeclared int
	// twin is the same column in the table's copy, and before the step parted both are one; nil if its table was not replaced.
	twin     *life
	parted   int
	revivals []revival
}

// declared is a declaration from a certain step on.
type declared struct {
	Declaration
	step   int
	stated bool // Nullable is set: it need not be, and a column of the primary key is not nullable then
}

func (l *life) last() *declared { return &l.declared[len(l.declared)-1] }

// at is the index of the declaration that was in force after a step.
func (l *life) at(step int) int {
	i := len(l.declared) - 1
	for i > 0 && l.declared[i].step > step {
		i--
	}
	return i
}

// NewEvolution begins with the columns that the table had at a position: names, types or their digests, and character sets, as stored in
// a state. Whether they were nullable need not be known.
func NewEvolution(name string, was []Column) *Evolution {
	e := &Evolution{name: name, charset: UnknownCharset}
	for _, c := range was {
		c.Nullable = true
		e.now = append(e.now, &life{declared: []declared{{Declaration: Declaration{Column: c}}}})
	}
	e.stages = [][]*life{slices.Clone(e.now)}
	return e
}

// Step is how many of the statements so far changed the columns.
func (e *Evolution) Step() int { return len(e.stages) - 1 }

// Apply applies a DDL statement from the binary log that, according to ParseDDL, concerns the table. Rows after one that changed the
// columns have other columns than rows before. The error is a part of a sentence that says why the columns after it cannot be known; the
// Evolution is unusable then. The same error is returned for a statement that removes the table's rows. For a copy of the table that
// replaces it, use Swap.
func (e *Evolution) Apply(statement string) (changed bool, err error) {
	parser, err := ddlParser()
	if err != nil {
		return false, err
	}
	parsed, unknown := parser.Parse(executed(statement[:min(len(statement), maxStatement)]))
	if unknown != nil || len(statement) > maxStatement {
		return false, errors.New("a statement that may have changed its columns is not understood by Vitess' parser")
	}
	s, ok := parsed.(*sqlparser.AlterTable)
	if !ok || s.Table.Name.String() != e.name || len(tableNames(s.AffectedTables())) > 1 {
		return false, errors.New("it was renamed, emptied or recreated, or another table took its place")
	}
	return e.alter(s, statement, false)
}

// Swap handles the moment at which a copy of the table that an online DDL had filled replaced it, or at which a revert of the online DDL
// made both change places again. alter is the online DDL's own statement, "" if unknown: then the columns after it are today's, if that is
// certain. create is today's SHOW CREATE TABLE of the table, "" if unknown. The error is like Apply's.
func (e *Evolution) Swap(copied, alter string, today []Column, create string) (changed bool, err error) {
	if err := e.make(create); err != nil {
		return false, err
	}
	if r, again := e.retired[copied]; again {
		if e.inferred != r.inferred {
			return false, errUnknownSwaps
		}
		e.revive(copied)
		return true, nil
	}
	isVitess := Migration(copied) != ""
	if isVitess {
		e.retire(copied)
	}
	if alter != "" {
		parser, err := ddlParser()
		if err != nil {
			return false, err
		}
		parsed, err := parser.Parse(executed(alter))
		if s, ok := parsed.(*sqlparser.AlterTable); ok && err == nil {
			return e.alter(s, alter, true)
		}
	}
	if e.inferred {
		return false, errUnknownSwaps
	}
	return e.infer(today, isVitess && alter == "") // a known statement was no revert
}

var errUnknownSwaps = errors.New("several online schema changes followed each other, and their statements are not known")

// infer assumes today's columns after a swap, which may have been a revert. The tools copy by name.
func (e *Evolution) infer(today []Column, isRevert bool) (changed bool, err error) {
	e.inferred = true
	find := func(name string) *life {
		if i := place(e.now, name); i >= 0 {
			return e.now[i]
		}
		return nil
	}
	var next []*life
	var added []string
	for _, c := range today {
		l := find(c.Name)
		d := declared{Declaration: Declaration{Column: c, Copied: true}, step: len(e.stages)}
		switch {
		case l == nil:
			l = e.added(c, isRevert)
			l.declared = append(l.declared, d)
			added = append(added, c.Name)
		case c.Name != l.last().Name || !Alike(c, l.last().Column):
			l.declared = append(l.declared, d)
			changed = true
		}
		if def := e.made[strings.ToLower(c.Name)]; def != nil && def.Type.Options.As != nil {
			l.doubtful, changed = len(e.stages), true
		}
		next = append(next, l)
	}
	for _, l := range e.now {
		if !slices.Contains(next, l) && len(added) > 0 {
			return false, fmt.Errorf("an online schema change may have renamed the column %q to %q, or dropped the one and added the other",
				l.last().Name, added[0])
		}
	}
	if !changed && slices.Equal(next, e.now) {
		return false, nil
	}
	e.now = next
	e.stages = append(e.stages, slices.Clone(next))
	return true, nil
}

// added is a column that an unknown statement added. If that may have been a revert, rows may have other values than its default: those
// of before it was dropped.
func (e *Evolution) added(c Column, isRevert bool) *life {
	def := e.made[strings.ToLower(c.Name)]
	switch {
	case def == nil:
		return &life{refused: "the statement that added it is not known"}
	case isRevert:
		return &life{refused: "it was added by an online schema change whose statement is not known, or came back when one was reverted"}
	}
	e.guessed = true
	l := &life{}
	l.initial, l.refused = initialOf(def, func(string) bool { return true })
	return l
}

// make stores today's declarations.
func (e *Evolution) make(create string) error {
	if create == "" || e.made != nil {
		return nil
	}
	parser, err := ddlParser()
	if err != nil {
		return err
	}
	parsed, err := parser.Parse(create)
	s, ok := parsed.(*sqlparser.CreateTable)
	if err != nil || !ok || s.TableSpec == nil {
		return nil //nolint:nilerr // as if it were unknown
	}
	e.made = map[string]*sqlparser.ColumnDefinition{}
	for _, def := range s.TableSpec.Columns {
		e.made[def.Name.Lowered()] = def
	}
	for _, o := range s.TableSpec.Options {
		if strings.EqualFold(o.Name, "charset") {
			e.byNow = CanonicalCharset(o.String)
		}
	}
	return nil
}

// End is called when no further statement follows. The error, a part of a sentence, says that the columns are not today's. create is
// today's SHOW CREATE TABLE of the table, "" if unknown.
func (e *Evolution) End(today []Column, create string) error {
	if err := e.make(create); err != nil {
		return err
	}
	if len(today) != len(e.now) {
		return fmt.Errorf("it has %d columns, but %d according to the statements in the binary log", len(today), len(e.now))
	}
	charset := e.charsetBy(today)
	for i, c := range today {
		l := e.now[i]
		l.assume(charset)
		for _, r := range l.revivals {
			r.source.assume(charset)
		}
		if d := l.last(); d.Name != c.Name || !Alike(c, d.Column) || d.stated && d.Nullable != c.Nullable {
			return fmt.Errorf("its column %q does not match the statements in the binary log", c.Name)
		}
		l.settle(c)
		l.assure(e.made[strings.ToLower(c.Name)])
	}
	return nil
}

// assume uses the default character set that the table had at first, if it is known.
func (l *life) assume(charset string) {
	if l == nil || charset == "" {
		return
	}
	for i := range l.declared {
		if d := &l.declared[i]; d.Charset == UnknownCharset {
			d.Charset = charset
		}
	}
}

// assure uses today's declaration: a text default that the server may have read differently is certain if it is still the default, as
// reported by the server.
func (l *life) assure(def *sqlparser.ColumnDefinition) {
	if l.unsure == nil || def == nil {
		return
	}
	if d, ok := constant(def.Type.Options.Default); ok && d == *l.unsure {
		l.initial, l.refused = d, ""
	}
}

// charsetBy finds the default character set that the table had at first: today's, if nothing changed it, or that of columns that still
// have it; "" if there is none, or they differ.
func (e *Evolution) charsetBy(today []Column) (charset string) {
	if e.charset == UnknownCharset && !e.inferred {
		charset = e.byNow
	}
	for i, l := range e.now {
		if l.last().Charset != UnknownCharset {
			continue
		}
		if charset != "" && charset != today[i].Charset {
			return ""
		}
		charset = today[i].Charset
	}
	return charset
}

// settle uses today's description of a column for all of its declarations that are equivalent.
func (l *life) settle(today Column) {
	for i := len(l.declared) - 1; i >= 0; i-- {
		d := &l.declared[i]
		if !Alike(today, d.Column) {
			break
		}
		d.Type, d.Charset = today.Type, today.Charset
	}
	l.last().Column = today
}

// Shape says how rows written after that many changes are converted to rows of today's columns. Call it after End.
func (e *Evolution) Shape(step int) *Shape {
	s := &Shape{}
	for _, l := range e.stages[step] {
		s.Old = append(s.Old, l.declared[l.at(step)].Column)
	}
	for _, l := range e.now {
		s.Origins = append(s.Origins, e.origin(l, step, len(e.stages)))
	}
	e.refuse(s)
	return s
}
