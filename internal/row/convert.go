package row

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"source-planetscale/internal/table"
)

// conversion makes a value of one declaration one of another, as MySQL's ALTER TABLE does in strict mode and with sql_mode otherwise as it
// is by default. Values are spelled as in the binary log. It may return the value itself, never a changed one in its place.
type conversion func(value []byte) ([]byte, error)

// errNotCertain is for pairs of types of which not all values, or none, have a counterpart that is certain.
var errNotCertain = errors.New("it is not certain how MySQL converts its values")

// family is what conversions tell types by.
type family int

const (
	otherFamily family = iota
	integerFamily
	decimalFamily
	floatFamily // FLOAT and DOUBLE
	yearFamily
	bitFamily
	textFamily
	bytesFamily
	dateFamily
	datetimeFamily
	timeFamily
	timestampFamily
	enumFamily
	setFamily
	spatialFamily
	vectorFamily
)

var families = map[string]family{
	"tinyint": integerFamily, "smallint": integerFamily, "mediumint": integerFamily, "int": integerFamily, "bigint": integerFamily,
	"decimal": decimalFamily, "float": floatFamily, "double": floatFamily, "year": yearFamily, "bit": bitFamily,
	"char": textFamily, "varchar": textFamily, "tinytext": textFamily, "text": textFamily, "mediumtext": textFamily, "longtext": textFamily,
	"binary": bytesFamily, "varbinary": bytesFamily,
	"tinyblob": bytesFamily, "blob": bytesFamily, "mediumblob": bytesFamily, "longblob": bytesFamily,
	"date": dateFamily, "datetime": datetimeFamily, "time": timeFamily, "timestamp": timestampFamily,
	"enum": enumFamily, "set": setFamily, "vector": vectorFamily,
	"geometry": spatialFamily, "point": spatialFamily, "linestring": spatialFamily, "polygon": spatialFamily, "geomcollection": spatialFamily,
	"geometrycollection": spatialFamily, "multipoint": spatialFamily, "multilinestring": spatialFamily, "multipolygon": spatialFamily,
}

// valueType is a declaration as conversions need it.
type valueType struct {
	table.Type
	base     string
	family   family
	length   int // characters, bytes, bits, digits, those of a second's fraction, or elements
	scale    int
	unsigned bool
	zerofill bool
	charset  string // the declared one
	spelled  string // the character set that the bytes of a text are in
}

// newValueType reads a declaration; spelled is the character set that its values come in, where that is another than the declared.
func newValueType(c table.Column, spelled string) valueType {
	v := valueType{Type: table.ParseType(c.Type), charset: c.Charset, spelled: spelled}
	v.base, v.family = v.Base, families[v.Base]
	if v.base == "integer" {
		v.base, v.family = "int", integerFamily
	}
	length, scale, _ := strings.Cut(v.Args, ",")
	v.length, _ = strconv.Atoi(strings.TrimSpace(length))
	v.scale, _ = strconv.Atoi(strings.TrimSpace(scale))
	after := strings.ToLower(c.Type[strings.LastIndexByte(c.Type, ')')+1:])
	v.unsigned, v.zerofill = strings.Contains(after, "unsigned"), strings.Contains(after, "zerofill")
	switch v.base {
	case "char", "binary", "bit":
		v.length = max(v.length, 1)
	case "decimal":
		if v.Args == "" {
			v.length = 10
		}
	case "tinytext", "tinyblob":
		v.length = 1<<8 - 1
	case "text", "blob":
		v.length = 1<<16 - 1
	case "mediumtext", "mediumblob":
		v.length = 1<<24 - 1
	case "longtext", "longblob":
		v.length = math.MaxUint32
	}
	return v
}

// bits are how many an integer has; 0 for no integer.
func (v *valueType) bits() int {
	switch v.base {
	case "tinyint":
		return 8
	case "smallint":
		return 16
	case "mediumint":
		return 24
	case "int":
		return 32
	case "bigint":
		return 64
	}
	return 0
}

// is reports whether the type is of one of the families.
func (v *valueType) is(families ...family) bool { return slices.Contains(families, v.family) }

// convert makes the conversion between two declarations that are not alike, nil where the values stay as they are, and says what
// character set their text is in then. copied says that an online schema change wrote the values by their text, or by a SELECT.
func convert(from, to valueType, copied bool) (conversion, string, error) {
	numbers := []family{integerFamily, decimalFamily, floatFamily, yearFamily, bitFamily}
	times := []family{dateFamily, datetimeFamily, timeFamily}
	switch {
	case copied && !sameWhenCopied(from, to):
		return nil, "", errors.New("it is not certain how an online schema change converts its values")
	case from.is(numbers...) && to.is(numbers...):
		c, err := toNumber(from, to)
		return c, "", err
	case from.is(numbers...) && to.is(textFamily, bytesFamily):
		return printed(from, to)
	case from.is(textFamily) && to.is(numbers...):
		c, err := readNumber(from, to)
		return c, "", err
	case from.is(textFamily, bytesFamily) && to.is(textFamily, bytesFamily):
		return recode(from, to)
	case from.is(enumFamily, setFamily) && from.family == to.family:
		c, err := relabelled(from, to)
		return c, "utf8mb4", err
	case from.is(timestampFamily) && to.is(timestampFamily), from.is(times...) && to.is(times...):
		c, err := toTime(from, to)
		return c, "", err
	case from.is(times...) && to.is(textFamily):
		return asciiText(to), "utf8mb4", nil
	case from.is(textFamily) && to.is(times...):
		c, err := readTime(from, to)
		return c, "", err
	case from.is(textFamily) && to.base == "json" && from.spelled != table.UnknownCharset:
		return readDocument(from)
	case from.is(spatialFamily) && to.base == "geometry", from.is(vectorFamily) && to.is(vectorFamily) && from.length <= to.length:
		return nil, "", nil
	}
	return nil, "", errNotCertain
}

// sameWhenCopied reports whether values come out of an online schema change as of ALTER TABLE. It writes them by INSERT … SELECT, or
// as texts from a SELECT or from the binary log, where numbers have no ZEROFILL, BINARY no zeros at its end, and labels are numbers.
func sameWhenCopied(from, to valueType) bool {
	exact := []family{integerFamily, decimalFamily}
	switch {
	case from.zerofill || from.base == "binary":
		return false
	case from.is(exact...):
		return to.is(integerFamily, decimalFamily, textFamily)
	case from.is(textFamily) && to.is(exact...):
		return true
	}
	return from.family == to.family && !from.is(otherFamily, floatFamily, bitFamily, yearFamily, enumFamily, setFamily)
}

// then is one conversion after another, to text.
func then(first, second conversion) (conversion, string, error) {
	return func(value []byte) ([]byte, error) {
		value, err := first(value)
		if err != nil {
			return nil, err
		}
		return second(value)
	}, "utf8mb4", nil
}
