package row

import (
	"strings"
	"testing"

	"source-planetscale/internal/table"
)

func TestKeepsValues(t *testing.T) {
	column := func(declared string) table.Column {
		columnType, charset, _ := strings.Cut(declared, "; ")
		return table.Column{Name: "c", Type: columnType, Charset: charset}
	}
	long := "'" + strings.Repeat("x", 1000) + "'"
	for _, c := range []struct {
		was, now string
		keeps    bool
	}{
		{"int", "int", true},
		{"int(11)", "int", true},
		{"int", "bigint", true},
		{"bigint", "int", false},
		{"int unsigned", "bigint", true},
		{"int unsigned", "int", false},
		{"int", "bigint unsigned", false},
		{"int", "int(9) unsigned zerofill", false},
		{"int unsigned", "int(9) unsigned zerofill", true},
		{"tinyint(1)", "tinyint", true},
		{"int", "decimal(20,0)", false},
		{"int", "varchar(20); utf8mb4", false},
		{"int", "double", false},
		{"decimal(10,2)", "decimal(12,2)", true},
		{"decimal(10,2)", "decimal(12,3)", false},
		{"decimal(10,2)", "decimal(12,1)", false},
		{"decimal(12,2)", "decimal(10,2)", false},
		{"decimal(10,2)", "decimal(12,2) unsigned", false},
		{"decimal(10,2) unsigned", "decimal(10,2)", true},
		{"float", "double", false},
		{"bit(10)", "bit(20)", false},
		{"varchar(20); utf8mb4", "varchar(40); utf8mb4", true},
		{"varchar(20); utf8mb4", "varchar(10); utf8mb4", false},
		{"varchar(20); utf8", "varchar(20); utf8mb3", true},
		{"varchar(20); utf8mb3", "varchar(20); utf8mb4", true},
		{"varchar(20); utf8mb4", "varchar(20); utf8mb3", false},
		{"varchar(20); latin1", "varchar(20); utf8mb4", true},
		{"varchar(20); latin1", "varchar(20); utf8mb3", true},
		{"varchar(20); gbk", "varchar(20); latin1", false},
		{"varchar(20); ascii", "varchar(20); latin1", true},
		{"varchar(20); utf16", "varchar(20); utf8mb4", true},
		{"varchar(20); dec8", "varchar(20); geostd8", false},
		{"varchar(20); klingon", "varchar(20); utf8mb4", false},
		{"varchar(20); latin1", "varchar(20); klingon", false},
		{"char(9); utf8mb4", "varchar(9); utf8mb4", true},
		{"varchar(9); utf8mb4", "char(9); utf8mb4", false},
		{"char(9); utf8mb4", "char(10); utf8mb4", true},
		{"varchar(20); utf8mb4", "text; utf8mb4", true},
		{"varchar(20); utf8mb4", "tinytext; utf8mb4", true},
		{"varchar(90); latin1", "tinytext; utf8mb4", false},
		{"text; utf8mb4", "varchar(20); utf8mb4", false},
		{"text; utf8mb4", "tinytext; utf8mb4", false},
		{"tinytext; latin1", "text; utf8mb4", true},
		{"text; latin1", "text; utf8mb4", false},
		{"varchar(20); utf8mb4", "varbinary(80)", false},
		{"varbinary(9)", "varbinary(20)", true},
		{"varbinary(9)", "varbinary(8)", false},
		{"binary(4)", "varbinary(4)", true},
		{"varbinary(4)", "binary(4)", false},
		{"binary(4)", "binary(8)", false},
		{"date", "datetime", false},
		{"datetime", "datetime(6)", false},
		{"datetime(6)", "datetime", false},
		{"timestamp", "datetime", false},
		{"enum('a','b'); utf8mb4", "enum('a','b','c'); utf8mb4", true},
		{"enum('a','b'); utf8mb4", "enum('c','b','a'); utf8mb4", true},
		{"enum('a','b'); utf8mb4", "enum('a','c'); utf8mb4", false},
		{"enum('a','b'); utf8mb4", "enum('b','a'); latin1", false},
		{"enum('a','b'); latin1", "enum('b','a'); utf8mb4", true},
		{"enum('a','b'); utf8mb4", "varchar(9); utf8mb4", false},
		{table.DigestType("enum('a'," + long + ")"), "enum('a'," + long + ",'c')", true},
		{table.DigestType("enum('a'," + long + ")"), "enum(" + long + ",'a')", false},
		{"set('a','b'); utf8mb4", "set('a','b','c'); utf8mb4", true},
		{"set('a','b'); utf8mb4", "set('b','a'); utf8mb4", false},
	} {
		if KeepsValues(column(c.was), column(c.now)) != c.keeps {
			t.Errorf("from %s to %s: want %v", c.was, c.now, c.keeps)
		}
	}
}
