package table

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vitess.io/vitess/go/vt/sqlparser"
)

// declarationOf is a column as information_schema.columns would describe it after a statement that declares it this way. charset is the
// table's default at that point.
func declarationOf(def *sqlparser.ColumnDefinition, charset string) (Column, error) {
	t := def.Type
	c := Column{Name: def.Name.String(), Nullable: true}
	if o := t.Options; o.Null != nil {
		c.Nullable = *o.Null
	} else if o.KeyOpt == sqlparser.ColKeyPrimary {
		c.Nullable = false
	}
	base := baseOf(strings.ToLower(t.Type))
	switch {
	case slices.Contains(textTypes, base) || base == "enum" || base == "set":
		c.Charset = charset
		if named := strings.Trim(t.Charset.Name, "'`"); named != "" {
			c.Charset = CanonicalCharset(named)
		} else if t.Options.Collate != "" {
			c.Charset = charsetOfCollation(t.Options.Collate)
		}
		if c.Charset == "binary" {
			if base == "enum" || base == "set" {
				return c, fmt.Errorf("the character set of its column %q is binary", c.Name)
			}
			c.Charset, base = "", bytesInsteadOf[base]
		}
	case !slices.Contains(otherTypes, base):
		return c, fmt.Errorf("the connector does not know the type %q of its column %q", t.Type, c.Name)
	}
	if t.Length != nil && (base == "text" || base == "blob") {
		return c, fmt.Errorf("its column %q was declared as %s(n), which can mean several types", c.Name, base)
	}
	c.Type = canonicalType(base + arguments(base, t) + signs(t))
	return c, nil
}

var (
	textTypes      = []string{"char", "varchar", "tinytext", "text", "mediumtext", "longtext"}
	bytesInsteadOf = map[string]string{
		"char": "binary", "varchar": "varbinary", "tinytext": "tinyblob", "text": "blob", "mediumtext": "mediumblob", "longtext": "longblob",
	}
	otherTypes = []string{
		"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "bit", "year", "date", "time", "datetime",
		"timestamp", "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "json", "vector", "geometry", "point", "linestring",
		"polygon", "geomcollection", "multipoint", "multilinestring", "multipolygon",
	}
	// integerWidths are the minimum numbers of characters of ZEROFILL integers whose width is not declared.
	integerWidths = map[string]int{"tinyint": 3, "smallint": 5, "mediumint": 8, "int": 10, "bigint": 20}
)

// baseOf is MySQL's canonical name of a type that has several.
func baseOf(name string) string {
	switch name {
	case "bool", "boolean":
		return "tinyint"
	case "integer":
		return "int"
	case "dec", "fixed", "numeric":
		return "decimal"
	case "real", "float8", "double precision":
		return "double"
	case "float4":
		return "float"
	case "geometrycollection":
		return "geomcollection"
	}
	return name
}

// arguments are the arguments in a type's parentheses, including these.
func arguments(base string, t *sqlparser.ColumnType) string {
	switch {
	case len(t.EnumValues) > 0:
		return "(" + strings.Join(t.EnumValues, ",") + ")"
	case strings.HasPrefix(strings.ToLower(t.Type), "bool"):
		return "(1)"
	case t.Length != nil && t.Scale != nil:
		return fmt.Sprintf("(%d,%d)", *t.Length, *t.Scale)
	case t.Length != nil:
		return fmt.Sprintf("(%d)", *t.Length)
	case base == "vector":
		return "(2048)"
	}
	return ""
}

func signs(t *sqlparser.ColumnType) (s string) {
	if t.Unsigned || t.Zerofill {
		s = " unsigned"
	}
	if t.Zerofill {
		s += " zerofill"
	}
	return s
}

