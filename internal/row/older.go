package row

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"source-planetscale/internal/table"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"
)

// Unconvertible is Append's error for a value that MySQL's ALTER TABLE rejects in strict mode, or for which the result is not certain.
type Unconvertible struct{ Column, From, To string }

func (e *Unconvertible) Error() string {
	return fmt.Sprintf("column %q: a value of the former type %s has no certain equivalent as %s", e.Column, e.From, e.To)
}

// errUnconvertible is a conversion's error for such a value.
var errUnconvertible = errors.New("no certain equivalent")

// CompileOlder builds the plan for rows of the binary log that were written with older columns of the table. t is today's table, f the
// FIELD event that announced the rows, and columns are the names of today's columns to emit, whose order in the JSON is the rows', with
// those that were added since at the end. The error names the column for which no value can be determined, and why.
func CompileOlder(t *table.Table, s *table.Shape, f *binlogdatapb.FieldEvent, columns []string, o Options) (*Plan, error) {
	if len(f.GetFields()) != len(s.Old) {
		return nil, fmt.Errorf("rows of table %q have %d columns, but by the statements in the binary log the table had %d",
			t.Name, len(f.GetFields()), len(s.Old))
	}
	for i, field := range f.GetFields() {
		if !s.Old[i].Fits(field) {
			return nil, fmt.Errorf("rows of table %q have a column %q whose type differs from the one in the statements in the binary log",
				t.Name, s.Old[i].Name)
		}
	}
	return compileOlder(t, s, f.GetFields(), columns, o)
}

// CheckOlder is CompileOlder for rows that have not arrived yet, as far as that is possible.
func CheckOlder(t *table.Table, s *table.Shape, columns []string, o Options) error {
	_, err := compileOlder(t, s, make([]*querypb.Field, len(s.Old)), columns, o)
	return err
}

func compileOlder(t *table.Table, s *table.Shape, fields []*querypb.Field, columns []string, o Options) (*Plan, error) {
	if s.Refused != "" {
		return nil, fmt.Errorf("table %q: %s", t.Name, s.Refused)
	}
	p := &Plan{table: t.Name, columns: make([]column, len(s.Old))}
	for i, old := range s.Old {
		p.columns[i].name = old.Name
	}
	for i := range s.Origins {
		origin := &s.Origins[i]
		name := origin.Today().Name
		if origin.From >= 0 {
			c := &p.columns[origin.From]
			c.name, c.key = name, slices.Contains(t.Key, name)
		}
		if slices.Contains(t.Key, name) {
			p.keyEnd = max(p.keyEnd, origin.From+1)
		}
		if !slices.Contains(columns, name) {
			continue
		}
		if err := p.compileOrigin(origin, fields, o.of(name)); err != nil {
			return nil, fmt.Errorf("column %q of table %q: %w", name, t.Name, err)
		}
	}
	p.separate()
	return p, p.completeOlder(s, slices.Concat(columns, t.Key))
}

// compileOrigin creates the encoder of one of today's columns, or its constant.
func (p *Plan) compileOrigin(o *table.Origin, fields []*querypb.Field, options Options) error {
	if o.Refused != "" {
		return errors.New(o.Refused)
	}
	if o.From < 0 {
		return p.compileAdded(o, options)
	}
	read, charset, err := readerOf(o.Steps[0].Column, fields[o.From])
	if err != nil {
		return err
	}
	encode, err := compileSteps(o.Steps, read, charset, options)
	if err != nil {
		return err
	}
	c := &p.columns[o.From]
	c.member = appendMember("", c.name)
	refused := &Unconvertible{c.name, o.Steps[0].Type, o.Today().Type}
	c.encode = func(dst, value []byte) ([]byte, error) {
		dst, err := encode(dst, value)
		if errors.Is(err, errUnconvertible) {
			err = refused
		}
		return dst, err
	}
	for i, d := range o.Steps {
		if !d.Nullable && (i > 0 || len(o.Steps) == 1) {
			c.notNull = &Unconvertible{c.name, "NULL", o.Today().Type + " NOT NULL"}
		}
	}
	return nil
}

