package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestShopHasEveryCommonType(t *testing.T) {
	var definitions []string
	for _, table := range shop {
		for _, c := range table.columns {
			definitions = append(definitions, c.definition+" ")
		}
	}
	for _, want := range []string{
		"tinyint ", "tinyint unsigned", "smallint ", "smallint unsigned", "mediumint ", "mediumint unsigned", "int ", "int unsigned",
		"bigint ", "bigint unsigned", "decimal(", "float", "double", "bit(", "bool", "date ", "datetime ", "datetime(6)", "timestamp(",
		"time ", "time(", "year", "char(", "varchar(", "tinytext", "text", "mediumtext", "longtext", "enum(", "set(", "json",
		"binary(", "varbinary(", "tinyblob", "blob",
	} {
		if !has(definitions, want) {
			t.Errorf("no column is %s", want)
		}
	}
}

func has(definitions []string, prefix string) bool {
	for _, d := range definitions {
		if strings.HasPrefix(d, prefix) {
			return true
		}
	}
	return false
}

func TestShopIsLargeAndTheSameEveryTime(t *testing.T) {
	sum := 0
	for _, table := range shop {
		sum += table.rows
		query, args := table.insert(1, min(table.rows, 50))
		again, argsAgain := table.insert(1, min(table.rows, 50))
		if d := cmp.Diff(args, argsAgain); d != "" || query != again {
			t.Errorf("%s differs from one run to the next:\n%s", table.name, d)
		}
		if marks := strings.Count(query, "?"); marks != len(args) {
			t.Errorf("%s: %d values for %d placeholders", table.name, len(args), marks)
		}
		if !strings.HasPrefix(table.name, "demo_") {
			t.Errorf("table %s could belong to someone else", table.name)
		}
	}
	if sum < 50_000 {
		t.Errorf("%d rows, want 50,000 or more", sum)
	}
}
