package table

import "strings"

// Type is a parsed column type: "decimal(10,2) unsigned" is "decimal" and "10,2".
type Type struct {
	Base string // in lower case
	Args string // between the parentheses, as written
}

// ParseType parses the COLUMN_TYPE of information_schema.columns.
func ParseType(columnType string) Type {
	head := strings.TrimSpace(columnType)
	if end := strings.IndexAny(head, "( "); end >= 0 {
		t := Type{Base: strings.ToLower(head[:end])}
		if last := strings.LastIndexByte(head, ')'); head[end] == '(' && last > end {
			t.Args = head[end+1 : last]
		}
		return t
	}
	return Type{Base: strings.ToLower(head)}
}
