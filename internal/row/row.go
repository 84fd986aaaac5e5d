// Package row converts the values of a MySQL row, as VStream sends them, to the members of a JSON object, and defines their JSON schema.
// One table (types.go, printed as TYPES.md) determines both, so that they cannot disagree.
//
// A Plan is compiled once per FIELD event; a row then goes directly from its bytes to JSON bytes, without allocation for the common
// types.
package row

import (
	"encoding/json"
	"slices"

	"source-planetscale/internal/table"
)

// Options determine what a column's type leaves open.
type Options struct {
	// TinyIntAsInteger makes each TINYINT(1) an integer instead of a boolean: the user's choice.
	TinyIntAsInteger bool
	// Integers are the columns of a table that are integers although they are TINYINT(1).
	Integers []string
}

// of are the options for one column.
func (o Options) of(column string) Options {
	return Options{TinyIntAsInteger: o.TinyIntAsInteger || slices.Contains(o.Integers, column)}
}

// Phase is the origin of a row's bytes. MySQL formats the rows of a copy, Vitess decodes those of the binlog, and the two encode some
// values differently: ENUM and SET are bytes in the column's character set in a copy, UTF-8 in the binlog.
type Phase int

const (
	// Copy is a row that MySQL returned for the copy's SELECT; its ROW event has timestamp 0.
	Copy Phase = iota
	// Replicate is a row of the binlog, including the rows that a copy catches up with.
	Replicate
)

// MaxLength is the longest JSON text of one value, in UTF-16 code units: the parser of Airbyte's platform (Jackson) rejects longer
// strings.
const MaxLength = 20_000_000

// The values of a Change, in the terms of Airbyte's protocol (AirbyteRecordMessageMetaChange).
const (
	Nulled              = "NULLED"
	SerializationError  = "SOURCE_SERIALIZATION_ERROR"
	FieldSizeLimitation = "SOURCE_FIELD_SIZE_LIMITATION"
)

// Change is an entry of a record's meta.changes: a value that could not be sent as it is.
type Change struct {
	Field  string // the column's name
	Change string // Nulled
	Reason string // SerializationError or FieldSizeLimitation
	// Length is the minimum number of UTF-16 code units of the value's JSON if Reason is FieldSizeLimitation, else 0: nothing is encoded
	// beyond what is needed to know that. It is not part of the entry; it is for the caller's warning.
	Length int
}

// JSONSchema returns the JSON schema of a column as discover shows it. Null comes first if null is allowed; that includes a NOT NULL
// column whose type can hold what JSON or Airbyte cannot (a zero date, a text over MaxLength), so that every record matches its schema.
func JSONSchema(c table.Column, o Options) json.RawMessage {
	k := kindOf(table.ParseType(c.Type), o.of(c.Name))
	return k.shape.fragment(c.Nullable || k.nulls)
}
