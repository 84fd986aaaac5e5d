package table

import "slices"

// Shape is how rows written under older columns of a table become rows of today's. It is made by an Evolution, and read only.
type Shape struct {
	// Old are the columns of such a row, in its order: the only description of its values to be trusted.
	Old []Column
	// Origins say for each of today's columns, in their order, where its values come from.
	Origins []Origin
	// Refused is why rows of this shape cannot be given, as a part of a sentence; "" where they can.
	Refused string
}

// Origin is where the values of one of today's columns come from.
type Origin struct {
	// From is the column's place in Shape.Old, or -1 for one that was added since.
	From int
	// Default is what rows got in a column that was added.
	Default Default
	// Steps are the declarations that the values were under, one after the other: first that of Old, or the one with which the column
	// was added; last today's.
	Steps []Declaration
	// Refused is why the column's values cannot be known, as a part of a sentence; "" where they can.
	Refused string
}

// Declaration is what a column was declared as for a time.
type Declaration struct {
	Column
	// Copied says that the values came under it by an online DDL, which wrote them into another table, instead of MySQL's ALTER TABLE.
	Copied bool
	// Numbered says that it is AUTO_INCREMENT, so that zeros may have become other numbers.
	Numbered bool
}

// UnknownCharset stands for a table's default character set where no statement named it.
const UnknownCharset = "?"

// DefaultKind is what is known of a Default.
type DefaultKind int

// The kinds of defaults.
const (
	// DefaultNull is NULL.
	DefaultNull DefaultKind = iota
	// DefaultImplicit is the one of a NOT NULL column that has none declared: 0, the empty text, the first label.
	DefaultImplicit
	// DefaultText is a text.
	DefaultText
	// DefaultNumber is a number, as it was written.
	DefaultNumber
	// DefaultBits is a string of bits, b'101' or x'05', as the number that it stands for.
	DefaultBits
)

// Default is what the rows of a table get in a column that is added to it.
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
