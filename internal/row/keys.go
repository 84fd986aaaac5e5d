package row

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"source-planetscale/internal/table"
)

// InKeys are the options for a table in discover: TINYINT(1) columns of its keys are integers, since true stands for 255 of their values.
func (o Options) InKeys(t *table.Table) Options {
	for _, c := range t.Columns {
		if inKey(t, c) {
			o = o.withInteger(c)
		}
	}
	return o
}

// InCatalog are the options for a table in a catalog, by column: TINYINT(1) columns have the type of its schemas and, if those have no
// type, the one that discover would use.
func (o Options) InCatalog(t *table.Table, schemas map[string]json.RawMessage) Options {
	for _, c := range t.Columns {
		types := typesOf(schemas[c.Name])
		number := slices.Contains(types, "number") || slices.Contains(types, "integer")
		if number || !slices.Contains(types, "boolean") && inKey(t, c) {
			o = o.withInteger(c)
		}
	}
	return o
}

func inKey(t *table.Table, c table.Column) bool {
	return t.InUniqueKey(c.Name) || slices.Contains(t.Key, c.Name)
}

// withInteger makes a column an integer if it is a TINYINT(1).
func (o Options) withInteger(c table.Column) Options {
	if isTruth(c, o) {
		o.Integers = append(slices.Clone(o.Integers), c.Name)
	}
	return o
}

// CheckKey refuses a key with a column that is sent as a boolean although it has more than two values: rows that differ only in it would
// become one. Options are those of InCatalog.
func CheckKey(t *table.Table, key []string, o Options) error {
	for _, name := range key {
		if c := t.Column(name); c != nil && isTruth(*c, o) {
			return fmt.Errorf("column %q of its key is a boolean in the catalog, "+
				"which turns all numbers except 0 into true, and rows that differ only in it into one; "+
				"refresh the source's schema, which makes the column an integer, and clear the stream's data", name)
		}
	}
	return nil
}

func isTruth(c table.Column, o Options) bool {
	d := table.ParseType(c.Type)
	return d.Base == "tinyint" && kindOf(d, o.of(c.Name)).shape == booleanShape
}

// typesOf are the types that a JSON schema names.
func typesOf(schema json.RawMessage) []string {
	var one struct{ Type string }
	if json.Unmarshal(schema, &one) == nil {
		return []string{one.Type}
	}
	var several struct{ Type []string }
	if json.Unmarshal(schema, &several) == nil {
		return several.Type
	}
	return nil
}

// folds says how two values of a column may have the same JSON; "" if none do, and if there is no column.
func folds(c *table.Column, o Options) string {
	if c == nil {
		return ""
	}
	d := table.ParseType(c.Type)
	if k := kindOf(d, o.of(c.Name)); k.folds != nil {
		return k.folds(d, c.Charset)
	}
	return ""
}

func foldTruth(table.Type, string) string { return "all numbers except 0 become true" }

func foldFloat(table.Type, string) string {
	return "copied rows have six digits of a FLOAT and changes have all digits, so that changes do not match copied rows"
}

func foldDate(table.Type, string) string { return "zero and impossible dates become null" }

func foldTime(table.Type, string) string {
	return "times outside 00:00:00 to 23:59:59.999999 become null"
}

// foldText handles character sets in which MySQL stores bytes that are not characters; it validates what it stores as UTF-8.
func foldText(_ table.Type, charset string) string {
	cs := lookupCharset(charset)
	switch {
	case !knownCharset(charset):
		return "the connector does not know the character set, and bytes that are not UTF-8 become U+FFFD"
	case cs != nil && hasGaps(cs):
		return "invalid bytes become U+FFFD"
	}
	return ""
}

// hasGaps reports whether a character set has bytes that are not characters; all multi-byte ones do.
func hasGaps(cs decoder) bool {
	if cs.MaxWidth() > 1 {
		return true
	}
	for b := range 256 {
		if _, _, ok := cs.DecodeRune([]byte{byte(b)}); !ok {
			return true
		}
	}
	return false
}

func foldLabels(d table.Type, charset string) string {
	labels, err := declaredLabels(source{declaration: d})
	switch {
	case err != nil:
		return "not all labels can be read"
	case slices.ContainsFunc(labels[1:], func(label []byte) bool { return len(label) == 0 }):
		return "an empty label is also what MySQL stores in place of an invalid value"
	case beyondBMP(charset) && strings.Contains(d.Args, "?"):
		return "labels beyond U+FFFF are replicated with question marks"
	}
	return ""
}
