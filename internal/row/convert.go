package row

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"source-planetscale/internal/table"
)

// conversion converts a value of one declaration to another, as MySQL's ALTER TABLE does in strict mode and otherwise with the default
// sql_mode. Values are encoded as in the binary log. It may return the value itself, but never modifies it in place.
type conversion func(value []byte) ([]byte, error)

// errNotCertain is for pairs of types for which the result is not certain for some values, or for any.
var errNotCertain = errors.New("it is not certain how MySQL converts its values")

// family is the distinction of types that conversions make.
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

// valueType is a declaration in the form that conversions need.
type valueType struct {
	table.Type
	base     string
	family   family
	length   int // characters, bytes, bits, digits, those of a second's fraction, or elements
	scale    int
	unsigned bool
	zerofill bool
	charset  string // the declared one
	spelled  string // the character set of a text's bytes
}

// newValueType parses a declaration; spelled is the character set that its values are encoded in, if it is not the declared one.
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

// bits is an integer's number of bits; 0 for other types.
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

// convert creates the conversion between two declarations that are not alike, nil if the values stay the same, and returns the character
// set of their text afterwards. copied reports that an online schema change wrote the values as text, or with a SELECT.
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

// sameWhenCopied reports whether an online schema change yields the same values as ALTER TABLE. It writes them with INSERT … SELECT, or
// as text from a SELECT or from the binary log, where numbers have no ZEROFILL, BINARY no trailing zeros, and labels are numbers.
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

// then applies one conversion after another, to text.
func then(first, second conversion) (conversion, string, error) {
	return func(value []byte) ([]byte, error) {
		value, err := first(value)
		if err != nil {
			return nil, err
		}
		return second(value)
	}, "utf8mb4", nil
}
