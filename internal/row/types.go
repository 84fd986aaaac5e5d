package row

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"source-planetscale/internal/table"
)

// encoder appends the JSON of one value that is not NULL. It returns errNoJSON for a value without an equivalent in JSON or Airbyte, and
// another error for bytes that are not a value of the column's type. Its caller then discards what it has appended.
type encoder func(dst, value []byte) ([]byte, error)

// kind is one row of the type table: a family of MySQL column types that share a schema and an encoder.
type kind struct {
	title string                         // heading in TYPES.md
	bases []string                       // the type's names in information_schema.columns.column_type
	when  func(table.Type, Options) bool // narrows bases; nil: all
	shape shape
	nulls bool // a value that is not NULL may come out as null, with a Change
	text  bool // the column has a character set
	// folds says how two values that differ in MySQL may have the same JSON, which makes two rows one if the column is in the key; "" if
	// none do. nil: none ever do.
	folds func(declaration table.Type, charset string) string
	// compile builds the encoder of one column.
	compile func(source) (encoder, error)
	note    string // in TYPES.md
}

// source is what an encoder is compiled from.
type source struct {
	declaration table.Type
	charset     string // MySQL's name of the column's character set; "" if there is none or it is unknown
	phase       Phase
	labels      bool // ENUM and SET are sent as labels, not as numbers
}

// kinds is searched from the top: the first matching row is used.
var kinds = []kind{
	{
		title: "`TINYINT(1)`, `BOOL`", bases: []string{"tinyint"}, when: isBoolean,
		shape: booleanShape, folds: foldTruth, compile: always(appendTruth),
		note: "Any value except zero is true. An integer, like the other integers, in a column of a unique key or of the primary vindex, and " +
			"everywhere with " +
			"`options.do_not_treat_tiny_int_as_boolean`.",
	},
	{
		title: "`TINYINT`, `SMALLINT`, `MEDIUMINT`, `INT`, `BIGINT`, signed or `UNSIGNED`",
		bases: []string{"tinyint", "smallint", "mediumint", "int", "integer", "bigint"},
		shape: integerShape, compile: always(appendInteger),
		note: "Every digit is kept, up to 18446744073709551615. `ZEROFILL` adds no zeros.",
	},
	{
		title: "`YEAR`", bases: []string{"year"},
		shape: integerShape, compile: always(appendInteger),
		note: "`0000` is 0.",
	},
	{
		title: "`DECIMAL(p,0)`", bases: []string{"decimal"}, when: isWhole,
		shape: integerShape, compile: always(appendDecimal),
		note: "Every digit is kept.",
	},
	{
		title: "`DECIMAL(p,s)`", bases: []string{"decimal"},
		shape: numberShape, compile: always(appendDecimal),
		note: "Every digit is kept, including trailing zeros.",
	},
	{
		title: "`FLOAT`", bases: []string{"float"},
		shape: numberShape, folds: foldFloat, compile: always(appendFloat32),
		note: "The shortest number that reads back as the same FLOAT. In a copy it has at most six digits.",
	},
	{
		title: "`DOUBLE`", bases: []string{"double"},
		shape: numberShape, compile: always(appendFloat64),
		note: "The shortest number that reads back as the same DOUBLE.",
	},
	{
		title: "`BIT(1)`", bases: []string{"bit"}, when: isOneBit,
		shape: booleanShape, compile: always(appendBit),
	},
	{
		title: "`BIT(n)`", bases: []string{"bit"},
		shape: binaryShape, compile: always(appendBase64),
		note: "Base64 of the bits as big-endian bytes.",
	},
	{
		title: "`DATE`", bases: []string{"date"},
		shape: dateShape, nulls: true, folds: foldDate, compile: always(appendDate),
		note: "A zero or impossible date (`0000-00-00`, `2026-02-30`, the year 0000) is null, and marked.",
	},
	{
		title: "`DATETIME(f)`", bases: []string{"datetime"},
		shape: timestampShape, nulls: true, folds: foldDate, compile: always(appendDatetime),
		note: "With the fractional digits of the column. Null and marked in the same cases as `DATE`.",
	},
	{
		title: "`TIMESTAMP(f)`", bases: []string{"timestamp"},
		shape: timestampTZShape, nulls: true, folds: foldDate, compile: always(appendTimestamp),
		note: "In UTC. Null and marked in the same cases as `DATE`.",
	},
	{
		title: "`TIME(f)`", bases: []string{"time"},
		shape: timeShape, nulls: true, folds: foldTime, compile: always(appendTime),
		note: "A time that is negative or later than `23:59:59.999999` is null, and marked.",
	},
	{
		title: "`CHAR`, `VARCHAR`, `TINYTEXT`, `TEXT`", bases: []string{"char", "varchar", "tinytext", "text"},
		shape: stringShape, text: true, folds: foldText, compile: compileString,
		note: "Converted to UTF-8 from the character set of the column; an invalid byte becomes U+FFFD. `CHAR` has no trailing pad spaces, " +
			"regardless of `sql_mode`.",
	},
	{
		title: "`MEDIUMTEXT`, `LONGTEXT`", bases: []string{"mediumtext", "longtext"},
		shape: stringShape, nulls: true, text: true, folds: foldText, compile: compileText,
		note: "As above.",
	},
	{
		title: "`ENUM`", bases: []string{"enum"},
		shape: stringShape, text: true, folds: foldLabels, compile: compileEnum,
		note: "The label; `\"\"` for the value that MySQL stores in place of an invalid one.",
	},
	{
		title: "`SET`", bases: []string{"set"},
		shape: stringShape, text: true, folds: foldLabels, compile: compileSet,
		note: "The labels in the order of their declaration, separated by commas.",
	},
	{
		title: "`JSON`", bases: []string{"json"},
		shape: documentShape, nulls: true, compile: always(appendDocument),
		note: "The document itself; the order of its keys has no meaning. Vitess before 24.0.3 damages some replicated documents: " +
			"numbers without their leading zero (`.5`) are repaired; a document that is no longer JSON (with a BLOB or BIT inside) is null, and marked.",
	},
	{
		title: "`BINARY`, `VARBINARY`, `TINYBLOB`, `BLOB`", bases: []string{"binary", "varbinary", "tinyblob", "blob"},
		shape: binaryShape, compile: always(appendBase64),
		note: "Base64. `BINARY(n)` includes its zero padding.",
	},
	{
		title: "`MEDIUMBLOB`, `LONGBLOB`", bases: []string{"mediumblob", "longblob"},
		shape: binaryShape, nulls: true, compile: always(appendBase64),
		note: "As above.",
	},
	{
		title: "`GEOMETRY`, `POINT`, `LINESTRING`, `POLYGON` and their collections",
		bases: []string{
			"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
			"geomcollection", "geometrycollection",
		},
		shape: binaryShape, nulls: true, compile: always(appendBase64),
		note: "Base64 of MySQL's internal format: the SRID in four bytes, little-endian, then WKB.",
	},
	{
		title: "`VECTOR(n)`", bases: []string{"vector"},
		shape: vectorShape, nulls: true, compile: always(appendVector),
		note: "Each element the shortest number that reads back as the same FLOAT. A vector with NaN or infinity is null, and marked.",
	},
}

