package table

import "slices"

// Shape says how rows written with older columns of a table are converted to rows of today's. It is created by an Evolution, and
// read-only.
type Shape struct {
	// Old are the columns of such a row, in order: the only reliable description of its values.
	Old []Column
	// Origins say for each of today's columns, in their order, where its values come from.
	Origins []Origin
	// Refused is why rows of this shape cannot be sent, as a part of a sentence; "" if they can.
	Refused string
}

// Origin says where the values of one of today's columns come from.
type Origin struct {
	// From is the column's index in Shape.Old, or -1 for one that was added since.
	From int
	// Default is what rows got in a column that was added.
	Default Default
	// Steps are the declarations that the values had, one after another: first that of Old, or the one with which the column was added;
	// last today's.
	Steps []Declaration
	// Refused is why the column's values cannot be known, as a part of a sentence; "" if they can.
	Refused string
}

// Declaration is how a column was declared for a time.
type Declaration struct {
	Column
	// Copied reports that the values were converted to it by an online DDL, which wrote them to another table, instead of MySQL's ALTER
	// TABLE.
	Copied bool
	// Numbered reports that it is AUTO_INCREMENT, so that zeros may have become other numbers.
	Numbered bool
}

// UnknownCharset stands for a table's default character set if no statement named it.
const UnknownCharset = "?"

// DefaultKind is what is known about a Default.
type DefaultKind int

// The kinds of defaults.
const (
	// DefaultNull is NULL.
	DefaultNull DefaultKind = iota
	// DefaultImplicit is that of a NOT NULL column without a declared one: 0, the empty text, the first label.
	DefaultImplicit
	// DefaultText is a text.
	DefaultText
	// DefaultNumber is a number, as it was written.
	DefaultNumber
	// DefaultBits is a bit string, b'101' or x'05', as the number that it represents.
	DefaultBits
)

// Default is what existing rows get in an added column.
type Default struct {
	Kind  DefaultKind
	Value string // of the last three kinds
}

// Current reports whether the rows have today's columns, which may have been nullable then.
func (s *Shape) Current() bool {
	return s.Refused == "" && len(s.Old) == len(s.Origins) && !slices.ContainsFunc(s.Origins, func(o Origin) bool {
		return o.Refused != "" || o.From < 0 || o.changed() || o.Steps[0].Name != o.Today().Name
	}) && slices.IsSortedFunc(s.Origins, func(a, b Origin) int { return a.From - b.From })
}

// Replaced returns the first of these columns of today that the rows did not have under that name: it was added since, or had another
// name. It returns "" if there is none.
func (s *Shape) Replaced(columns []string) string {
	for _, o := range s.Origins {
		if name := o.Today().Name; slices.Contains(columns, name) && (o.From < 0 || s.Old[o.From].Name != name) {
			return name
		}
	}
	return ""
}
