package torture

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// columnKind is a type of column that tables are made of: a new type is a new line of columnKinds.
type columnKind struct {
	tag     string // what it is called in the list of what is not mended
	decl    string
	edges   []string // SQL literals
	random  func(*rand.Rand) string
	key     bool   // may be in a key
	vindex  string // the vindex that can shard by it, if any
	numeric bool
}

// Mark is in texts, so that a value that appears where none may be is recognized.
const Mark = "zqx"

func integers(bits int, unsigned bool) func(*rand.Rand) string {
	return func(r *rand.Rand) string {
		n := r.Uint64() >> (64 - bits)
		if unsigned {
			return fmt.Sprint(n)
		}
		return fmt.Sprint(int64(n) - 1<<(bits-1))
	}
}

func numbered(format string, n int) func(*rand.Rand) string {
	return func(r *rand.Rand) string { return fmt.Sprintf(format, r.IntN(n)) }
}

func oneOf(list ...string) func(*rand.Rand) string {
	return func(r *rand.Rand) string { return list[r.IntN(len(list))] }
}

func words(letters string, longest int) func(*rand.Rand) string {
	all := []rune(letters)
	return func(r *rand.Rand) string {
		var b strings.Builder
		for range r.IntN(longest + 1) {
			b.WriteRune(all[r.IntN(len(all))])
		}
		return "'" + strings.ReplaceAll(b.String(), "'", "''") + "'"
	}
}

func bytesOf(longest int) func(*rand.Rand) string {
	return func(r *rand.Rand) string {
		var b strings.Builder
		for range r.IntN(longest + 1) {
			fmt.Fprintf(&b, "%02x", r.IntN(256))
		}
		return "x'" + b.String() + "'"
	}
}

func moment(format string) func(*rand.Rand) string {
	return func(r *rand.Rand) string {
		return fmt.Sprintf(format, 1971+r.IntN(60), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1000))
	}
}

var textEdges = []string{"''", "'a'", "'A'", "'á'", "'a '", "'ß'", "'ss'", "'0'", `'it''s "\\\\"'`, "'zqx1'", "'zqx2'"}

const (
	dateFormat     = "'%04[1]d-%02[2]d-%02[3]d'"
	datetimeFormat = "'%04[1]d-%02[2]d-%02[3]d %02[4]d:%02[5]d:%02[6]d'"
	millisFormat   = "'%04[1]d-%02[2]d-%02[3]d %02[4]d:%02[5]d:%02[6]d.%03[7]d'"
)

