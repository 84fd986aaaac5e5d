package record

import (
	"encoding/json"
	"strconv"
)

// The columns that discover adds to each table's own.
const (
	ColumnCursor    = "_ab_cdc_cursor"
	ColumnUpdatedAt = "_ab_cdc_updated_at"
	ColumnDeletedAt = "_ab_cdc_deleted_at"
	ColumnMetadata  = "_planetscale_metadata"
)

// ownColumn is one of them.
type ownColumn struct {
	name   string
	schema string
	// always reports that full refreshes have the column as well. The others are left out of them, so that two refreshes of an unchanged
	// table are equal.
	always bool
	// optional reports that discover adds the column only if the user wants metadata.
	optional bool
	// same reports that all rows of a run that were not deleted have the same value.
	same   bool
	append func(dst []byte, w *writing, deleted bool) []byte // with the name before the value
}

var ownColumns = []ownColumn{
	{
		name: ColumnCursor, schema: `{"type":["null","number"],"airbyte_type":"integer"}`,
		append: func(dst []byte, w *writing, _ bool) []byte {
			return append(append(dst, `,"`+ColumnCursor+`":`...), w.cursor.text()...)
		},
	},
	{
		name: ColumnUpdatedAt, schema: timestampSchema, same: true,
		append: func(dst []byte, w *writing, _ bool) []byte {
			return append(append(dst, `,"`+ColumnUpdatedAt+`":`...), w.run.made.text...)
		},
	},
	{
		name: ColumnDeletedAt, schema: timestampSchema, same: true,
		append: func(dst []byte, w *writing, deleted bool) []byte {
			dst = append(dst, `,"`+ColumnDeletedAt+`":`...)
			if deleted {
				return append(dst, w.run.made.text...)
			}
			return append(dst, "null"...)
		},
	},
	{
		name: ColumnMetadata, always: true, optional: true,
		schema: `{"type":["null","object"],"properties":{"vgtid_position":{"type":["null","string"]},` +
			`"extracted_at":{"type":["null","number"],"airbyte_type":"integer"},"sequence_number":{"type":["null","number"],"airbyte_type":"integer"}}}`,
		append: func(dst []byte, w *writing, _ bool) []byte {
			dst = append(dst, `,"`+ColumnMetadata+`":{"vgtid_position":"`...)
			dst = append(dst, w.run.Position...)
			dst = strconv.AppendInt(append(dst, `","extracted_at":`...), w.run.read.time.UnixNano(), 10)
			dst = strconv.AppendInt(append(dst, `,"sequence_number":`...), w.sequence, 10)
			return append(dst, '}')
		},
	},
}

const timestampSchema = `{"type":["null","string"],"format":"date-time","airbyte_type":"timestamp_with_timezone"}`

// IsOwn reports whether a column's name is one that this source adds.
func IsOwn(column string) bool {
	for i := range ownColumns {
		if ownColumns[i].name == column {
			return true
		}
	}
	return false
}

// OwnSchemas are the JSON schemas of our own columns by name, with or without the column of metadata.
func OwnSchemas(metadata bool) map[string]json.RawMessage {
	schemas := map[string]json.RawMessage{}
	for _, c := range ownColumns {
		if !c.optional || metadata {
			schemas[c.name] = json.RawMessage(c.schema)
		}
	}
	return schemas
}
