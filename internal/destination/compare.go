package destination

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strings"
)

// maxDifferences is how many differences Compare lists; one is enough to fail, some help to see why.
const maxDifferences = 10

// Compare compares the table's rows with what the source itself selects, row by row and value by value, and lists the differences. schema
// is the stream's json_schema. The statement must select every row under the columns' own names.
//
// Values are compared by what they mean: numbers as numbers, documents as documents, bytes as bytes. It shares no code with
// the connector.
func (t *Table) Compare(ctx context.Context, db *sql.DB, statement string, schema json.RawMessage) ([]string, error) {
	types, err := typesOf(schema)
	if err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, statement)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var differences []string
	seen := map[string]bool{}
	for rows.Next() {
		row, err := scan(rows, columns)
		if err != nil {
			return nil, err
		}
		key, d, err := t.compareRow(row, types)
		if err != nil {
			return nil, err
		}
		seen[key] = true
		differences = append(differences, d...)
		if len(differences) >= maxDifferences {
			return differences, nil
		}
	}
	for _, key := range slices.Sorted(maps.Keys(t.Rows)) {
		if !seen[key] && len(differences) < maxDifferences {
			differences = append(differences, fmt.Sprintf("row %s is at the destination and not at the source", key))
		}
	}
	return differences, rows.Err()
}

func scan(rows *sql.Rows, columns []string) (map[string][]byte, error) {
	values := make([]sql.RawBytes, len(columns))
	targets := make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	if err := rows.Scan(targets...); err != nil {
		return nil, err
	}
	row := make(map[string][]byte, len(columns))
	for i, c := range columns {
		row[c] = bytes.Clone(values[i]) // nil stays nil
	}
	return row, nil
}

// kind is a column's type by its json_schema.
type kind struct {
	Type     []string `json:"type"`
	Airbyte  string   `json:"airbyte_type"`
	Encoding string   `json:"contentEncoding"`
}

func (k *kind) is(name string) bool { return slices.Contains(k.Type, name) }

func typesOf(schema json.RawMessage) (map[string]*kind, error) {
	var s struct {
		Properties map[string]struct {
			Type     any    `json:"type"`
			Airbyte  string `json:"airbyte_type"`
			Encoding string `json:"contentEncoding"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(schema, &s); err != nil {
		return nil, err
	}
	types := map[string]*kind{}
	for name, p := range s.Properties {
		k := &kind{Airbyte: p.Airbyte, Encoding: p.Encoding}
		switch v := p.Type.(type) {
		case string:
			k.Type = []string{v}
		case []any:
			for _, one := range v {
				k.Type = append(k.Type, fmt.Sprint(one))
			}
		}
		types[name] = k
	}
	return types, nil
}

func (t *Table) compareRow(row map[string][]byte, types map[string]*kind) (key string, differences []string, err error) {
	values := make([]any, len(t.Key))
	for i, column := range t.Key {
		k := types[column]
		if k == nil {
			return "", nil, fmt.Errorf("the key's column %s is not in the schema", column)
		}
		values[i] = k.key(row[column])
	}
	encoded, err := json.Marshal(values)
	if err != nil {
		return "", nil, err
	}
	key = string(encoded)
	got, ok := t.Rows[key]
	if !ok {
		return key, []string{fmt.Sprintf("row %s is at the source and not at the destination", key)}, nil
	}
	for column, want := range row {
		k := types[column]
		if k == nil {
			differences = append(differences, "column "+column+" is not in the schema")
		} else if !k.equal(got[column], want) {
			differences = append(differences, fmt.Sprintf("row %s, column %s: %v at the destination, %q at the source", key, column, got[column], want))
		}
	}
	return key, differences, nil
}

// key is a source's value in the form of the destination's JSON.
func (k *kind) key(v []byte) any {
	switch {
	case k.Encoding == "base64":
		return base64.StdEncoding.EncodeToString(v)
	case k.is("number"):
		return json.Number(v)
	case k.is("boolean"):
		return string(v) != "0" && string(v) != "\x00" // TINYINT(1), BIT(1)
	case k.Airbyte == "timestamp_without_timezone":
		return strings.Replace(string(v), " ", "T", 1)
	case k.Airbyte == "timestamp_with_timezone":
		return strings.Replace(string(v), " ", "T", 1) + "Z"
	}
	return string(v)
}

func (k *kind) equal(got any, want []byte) bool {
	if got == nil || want == nil {
		return got == nil && want == nil
	}
	switch v := k.key(want).(type) {
	case json.Number:
		return equalNumbers(got, v)
	case string:
		if k.Airbyte != "json" {
			return got == v
		}
		var document any
		d := json.NewDecoder(bytes.NewReader(want))
		d.UseNumber()
		return d.Decode(&document) == nil && reflect.DeepEqual(got, document)
	default:
		return got == v
	}
}

func equalNumbers(got any, want json.Number) bool {
	n, ok := got.(json.Number)
	if !ok {
		return false
	}
	a, okA := new(big.Rat).SetString(n.String())
	b, okB := new(big.Rat).SetString(want.String())
	return okA && okB && a.Cmp(b) == 0
}