// columnKinds leave out what TYPES.md lists as garbled by the server: labels beyond the BMP, documents with bytes or times.
var columnKinds = []columnKind{
	{tag: "tinyint", decl: "tinyint", edges: []string{"-128", "0", "127"}, random: integers(8, false), key: true, vindex: "xxhash", numeric: true},
	{tag: "bool", decl: "tinyint(1)", edges: []string{"0", "1", "2", "3", "-1"}, random: oneOf("0", "1", "2", "7"), key: true, vindex: "xxhash", numeric: true},
	{tag: "smallint", decl: "smallint unsigned", edges: []string{"0", "65535"}, random: integers(16, true), key: true, vindex: "hash", numeric: true},
	{tag: "mediumint", decl: "mediumint", edges: []string{"-8388608", "8388607"}, random: integers(24, false), key: true, vindex: "hash", numeric: true},
	{tag: "int", decl: "int", edges: []string{"-2147483648", "-1", "0", "1", "2147483647"}, random: integers(32, false), key: true, vindex: "hash", numeric: true},
	{tag: "bigint", decl: "bigint", edges: []string{"-9223372036854775808", "0", "9223372036854775807"}, random: integers(63, false), key: true, vindex: "hash", numeric: true},
	{tag: "unsigned", decl: "bigint unsigned", edges: []string{"0", "9007199254740993", "18446744073709551615"}, random: integers(64, true), key: true, vindex: "xxhash", numeric: true},
	{tag: "zerofill", decl: "int(8) unsigned zerofill", edges: []string{"0", "42", "4294967295"}, random: integers(32, true), key: true, numeric: true},
	{tag: "decimal", decl: "decimal(10,2)", edges: []string{"0", "-0.5", "0.05", "12.30", "-99999999.99", "99999999.99"}, random: numbered("%d.25", 1e6), key: true, numeric: true},
	{tag: "bigdecimal", decl: "decimal(40,10)", edges: []string{"0.5", "-0.5", "0", "999999999999999999999999999999.9999999999"}, random: numbered("-%d.0000000001", 1e9), key: true, numeric: true},
	{tag: "wholedecimal", decl: "decimal(12,0)", edges: []string{"12", "-999999999999"}, random: numbered("%d", 1e9), key: true, numeric: true},
	{tag: "float", decl: "float", edges: []string{"0", "1.1", "-0.5", "1e20", "1e-20", "16777217"}, random: numbered("%d.5", 1000), key: true, numeric: true},
	{tag: "double", decl: "double", edges: []string{"0", "0.1", "2.5e-10", "1e300", "-1.7976931348623157e308", "9007199254740993"}, random: numbered("%d.125", 1e6), key: true, numeric: true},
	{tag: "bit", decl: "bit(1)", edges: []string{"0", "1"}, random: oneOf("0", "1"), key: true},
	{tag: "bits", decl: "bit(10)", edges: []string{"0", "1023", "1"}, random: numbered("%d", 1024), key: true},
	{tag: "year", decl: "year", edges: []string{"0", "1901", "2155"}, random: numbered("19%02d", 100), key: true, numeric: true},
	{tag: "date", decl: "date", edges: []string{"'0000-00-00'", "'0001-01-01'", "'9999-12-31'", "'2024-02-29'", "'2026-02-30'"}, random: moment(dateFormat), key: true},
	{tag: "datetime", decl: "datetime", edges: []string{"'0000-00-00 00:00:00'", "'9999-12-31 23:59:59'"}, random: moment(datetimeFormat), key: true},
	{tag: "datetime6", decl: "datetime(6)", edges: []string{"'9999-12-31 23:59:59.999999'", "'2026-11-22 10:30:00.000001'"}, random: moment(millisFormat), key: true},
	{tag: "timestamp", decl: "timestamp", edges: []string{"'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'0000-00-00 00:00:00'"}, random: moment(datetimeFormat), key: true},
	{tag: "timestamp3", decl: "timestamp(3)", edges: []string{"'2026-11-22 10:30:00.001'"}, random: moment(millisFormat), key: true},
	{tag: "time", decl: "time", edges: []string{"'00:00:00'", "'23:59:59'", "'-00:00:01'", "'838:59:59'"}, random: moment("'%02[4]d:%02[5]d:%02[6]d'"), key: true},
	{tag: "time6", decl: "time(6)", edges: []string{"'10:30:00.5'", "'24:00:00'"}, random: moment("'%02[4]d:%02[5]d:%02[6]d.%03[7]d'"), key: true},
	{tag: "char", decl: "char(9)", edges: textEdges, random: words("aAbBáz 0", 6), key: true, vindex: "xxhash"},
	{tag: "varchar", decl: "varchar(40)", edges: textEdges, random: words("aAbBáÁzqx日😀 0", 12), key: true, vindex: "loose"},
	{tag: "padded", decl: "varchar(20) collate utf8mb4_general_ci", edges: textEdges, random: words("aA b", 5), key: true, vindex: "xxhash"},
	{tag: "binarytext", decl: "varchar(40) collate utf8mb4_bin", edges: textEdges, random: words("aAbBáÁ ", 12), key: true, vindex: "xxhash"},
	{tag: "latin1", decl: "varchar(20) character set latin1", edges: []string{"''", "'é'", "'E'", "'€ a'", "'a '"}, random: words("éEaAü ", 9), key: true},
	{tag: "gbk", decl: "varchar(20) character set gbk", edges: []string{"''", "'中'", "'文a'"}, random: words("中文aA", 6), key: true},
	{tag: "utf16", decl: "varchar(20) character set utf16", edges: []string{"''", "'é'", "'😀'"}, random: words("é😀aA", 6), key: true},
	{tag: "text", decl: "text", edges: textEdges, random: words("aAbB\tz 日😀'' ", 60)},
	{tag: "mediumtext", decl: "mediumtext", edges: textEdges, random: words("abc ", 200)},
	{tag: "enum", decl: "enum('b','é','a','x,y','1')", edges: []string{"'b'", "'é'", "'a'", "'x,y'", "'1'", "0"}, random: oneOf("1", "2", "3", "4", "5"), key: true},
	{tag: "enummore", decl: "enum('b','é','a','x,y','1','new')", edges: []string{"'b'", "'new'", "'x,y'", "0"}, random: oneOf("1", "2", "3", "6"), key: true},
	{tag: "enumother", decl: "enum('1','a','b','é')", edges: []string{"'1'", "'é'", "0"}, random: oneOf("1", "2", "3", "4"), key: true},
	{tag: "set", decl: "set('b','é','a')", edges: []string{"''", "'b'", "'é,a'", "'b,é,a'"}, random: numbered("%d", 8), key: true},
	{tag: "json", decl: "json", edges: []string{"'null'", "'[]'", `'{"a": [1, 2.50, null], "b": "é"}'`, `'"t"'`, "'0.5'", "'true'"}, random: numbered(`'{"n": %d, "t": "zqx"}'`, 1e6)},
	{tag: "binary", decl: "binary(4)", edges: []string{"x'00000000'", "x'61'", "x'ffffffff'", "x'6100'"}, random: bytesOf(4), key: true},
	{tag: "varbinary", decl: "varbinary(9)", edges: []string{"x''", "x'00'", "x'0000'", "x'ff'", "x'61'", "x'6120'"}, random: bytesOf(9), key: true, vindex: "xxhash"},
	{tag: "blob", decl: "blob", edges: []string{"x''", "x'00ff'"}, random: bytesOf(60)},
	{tag: "point", decl: "point", edges: []string{"point(0,0)"}, random: numbered("point(%d, -1.5)", 100)},
}

// Quote quotes a name as an SQL identifier.
func Quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