// canonicalType is a type in the one spelling that all versions of MySQL have in common: without the widths of integers, which only
// matter for a signed TINYINT(1) and for ZEROFILL, and with omitted arguments filled in with their default.
func canonicalType(columnType string) string {
	if _, digest := digested(columnType); digest {
		return columnType
	}
	t := ParseType(columnType)
	rest := ""
	for _, sign := range []string{" unsigned", " zerofill"} {
		if strings.Contains(strings.ToLower(columnType[strings.LastIndexByte(columnType, ')')+1:]), sign) {
			rest += sign
		}
	}
	base, args := baseOf(t.Base), strings.ReplaceAll(t.Args, " ", "")
	switch width, integer := integerWidths[base]; {
	case integer && strings.HasSuffix(rest, "zerofill"):
		if args == "" {
			args = strconv.Itoa(width)
		}
	case integer && base+args+rest != "tinyint1", base == "year", isTemporal(base) && args == "0":
		args = ""
	case base == "decimal" && (args == "" || args == "0"):
		args = "10,0"
	case base == "decimal" && !strings.Contains(args, ","):
		args += ",0"
	case base == "float" && args != "" && !strings.Contains(args, ","):
		if n, err := strconv.Atoi(args); err == nil && n > 24 {
			base = "double"
		}
		args = ""
	case args == "" && (base == "char" || base == "binary" || base == "bit"):
		args = "1"
	case base == "enum" || base == "set":
		args = canonicalLabels(t)
	}
	if args != "" {
		args = "(" + args + ")"
	}
	return base + args + rest
}

func isTemporal(base string) bool { return base == "time" || base == "datetime" || base == "timestamp" }

// canonicalLabels are the labels of an ENUM or SET, without the trailing spaces that MySQL strips.
func canonicalLabels(t Type) string {
	labels, err := t.Labels()
	if err != nil {
		return t.Args
	}
	for i, l := range labels {
		labels[i] = "'" + strings.ReplaceAll(strings.TrimRight(l, " "), "'", "''") + "'"
	}
	return strings.Join(labels, ",")
}

// Labels are those of an ENUM or SET, in the order of their declaration.
func (t Type) Labels() ([]string, error) {
	parser, err := ddlParser()
	if err != nil {
		return nil, err
	}
	list, err := parser.ParseExpr("(''," + t.Args + ")")
	tuple, ok := list.(sqlparser.ValTuple)
	if err != nil || !ok {
		return nil, fmt.Errorf("the labels of its declaration cannot be read")
	}
	var labels []string
	for _, member := range tuple[1:] {
		literal, ok := member.(*sqlparser.Literal)
		if !ok || literal.Type != sqlparser.StrVal {
			return nil, fmt.Errorf("the labels of its declaration are not a list of strings")
		}
		labels = append(labels, literal.Val)
	}
	return labels, nil
}

// Alike reports whether two columns hold the same values, in the same form. Their names and whether they are nullable do not matter.
func Alike(a, b Column) bool {
	return CanonicalCharset(a.Charset) == CanonicalCharset(b.Charset) && sameType(a.Type, b.Type)
}

func sameType(a, b string) bool {
	if a == b || canonicalType(a) == canonicalType(b) {
		return true
	}
	return DigestType(a) == b || DigestType(b) == a
}

// CanonicalCharset is the canonical name of a character set in Columns: MySQL before 8.0.28 reports utf8 for utf8mb3.
func CanonicalCharset(name string) string {
	if name = strings.ToLower(strings.Trim(name, "'`\"")); name == "utf8" {
		return "utf8mb3"
	}
	return name
}

// charsetOfCollation is the beginning of a collation's name.
func charsetOfCollation(collation string) string {
	charset, _, _ := strings.Cut(CanonicalCharset(collation), "_")
	return CanonicalCharset(charset)
}

// CharsetWidth is the maximum number of bytes per character; for an unknown character set, the maximum of all.
func CharsetWidth(charset string) int {
	switch CanonicalCharset(charset) {
	case "utf8mb4", "utf16", "utf16le", "utf32", "gb18030", UnknownCharset:
		return 4
	case "utf8mb3", "ujis", "eucjpms":
		return 3
	case "ucs2", "gbk", "big5", "sjis", "cp932", "euckr", "gb2312":
		return 2
	}
	return 1
}

// grown is the type that CONVERT TO CHARACTER SET turns a text type into: one that holds as many characters.
func grown(columnType, from, to string) string {
	t := ParseType(columnType)
	limits := []struct {
		base  string
		bytes int
	}{{"tinytext", 1<<8 - 1}, {"text", 1<<16 - 1}, {"mediumtext", 1<<24 - 1}}
	characters := 0
	for _, l := range limits {
		if l.base == t.Base {
			characters = l.bytes / CharsetWidth(from)
		}
	}
	if characters == 0 {
		return columnType
	}
	for _, l := range limits {
		if characters*CharsetWidth(to) <= l.bytes {
			return l.base
		}
	}
	return "longtext"
}
