package row

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"source-planetscale/internal/table"
	"source-planetscale/internal/wire"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"
)

// The errors that an encoder can return for a value.
var (
	errNoJSON    = errors.New("no equivalent in JSON or Airbyte")
	errMalformed = errors.New("its bytes are not a value of its type")
)

// Plan converts the rows that follow one FIELD event to JSON. It is immutable and may be used by several goroutines.
type Plan struct {
	table   string
	columns []column // one per value of a row, in the row's order
	keyEnd  int      // columns up to the last one of the key
	// constants are members that have no value in the row, and added lists what could not be sent of them.
	constants []byte
	added     []Change
}

// column is one value of a row.
type column struct {
	name   string
	member []byte  // `,"name":`, without the comma in the first
	encode encoder // nil if the column is not requested
	key    bool
	// notNull is why a NULL is not a valid value of the column; nil if it may be one.
	notNull error
}

// Compile builds the plan for the rows that a FIELD event announces. columns are the names to emit, in the order of the event's fields.
// The event's column types are used; if it has none, the table's. All of columns and all of t.Key must be among the fields. The plan
// keeps no reference to its arguments.
func Compile(t *table.Table, f *binlogdatapb.FieldEvent, columns []string, ph Phase, o Options) (*Plan, error) {
	p := &Plan{table: t.Name, columns: make([]column, len(f.GetFields()))}
	separator := ""
	for i, field := range f.GetFields() {
		c := &p.columns[i]
		c.name = field.GetName()
		if c.key = slices.Contains(t.Key, c.name); c.key {
			p.keyEnd = i + 1
		}
		if !slices.Contains(columns, c.name) {
			continue
		}
		var err error
		if c.encode, err = compileColumn(t.Column(c.name), field, f.GetEnumSetStringValues() || ph == Copy, ph, o); err != nil {
			return nil, fmt.Errorf("column %q of table %q: %w", c.name, t.Name, err)
		}
		c.member = appendMember(separator, c.name)
		separator = ","
	}
	if err := p.complete(columns, t.Key); err != nil {
		return nil, err
	}
	return p, nil
}

// compileColumn chooses the encoder of one field; c is nil if the schema does not know it.
func compileColumn(c *table.Column, f *querypb.Field, labels bool, ph Phase, o Options) (encoder, error) {
	if c == nil {
		c = &table.Column{}
	}
	src := source{declaration: table.ParseType(f.GetColumnType()), charset: c.Charset, phase: ph, labels: labels}
	if src.declaration.Base == "" {
		src.declaration = table.ParseType(c.Type)
	}
	if src.charset == "" {
		src.charset = charsetOfCollation(f.GetCharset())
	}
	return kindOf(src.declaration, o.of(f.GetName())).compile(src)
}

func appendMember(separator, name string) []byte {
	return append(appendString([]byte(separator), []byte(name)), ':')
}

// complete checks that there is a column to send, and that the fields include every required one.
func (p *Plan) complete(columns, key []string) error {
	if len(columns) == 0 { // a record begins with a column of the table
		return fmt.Errorf("table %q no longer has any of the columns to send; refresh the source's schema, and select existing columns", p.table)
	}
	for _, name := range slices.Concat(columns, key) {
		if !slices.ContainsFunc(p.columns, func(c column) bool { return c.name == name }) {
			return fmt.Errorf("the rows of table %q lack the column %q: it was added, dropped or renamed after the position being read; "+
				"refresh the source's schema, and clear the stream's data if that does not help", p.table, name)
		}
	}
	return nil
}