// unknownKind is every type that the table does not name.
var unknownKind = kind{
	title: "any other type",
	shape: stringShape, nulls: true, text: true, folds: foldText, compile: compileText,
	note: "The server's text; discover warns about the column.",
}

// kindOf finds the row of the type table.
func kindOf(d table.Type, o Options) *kind {
	for i := range kinds {
		k := &kinds[i]
		if slices.Contains(k.bases, d.Base) && (k.when == nil || k.when(d, o)) {
			return k
		}
	}
	return &unknownKind
}

func always(e encoder) func(source) (encoder, error) {
	return func(source) (encoder, error) { return e, nil }
}

func isBoolean(d table.Type, o Options) bool { return d.Args == "1" && !o.TinyIntAsInteger }

func isOneBit(d table.Type, _ Options) bool { return d.Args == "1" || d.Args == "" }

// isWhole reports whether a DECIMAL has no fractional digits; its scale is 0 unless declared.
func isWhole(d table.Type, _ Options) bool {
	_, scale, _ := strings.Cut(d.Args, ",")
	n, _ := strconv.Atoi(strings.TrimSpace(scale))
	return n == 0
}

// shape is a JSON schema without its null: the type and the remaining keywords.
type shape struct{ jsonType, rest string }

// The shapes are Airbyte's types as its own database sources write them (io.airbyte.protocol.models.JsonSchemaType), except for
// documentShape.
var (
	stringShape      = shape{"string", ``}
	booleanShape     = shape{"boolean", ``}
	integerShape     = shape{"number", `,"airbyte_type":"integer"`}
	numberShape      = shape{"number", ``}
	binaryShape      = shape{"string", `,"contentEncoding":"base64"`}
	dateShape        = shape{"string", `,"format":"date"`}
	timeShape        = shape{"string", `,"format":"time","airbyte_type":"time_without_timezone"`}
	timestampShape   = shape{"string", `,"format":"date-time","airbyte_type":"timestamp_without_timezone"`}
	timestampTZShape = shape{"string", `,"format":"date-time","airbyte_type":"timestamp_with_timezone"`}
	vectorShape      = shape{"array", `,"items":{"type":"number"}`}
)

// documentShape has no "type" of its own. Airbyte's sources add `"type":"object"`, but then its destinations turn a document that is an
// array, a text or a number into null (AirbyteValueCoercer.coerceObject); a bare oneOf is the union that they store as JSON regardless of
// its contents.
var documentShape = shape{
	"",
	`"oneOf":[{"type":"null"},{"type":"array"},{"type":"object"},{"type":"number"},{"type":"string"},{"type":"boolean"}],"airbyte_type":"json"`,
}

func (s shape) fragment(nullable bool) json.RawMessage {
	switch {
	case s.jsonType == "":
		return json.RawMessage(`{` + s.rest + `}`)
	case nullable:
		return json.RawMessage(`{"type":["null","` + s.jsonType + `"]` + s.rest + `}`)
	default:
		return json.RawMessage(`{"type":"` + s.jsonType + `"` + s.rest + `}`)
	}
}