// compileAdded creates the constant that existing rows have in an added column.
func (p *Plan) compileAdded(o *table.Origin, options Options) error {
	name := o.Today().Name
	text := []byte("null")
	value, charset, err := initialValue(o.Default, o.Steps[0].Column)
	switch {
	case err != nil:
		return errors.New("its default for older rows is not certain")
	case value == nil:
		if slices.ContainsFunc(o.Steps, func(d table.Declaration) bool { return !d.Nullable }) {
			return errors.New("it was NULL in older rows, and is NOT NULL now")
		}
	default:
		encode, err := compileSteps(o.Steps, nil, charset, options)
		if err != nil {
			return err
		}
		text, err = encode(nil, value)
		switch {
		case errors.Is(err, errNoJSON):
			text, p.added = []byte("null"), append(p.added, Change{Field: name, Change: Nulled, Reason: SerializationError})
		case err != nil:
			return errors.New("its default after it was redefined is not certain")
		}
	}
	p.constants = append(append(p.constants, appendMember(",", name)...), text...)
	return nil
}

// compileSteps creates the encoder of values that were converted from one declaration to the next. read is applied to them first, nil for
// nothing; charset is that of their text.
func compileSteps(steps []table.Declaration, read conversion, charset string, options Options) (encoder, error) {
	conversions := []conversion{read}
	for i, to := range steps[1:] {
		from := steps[i]
		if table.Keeps(to.Column, from.Column) {
			continue
		}
		convert, next, err := convert(newValueType(from.Column, charset), newValueType(to.Column, ""), to.Copied)
		if err != nil {
			return nil, fmt.Errorf("it became %s from %s: %w", Describe(to.Column), Describe(from.Column), err)
		}
		conversions, charset = append(conversions, convert), next
		if to.Numbered {
			conversions = append(conversions, notZero)
		}
	}
	last := steps[len(steps)-1]
	final, err := kindOf(table.ParseType(last.Type), options).compile(source{
		declaration: table.ParseType(last.Type), charset: charset, phase: Replicate, labels: true,
	})
	if err != nil {
		return nil, err
	}
	conversions = slices.DeleteFunc(conversions, func(c conversion) bool { return c == nil })
	return func(dst, value []byte) ([]byte, error) {
		for _, convert := range conversions {
			var err error
			if value, err = convert(value); err != nil {
				return dst, err
			}
		}
		return final(dst, value)
	}, nil
}

// notZero rejects the zeros that the server replaces by numbers when a column becomes AUTO_INCREMENT.
func notZero(value []byte) ([]byte, error) {
	if string(value) == "0" {
		return nil, errUnconvertible
	}
	return value, nil
}

// Describe is a column's declaration.
func Describe(c table.Column) string {
	text := c.Type
	if c.Charset != "" && c.Charset != table.UnknownCharset {
		text += " CHARACTER SET " + c.Charset
	}
	if !c.Nullable {
		text += " NOT NULL"
	}
	return text
}

// separate puts commas between the members.
func (p *Plan) separate() {
	first := true
	for i := range p.columns {
		if c := &p.columns[i]; c.encode != nil {
			if !first {
				c.member = append([]byte(","), c.member...)
			}
			first = false
		}
	}
	if first && len(p.constants) > 0 {
		p.constants = p.constants[1:]
	}
}

// completeOlder checks that all required columns are among today's.
func (p *Plan) completeOlder(s *table.Shape, names []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(s.Origins, func(o table.Origin) bool { return o.Today().Name == name }) {
			return fmt.Errorf("table %q has no column %q", p.table, name)
		}
	}
	return nil
}

// readerOf converts a value from the binary log to one of its own declaration: it reverses what the field's description, which may be of
// another column, did to it; nil for one that has not arrived yet. charset is that of a text.
func readerOf(c table.Column, f *querypb.Field) (read conversion, charset string, err error) {
	v := newValueType(c, c.Charset)
	switch {
	case c.Charset == table.UnknownCharset:
		return nil, "", errors.New("its character set at that time is not known")
	case v.bits() > 0:
		return func(value []byte) ([]byte, error) { return wrap(value, v.bits(), v.unsigned) }, "", nil
	case v.base == "binary":
		return func(value []byte) ([]byte, error) { return pad(value, v.length) }, "", nil
	case v.base == "char" && strings.HasPrefix(strings.ToLower(f.GetColumnType()), "binary"):
		return func(value []byte) ([]byte, error) { // padded with zeros, or not
			if len(value) > 0 && value[len(value)-1] == 0 {
				return nil, errUnconvertible
			}
			return value, nil
		}, c.Charset, nil
	case v.base == "enum" || v.base == "set":
		if f != nil && !table.Keeps(table.Column{Type: f.ColumnType}, table.Column{Type: c.Type}) {
			read, err = relabel(c.Type, f.ColumnType, v.base)
		}
		return read, "utf8mb4", err
	}
	return nil, c.Charset, nil
}
