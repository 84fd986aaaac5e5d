package torture

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Column is a column of the source as in information_schema.
type Column struct{ Name, DataType, ColumnType string }

// null is the form of NULL.
const null = "NULL"

// fromSource is the form in which a value selected from the source is compared; asBool if the stream's schema has the column as a
// boolean.
func (c Column) fromSource(v []byte, asBool bool) string {
	if v == nil {
		return null
	}
	s := string(v)
	switch c.DataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "year", "decimal":
		if asBool && strings.HasPrefix(c.ColumnType, "tinyint(1)") { // it may have become another type since the schema was read
			return strconv.FormatBool(strings.Trim(s, "0") != "")
		}
		return number(s)
	case "float", "double":
		return c.floating(s)
	case "bit":
		if c.ColumnType == "bit(1)" {
			return strconv.FormatBool(s != "\x00")
		}
		return base64.StdEncoding.EncodeToString(v)
	case "date", "datetime", "timestamp", "time":
		return c.temporal(s)
	case "json":
		return document(v)
	case "char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set":
		return s
	}
	return base64.StdEncoding.EncodeToString(v)
}

// fromRecord is the same for a value of a record.
func (c Column) fromRecord(v any) string {
	if v == nil {
		return null
	}
	if c.DataType == "json" {
		encoded, _ := json.Marshal(v)
		return document(encoded)
	}
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		if c.DataType == "float" || c.DataType == "double" {
			return c.floating(v.String())
		}
		return number(v.String())
	}
	encoded, _ := json.Marshal(v)
	return string(encoded)
}

func number(s string) string {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return "not a number: " + s
	}
	return r.RatString()
}

// floating rounds FLOATs to six digits, which is what a SELECT returns (TYPES.md).
func (c Column) floating(s string) string {
	digits := -1
	if c.DataType == "float" {
		digits = 6
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return "not a number: " + s
	}
	return strconv.FormatFloat(f, 'g', digits, 64)
}

var timeOfDay = regexp.MustCompile(`^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?$`)

// temporal is the value in Airbyte's form: whatever is not a calendar day or a time of day is null.
func (c Column) temporal(s string) string {
	if c.DataType == "time" {
		if !timeOfDay.MatchString(s) {
			return null
		}
		return s
	}
	layout := "2006-01-02"
	if c.DataType != "date" {
		layout = "2006-01-02 15:04:05"
	}
	if t, err := time.Parse(layout, s); err != nil || t.Year() == 0 {
		return null
	}
	s = strings.Replace(s, " ", "T", 1)
	if c.DataType == "timestamp" {
		s += "Z"
	}
	return s
}

// document is a JSON document in one form: keys sorted, numbers by their value.
func document(encoded []byte) string {
	d := json.NewDecoder(bytes.NewReader(encoded))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return "not a document: " + string(encoded)
	}
	if v == nil { // a document of null is indistinguishable from no document
		return null
	}
	again, _ := json.Marshal(plain(v))
	return string(again)
}

func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		return map[string]string{"number": number(v.String())} // which no text is
	case []any:
		list := slices.Clone(v)
		for i := range list {
			list[i] = plain(list[i])
		}
		return list
	case map[string]any:
		object := map[string]any{}
		for k, e := range v {
			object[k] = plain(e)
		}
		return object
	}
	return v
}
