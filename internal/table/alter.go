package table

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"vitess.io/vitess/go/vt/sqlparser"
)

// placed is a column that an ALTER TABLE adds, or redefines.
type placed struct {
	def   *sqlparser.ColumnDefinition
	old   *life // nil for an added one
	first bool
	after string // "" for none
	made  *life
}

// alter applies the parts of an ALTER TABLE as MySQL does (sql_table.cc, prepare_fields_and_keys): columns are dropped, redefined and
// renamed under their former names, all at once, and then placed and added, one after another, under their new names.
func (e *Evolution) alter(s *sqlparser.AlterTable, statement string, copied bool) (changed bool, err error) {
	if !s.FullyParsed {
		if parser, err := ddlParser(); err != nil || onlyRepartitions(parser, statement) {
			return false, err
		}
		return false, errors.New("an ALTER TABLE that may have changed its columns is not understood by Vitess' parser")
	}
	a := alteration{e: e, step: len(e.stages), copied: copied, plain: !strings.Contains(statement, `\`), dropped: map[*life]bool{}}
	for _, option := range s.AlterOptions {
		if err := a.collect(option); err != nil {
			return false, err
		}
	}
	if !a.concerns {
		a.keys(e.now, s.AlterOptions)
		return false, nil
	}
	switch {
	case strings.Contains(statement, "/*!"):
		return false, errors.New("an ALTER TABLE has clauses in comments that not every server executes")
	case e.inferred && !e.guessed && a.declares():
		return false, nil // it concerns only columns that later statements would add, or change, and these are refused
	case e.inferred:
		return false, errors.New("its columns were changed again after an online schema change whose statement is not known")
	}
	next, err := a.columns()
	if err != nil {
		return false, err
	}
	a.keys(next, s.AlterOptions)
	if !a.changed && slices.Equal(next, e.now) {
		return false, nil
	}
	e.now = next
	e.stages = append(e.stages, slices.Clone(next))
	return true, nil
}

// alteration is an ALTER TABLE being applied.
type alteration struct {
	e        *Evolution
	step     int
	copied   bool
	plain    bool // the statement has no backslash, whose meaning depends on sql_mode
	concerns bool // columns, or their defaults
	changed  bool // a declaration or a name
	dropped  map[*life]bool
	renamed  []*sqlparser.RenameColumn
	placed   []*placed
	convert  string // to this character set
}

// declares reports whether the statement changes only defaults or the default character set.
func (a *alteration) declares() bool {
	return len(a.placed)+len(a.dropped)+len(a.renamed) == 0 && a.convert == ""
}

// collect sorts one part of the statement.
func (a *alteration) collect(option sqlparser.AlterOption) error {
	concerned := a.concerns
	a.concerns = true
	switch o := option.(type) {
	case *sqlparser.AddColumns:
		for _, def := range o.Columns {
			a.placed = append(a.placed, &placed{def: def, first: o.First, after: nameOf(o.After)})
		}
	case *sqlparser.DropColumn:
		i := place(a.e.now, nameOf(o.Name))
		if i < 0 {
			return noColumn(nameOf(o.Name))
		}
		a.dropped[a.e.now[i]] = true
	case *sqlparser.ModifyColumn:
		return a.redeclare(o.NewColDefinition.Name.String(), o.NewColDefinition, o.First, o.After)
	case *sqlparser.ChangeColumn:
		return a.redeclare(nameOf(o.OldColumn), o.NewColDefinition, o.First, o.After)
	case *sqlparser.RenameColumn:
		if a.copied { // seen on Vitess 24: it knows columns that CHANGE COLUMN renames, and leaves these empty in the rows that were there
			return errors.New("an online schema change renamed a column with RENAME COLUMN, after which Vitess may not have kept its values")
		}
		a.renamed = append(a.renamed, o)
	case *sqlparser.AlterCharset:
		if o.CharacterSet == "" || strings.EqualFold(o.CharacterSet, "default") || strings.EqualFold(o.CharacterSet, "binary") {
			return errors.New("an ALTER TABLE converts it to binary, or to a character set that it does not name")
		}
		a.convert = CanonicalCharset(o.CharacterSet)
		a.e.charset = a.convert
	case sqlparser.TableOptions:
		a.concerns = concerned
		return a.options(o)
	case *sqlparser.AlterColumn:
	case *sqlparser.RenameTableName:
		return errors.New("it was renamed")
	case *sqlparser.AddConstraintDefinition, *sqlparser.AddIndexDefinition, *sqlparser.AlterCheck, *sqlparser.AlterIndex,
		*sqlparser.DropKey, *sqlparser.RenameIndex, *sqlparser.KeyState, *sqlparser.Force, *sqlparser.LockOption,
		*sqlparser.OrderByOption, *sqlparser.Validation, *sqlparser.TablespaceOperation, sqlparser.AlgorithmValue:
		a.concerns = concerned
	default:
		return errors.New("an ALTER TABLE has a clause that the connector does not know")
	}
	return nil
}

// options looks for the table's default character set, which applies to columns that the same statement declares.
func (a *alteration) options(list sqlparser.TableOptions) error {
	for _, o := range list {
		value := o.String
		if o.Value != nil {
			value = o.Value.Val
		}
		switch {
		case !isCharset(o):
			continue
		case value == "" || strings.EqualFold(value, "default"):
			return errors.New("an ALTER TABLE gives it the default character set of the database")
		case strings.EqualFold(o.Name, "collate"):
			a.e.charset = charsetOfCollation(value)
		default:
			a.e.charset = CanonicalCharset(value)
		}
		a.concerns = true
	}
	return nil
}

func (a *alteration) redeclare(name string, def *sqlparser.ColumnDefinition, first bool, after *sqlparser.ColName) error {
	i := place(a.e.now, name)
	if i < 0 {
		return noColumn(name)
	}
	a.placed = append(a.placed, &placed{def: def, old: a.e.now[i], first: first, after: nameOf(after)})
	return nil
}

// columns are those after the statement.
func (a *alteration) columns() ([]*life, error) {
	var next []*life
	names := map[*life]string{} // the new ones
	for _, l := range a.e.now {
		if a.dropped[l] {
			continue
		}
		names[l] = l.last().Name
		next = append(next, l)
	}
	if err := a.rename(names); err != nil {
		return nil, err
	}
	for _, p := range a.placed {
		if p.made = p.old; p.old == nil {
			p.made = &life{}
			continue
		}
		names[p.old] = p.def.Name.String()
	}
	for _, p := range a.placed {
		switch i := slices.Index(next, p.made); {
		case i >= 0 && !p.first && p.after == "":
			continue
		case i >= 0:
			next = slices.Delete(next, i, i+1)
		case p.old != nil:
			return nil, noColumn(p.def.Name.String())
		}
		names[p.made] = p.def.Name.String()
		at := len(next)
		if p.first {
			at = 0
		} else if p.after != "" {
			at = 1 + slices.IndexFunc(next, func(l *life) bool { return strings.EqualFold(names[l], p.after) })
			if at == 0 {
				return nil, noColumn(p.after)
			}
		}
		next = slices.Insert(next, at, p.made)
	}
	return next, a.declare(next, names)
}

// rename renames columns.
func (a *alteration) rename(names map[*life]string) error {
	for _, r := range a.renamed {
		i := place(a.e.now, nameOf(r.OldName))
		if i < 0 || a.dropped[a.e.now[i]] {
			return noColumn(nameOf(r.OldName))
		}
		names[a.e.now[i]] = nameOf(r.NewName)
	}
	return nil
}

// declare gives the columns their declarations of this step.
func (a *alteration) declare(next []*life, names map[*life]string) error {
	defs := map[*life]*placed{}
	for _, p := range a.placed {
		defs[p.made] = p
	}
	seen := map[string]bool{}
	for _, l := range next {
		d := declared{step: a.step}
		switch p := defs[l]; {
		case p != nil:
			column, err := declarationOf(p.def, a.e.charset)
			if err != nil {
				return err
			}
			d.Column, d.Numbered = column, p.old != nil && p.def.Type.Options.Autoincrement
			d.stated = p.def.Type.Options.Null != nil || ParseType(column.Type).Base == "timestamp"
			if p.old == nil {
				l.initial, l.refused = initialOf(p.def, func(text string) bool {
					l.unsure = &Default{DefaultText, text}
					return a.plain && isASCII(text)
				})
			} else if l.redeclared = a.step; p.def.Type.Options.As != nil {
				l.doubtful, a.changed = a.step, true
			}
		default:
			d.Declaration, d.stated = l.last().Declaration, l.last().stated
			d.Name = names[l]
		}
		if d.Copied = a.copied; a.convert != "" && d.Charset != "" {
			if d.Charset == UnknownCharset && grown(d.Type, "latin1", "utf8mb4") != d.Type {
				return fmt.Errorf("its column %q was converted from an unknown character set", d.Name)
			}
			d.Type, d.Charset = grown(d.Type, d.Charset, a.convert), a.convert
		}
		key := strings.ToLower(d.Name)
		if seen[key] {
			return fmt.Errorf("the statements in the binary log give it two columns named %q", d.Name)
		}
		seen[key] = true
		a.keep(l, d)
	}
	return nil
}

// keep adds a declaration if it differs from the last one.
func (a *alteration) keep(l *life, d declared) {
	if len(l.declared) > 0 {
		before := l.last().Column
		if d.Name == before.Name && Alike(d.Column, before) {
			if d.stated && d.Nullable != before.Nullable {
				l.declared = append(l.declared, d) // not in itself a change of columns
			}
			l.last().stated = d.stated
			return
		}
		a.changed = true
	}
	l.declared = append(l.declared, d)
}

// keys makes the columns of a primary key that the statement adds NOT NULL.
func (a *alteration) keys(next []*life, options []sqlparser.AlterOption) {
	for _, option := range options {
		o, ok := option.(*sqlparser.AddIndexDefinition)
		if !ok || o.IndexDefinition.Info.Type != sqlparser.IndexTypePrimary {
			continue
		}
		for _, c := range o.IndexDefinition.Columns {
			if i := place(next, c.Column.String()); i >= 0 {
				next[i].last().Nullable = false
			}
		}
	}
}

func nameOf(c *sqlparser.ColName) string {
	if c == nil {
		return ""
	}
	return c.Name.String()
}

// place is the index of the column with that name, -1 for none. Column names are case-insensitive.
func place(columns []*life, name string) int {
	return slices.IndexFunc(columns, func(l *life) bool { return strings.EqualFold(l.last().Name, name) })
}

func noColumn(name string) error {
	return fmt.Errorf("an ALTER TABLE in the binary log names the column %q, which the table did not have", name)
}
