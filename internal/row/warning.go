package row

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"source-planetscale/internal/table"
)

// Warning says what a user should know about a column before its values arrive: that Vitess cannot replicate it, or not all of its
// values, or that its type or character set is unknown here. It returns "" for all other columns.
func Warning(c table.Column, o Options) string {
	d := table.ParseType(c.Type)
	k := kindOf(d, o.of(c.Name))
	if reason := unreplicable(d, c.Charset); reason != "" {
		return fmt.Sprintf("column %q has %s, and changes of a table with such a column cannot be replicated: alter the column, or choose "+
			"full refresh", c.Name, reason)
	}
	switch {
	case k == &unknownKind:
		return fmt.Sprintf("column %q has the type %q, which this connector does not know: its values are synced as the server's text", c.Name, c.Type)
	case k.text && !knownCharset(c.Charset):
		return fmt.Sprintf("column %q has the character set %q, which this connector cannot convert: its values are read as UTF-8, with U+FFFD in place of each invalid byte", c.Name, c.Charset)
	case isLabelled(d) && beyondBMP(c.Charset) && strings.Contains(d.Args, "?"):
		return fmt.Sprintf("column %q has a label with a question mark; if that stands for a character beyond U+FFFF, such as an emoji, copied rows have the character, but replicated rows have the question mark, because MySQL reports the label that way", c.Name)
	case d.Base == "set" && isFull(d):
		return fmt.Sprintf("column %q is a SET with 64 labels, and vttablets before Vitess 24 drop the last one from row changes", c.Name)
	}
	return ""
}

// TableWarnings say that a table may have rows of which Vitess sends no changes, as of 24.0.4: MySQL logs no bytes of values for a row in
// which every column is NULL, and vstreamer takes it for no row.
func TableWarnings(t *table.Table) []string {
	if slices.ContainsFunc(t.Columns, func(c table.Column) bool { return !c.Nullable }) {
		return nil
	}
	return []string{fmt.Sprintf("each of its %d columns may be NULL, and of a row in which all of them are, Vitess sends neither the insert nor "+
		"the delete, and an update to such a row only as the delete of the former row: declare a column NOT NULL, or choose full refresh", len(t.Columns))}
}

// KeyWarnings say which columns of a key may hold values that differ in MySQL but not in JSON.
func KeyWarnings(t *table.Table, key []string, o Options) []string {
	var warnings []string
	for _, name := range key {
		if reason := folds(t.Column(name), o); reason != "" {
			warnings = append(warnings, fmt.Sprintf("column %q of the key has a type in which different values can become the same JSON: %s. "+
				"Rows whose keys differ only in that become one row in the destination; a key without this column avoids that", name, reason))
		}
	}
	return warnings
}

// unreplicable finds columns at which the binlog side of Vitess fails when it first meets a row of the table, as of 24.0.3; a copy works.
func unreplicable(d table.Type, charset string) string {
	switch {
	case isLabelled(d):
		return unreadableLabel(d)
	case d.Base == "varchar" || d.Base == "varbinary":
		// vstreamer mistakes the length in the binlog's metadata for a type: its upper byte is 0xF7 for ENUM, 0xF8 for SET.
		characters, _ := strconv.Atoi(d.Args)
		if size := characters * widthOf(charset); size>>8 == 0xF7 || size>>8 == 0xF8 {
			return fmt.Sprintf("a length of %d bytes, which Vitess mistakes for an ENUM or SET (as it does from 63232 to 63743)", size)
		}
	}
	return ""
}

func isLabelled(d table.Type) bool { return d.Base == "enum" || d.Base == "set" }

// unreadableLabel looks for labels that Vitess cannot parse from the declaration: MySQL declares those of the character set binary that
// are not text of the BMP in hexadecimal, and Vitess' DecodeStringSQL fails at a backslash before a % or a _.
func unreadableLabel(d table.Type) string {
	labels, err := declaredLabels(source{declaration: d})
	if err != nil {
		return "labels that are no texts"
	}
	for _, l := range labels {
		if bytes.Contains(l, []byte(`\\%`)) || bytes.Contains(l, []byte(`\\_`)) {
			return "a label with a backslash before a percent sign or an underscore"
		}
	}
	return ""
}

// isFull reports whether a SET has the maximum number of labels, 64.
func isFull(d table.Type) bool {
	labels, err := declaredLabels(source{declaration: d})
	return err == nil && len(labels) == 1+64 // and the empty one
}

// beyondBMP reports whether a character set has characters above U+FFFF, which MySQL describes as question marks: information_schema is
// in utf8mb3.
func beyondBMP(charset string) bool {
	switch charset {
	case "utf8mb4", "utf16", "utf16le", "utf32", "gb18030":
		return true
	}
	return false
}

// widthOf is the maximum number of bytes per character; one if there is no character set.
func widthOf(charset string) int {
	switch charset {
	case "utf8mb4":
		return utf8.UTFMax
	case "utf8", "utf8mb3":
		return 3
	}
	if cs := lookupCharset(charset); cs != nil {
		return cs.MaxWidth()
	}
	return 1
}