// Append appends the members of one row's JSON object, without braces, to dst, and what could not be sent to changes. Neither keeps a
// reference to r. After an error dst and changes are returned as they were passed in; the error names table and column, never a value.
//
// Values of many megabytes would be copied each time the buffer grows for the next one. So after such a value, what has been appended so
// far is moved to front, which precedes what is returned; dst then starts empty. After an error front must be discarded. With a nil front
// everything is returned in one piece.
//
// It has few variables, since each one that lives across a call costs time for every column of every row.
func (p *Plan) Append(dst []byte, r wire.Row, changes []Change, front *[][]byte) ([]byte, []Change, error) {
	begin, earlier := len(dst), changes
	at, from := 0, 0 // in r.Lengths and r.Values
	for i := range p.columns {
		c := &p.columns[i]
		var n int
		switch {
		case at == len(r.Lengths):
			return dst[:begin], earlier, p.misfit("a row has %d values, but %d columns were announced", i, len(p.columns))
		case r.Lengths[at] < 0x80: // in place: nearly all are
			n = int(r.Lengths[at]>>1) ^ -int(r.Lengths[at]&1)
			at++
		default:
			var rest []byte
			n, rest = wire.Length(r.Lengths[at:])
			at = len(r.Lengths) - len(rest)
		}
		if n > len(r.Values)-from || n < -1 {
			return dst[:begin], earlier, p.misfit("a row ends inside its column %q", c.name)
		}
		if c.encode == nil {
			from += max(n, 0)
			continue
		}
		dst = append(dst, c.member...)
		if n < 0 {
			if c.notNull != nil {
				return dst[:begin], earlier, p.unknown(c.notNull)
			}
			dst = append(dst, "null"...)
			continue
		}
		start := len(dst)
		var err error
		dst, err = c.encode(dst, r.Values[from:from+n])
		from += n
		if err == nil && len(dst)-start <= piece {
			continue
		}
		if dst, changes, err = c.replace(dst, start, err, changes); err != nil {
			return dst[:begin], earlier, p.refused(c, err)
		}
		if front != nil && len(dst)-start > piece {
			*front = append(*front, dst)
			dst, begin = nil, 0
		}
	}
	switch {
	case at < len(r.Lengths):
		return dst[:begin], earlier, p.misfit("a row has %d values, but %d columns were announced", r.Len(), len(p.columns))
	case from < len(r.Values):
		return dst[:begin], earlier, p.misfit("a row has %d bytes left over", len(r.Values)-from)
	}
	return append(dst, p.constants...), append(changes, p.added...), nil
}

// refused is the error for a value that cannot be sent.
func (p *Plan) refused(c *column, err error) error {
	var older *Unconvertible
	if errors.As(err, &older) {
		return p.unknown(err)
	}
	return p.misfit("column %q: %w", c.name, err)
}

// unknown is the error for a value whose conversion is not known, because its column was declared anew.
func (p *Plan) unknown(err error) error { return fmt.Errorf("table %q: %w", p.table, err) }

// misfit is the error for a row that does not match what the FIELD event announced.
func (p *Plan) misfit(format string, args ...any) error {
	return fmt.Errorf("table %q: "+format+"; the rows do not match their column definitions: clear the stream's data to copy the table again",
		append([]any{p.table}, args...)...)
}

// piece is the number of bytes of JSON from which copying is avoided.
const piece = 8 << 20

// replace writes null in place of a value that has no equivalent or is too long, and records that. The value's JSON, as far as it was
// written, is dst from start on; err is its encoder's error.
func (c *column) replace(dst []byte, start int, err error, changes []Change) ([]byte, []Change, error) {
	change := Change{Field: c.name, Change: Nulled, Reason: SerializationError}
	var long *tooLong
	switch {
	case errors.As(err, &long):
		change.Reason, change.Length = FieldSizeLimitation, long.least
	case err == nil && len(dst)-start <= MaxLength: // no UTF-16 code unit takes less than a byte of UTF-8
		return dst, changes, nil
	case err == nil:
		change.Reason, change.Length = FieldSizeLimitation, utf16Length(dst[start:])
		if change.Length <= MaxLength {
			return dst, changes, nil
		}
	case !errors.Is(err, errNoJSON):
		return dst, changes, err
	}
	return append(dst[:start], "null"...), append(changes, change), nil
}

// KeyChanged reports whether the two images of an updated row differ in a column of the table's key, byte by byte: a change of letter
// case counts. It is false for a table without a key, true for a row that ends before the key's last column.
func (p *Plan) KeyChanged(before, after wire.Row) bool {
	if before.Len() != len(p.columns) || after.Len() != len(p.columns) {
		return true
	}
	for i := range p.keyEnd {
		b, bNull, bOK := before.Next()
		a, aNull, aOK := after.Next()
		if !bOK || !aOK {
			return true
		}
		if p.columns[i].key && (bNull != aNull || !bytes.Equal(b, a)) {
			return true
		}
	}
	return false
}
