package row

import (
	"slices"

	"source-planetscale/internal/table"
)

// KeepsValues reports whether ALTER TABLE certainly keeps the JSON of all of a column's values when it changes the column from was to
// now. Strict mode refuses most changes that do not fit, but it rounds, and without it MySQL changes values. (Nullability does not
// matter.)
func KeepsValues(was, now table.Column) bool {
	if table.Keeps(now, was) {
		return true
	}
	from, to := newValueType(was, was.Charset), newValueType(now, now.Charset)
	if from.family != to.family {
		return false
	}
	switch from.family {
	case integerFamily:
		return holdsIntegers(from, to)
	case decimalFamily:
		return to.scale == from.scale && to.length >= from.length && (from.unsigned || !to.unsigned)
	case textFamily:
		return holdsCharset(to.charset, from.charset) && holdsText(from, to)
	case bytesFamily:
		return to.base != "binary" && to.length >= from.length
	case enumFamily:
		return holdsCharset(to.charset, from.charset) && holdsLabels(from, to)
	}
	return false // the digits of other numbers and times change, and so does the order of a SET's labels
}

// Replaced returns the first of these columns of today in which rows of an older shape do not certainly have the values of today: it is
// another column (see Shape.Replaced), or was converted in between, maybe there and back. It returns "" if there is none.
func Replaced(s *table.Shape, columns []string) string {
	if name := s.Replaced(columns); name != "" {
		return name
	}
	for _, o := range s.Origins {
		if name := o.Today().Name; slices.Contains(columns, name) && !keepsAll(o.Steps) {
			return name
		}
	}
	return ""
}

func keepsAll(steps []table.Declaration) bool {
	for i := 1; i < len(steps); i++ {
		if !KeepsValues(steps[i-1].Column, steps[i].Column) {
			return false
		}
	}
	return true
}

func holdsIntegers(from, to valueType) bool {
	switch {
	case from.unsigned == to.unsigned:
		return to.bits() >= from.bits()
	case from.unsigned:
		return to.bits() > from.bits()
	}
	return false
}

// holdsText reports whether each text of one type fits another and stays as it is, in which a CHAR has no spaces at its end.
func holdsText(from, to valueType) bool {
	switch {
	case to.base == "char" && from.base != "char", to.counted() && !from.counted():
		return false
	case from.counted() && !to.counted():
		return to.length >= from.length*table.CharsetWidth(to.charset)
	case !from.counted(): // CONVERT TO makes the type larger if needed
		return to.length*table.CharsetWidth(from.charset) >= from.length*table.CharsetWidth(to.charset)
	}
	return to.length >= from.length
}

// holdsCharset reports whether one character set has all characters of another.
func holdsCharset(to, from string) bool {
	to, from = table.CanonicalCharset(to), table.CanonicalCharset(from)
	switch {
	case to == from:
		return true
	case !knownCharset(from) || !knownCharset(to):
		return false
	}
	switch to {
	case "utf8mb4", "utf16", "utf16le", "utf32":
		return true
	case "utf8mb3", "ucs2":
		return !slices.Contains([]string{"utf8mb4", "utf16", "utf16le", "utf32", "gb18030"}, from)
	}
	return from == "ascii"
}

// holdsLabels reports whether an ENUM has all labels of another: ALTER TABLE finds them by their text.
func holdsLabels(from, to valueType) bool {
	was, err := from.Labels()
	if err != nil {
		return false
	}
	now, err := to.Labels()
	return err == nil && !slices.ContainsFunc(was, func(label string) bool { return !slices.Contains(now, label) })
}
