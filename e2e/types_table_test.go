package e2e

import (
	"fmt"
	"strings"
)

// typesTable is one table of the type test.
type typesTable struct {
	name    string
	columns []typesColumn
	keys    int  // how many of the first columns form the key, instead of an id
	sharded bool // tested in the sharded keyspace, too
}

// typesColumn is a column and the values that it is tested with.
type typesColumn struct {
	name       string // if empty, the rig chooses one
	definition string
	is         is
	but        []typesForced
}

// is has pairs: an SQL literal, and the JSON that it becomes however it is read.
type is [][2]string

// typesForced is a literal that MySQL or Vitess cause to be read differently, with the name of the reason in TYPES.md.
type typesForced struct{ literal, copied, replicated, difference string }

// Instead of a value's JSON: null, with an entry in meta.changes that has the reason.
const (
	nulled    = "null, SOURCE_SERIALIZATION_ERROR"
	oversized = "null, SOURCE_FIELD_SIZE_LIMITATION"
)

func of(definition string, is is, but ...typesForced) typesColumn {
	return typesColumn{definition: definition, is: is, but: but}
}

func named(name, definition string, is is, but ...typesForced) typesColumn {
	return typesColumn{name: name, definition: definition, is: is, but: but}
}

// typesTables returns what the type test expects.
func typesTables() []typesTable {
	return []typesTable{
		{name: "typ_integers", columns: integerColumns, sharded: true},
		{name: "typ_decimals", columns: decimalColumns, sharded: true},
		{name: "typ_floats", columns: floatColumns},
		{name: "typ_bits", columns: bitColumns},
		{name: "typ_dates", columns: dateColumns, sharded: true},
		{name: "typ_times", columns: timeColumns},
		{name: "typ_texts", columns: textColumns(), sharded: true},
		{name: "typ_labels", columns: labelColumns(), sharded: true},
		{name: "typ_many_labels", columns: manyLabels()},
		{name: "typ_documents", columns: documentColumns(), sharded: true},
		{name: "typ_bytes", columns: byteColumns()},
		{name: "typ_shapes", columns: shapeColumns},
		{name: "typ_vectors", columns: vectorColumns()},
		{name: "typ_generated", columns: generatedColumns, sharded: true},
		{name: "typ_names", columns: nameColumns, sharded: true},
		{name: "/typ_^slash.*$", columns: oneOfMany, sharded: true},
		{name: "typ_a.b", columns: oneOfMany, sharded: true},
		{name: "typ_q'u\"o t e", columns: oneOfMany, sharded: true},
		{name: "typ_таблица_表", columns: oneOfMany, sharded: true},
		{name: "typ_100%*\\", columns: oneOfMany},
		{name: "typ_key_utf8mb4", keys: 1, columns: []typesColumn{of("VARCHAR(40)", keyTexts)}, sharded: true},
		{name: "typ_key_bin", keys: 1, columns: []typesColumn{of("VARCHAR(40) COLLATE utf8mb4_bin", append(is{{"'É'", `"É"`}}, keyTexts...))}},
		{name: "typ_key_latin1", keys: 1, columns: []typesColumn{of("CHAR(9) CHARACTER SET latin1", is{
			{"'é'", `"é"`}, {"'€ a'", `"€ a"`}, {"''", `""`},
		})}},
		{name: "typ_key_gbk", keys: 1, columns: []typesColumn{of("VARCHAR(9) CHARACTER SET gbk", is{{"'中'", `"中"`}, {"'文'", `"文"`}})}},
		{name: "typ_key_utf16", keys: 1, columns: []typesColumn{of("VARCHAR(9) CHARACTER SET utf16", is{
			{"'é'", `"é"`}, {"'😀'", `"😀"`},
		})}},
		{name: "typ_key_decimal", keys: 1, columns: []typesColumn{of("DECIMAL(40,10)", is{
			{"0.5", `0.5000000000`}, {"-0.5", `-0.5000000000`}, {"0", `0.0000000000`}, {nines(30), nines(30) + ".0000000000"},
		})}},
		{name: "typ_key_datetime", keys: 1, columns: []typesColumn{of("DATETIME(6)", is{
			{"'2026-11-22 10:30:00.000001'", `"2026-11-22T10:30:00.000001"`}, {"'2026-11-22 10:30:00.000002'", `"2026-11-22T10:30:00.000002"`},
		})}},
		{name: "typ_key_timestamp", keys: 1, columns: []typesColumn{of("TIMESTAMP(3)", is{
			{"'2026-11-22 10:30:00.001'", `"2026-11-22T10:30:00.001Z"`}, {"'2026-11-22 10:30:00'", `"2026-11-22T10:30:00.000Z"`},
		})}},
		{name: "typ_key_date", keys: 1, columns: []typesColumn{of("DATE", is{
			{"'2026-11-22'", `"2026-11-22"`}, {"'0001-01-01'", `"0001-01-01"`},
		})}},
		{name: "typ_key_binary", keys: 1, columns: []typesColumn{of("BINARY(4)", is{
			{"x'00000000'", `"AAAAAA=="`}, {"x'00000001'", `"AAAAAQ=="`}, {"x'61000000'", `"YQAAAA=="`}, {"x'ffffffff'", `"/////w=="`},
		})}},
		{name: "typ_key_varbinary", keys: 1, columns: []typesColumn{of("VARBINARY(9)", is{
			{"x''", `""`}, {"x'00'", `"AA=="`}, {"x'0000'", `"AAA="`}, {"x'ff'", `"/w=="`},
		})}, sharded: true},
		{name: "typ_key_enum", keys: 1, columns: []typesColumn{of("ENUM('b','é','a') CHARACTER SET latin1", is{
			{"'é'", `"é"`}, {"'a'", `"a"`}, {"'b'", `"b"`}, {"0", `""`},
		})}},
		{name: "typ_key_set", keys: 1, columns: []typesColumn{of("SET('b','é','a')", is{{"'é,a'", `"é,a"`}, {"''", `""`}, {"'b'", `"b"`}})}},
		{name: "typ_key_bit", keys: 1, columns: []typesColumn{of("BIT(10)", is{{"0", `"AAA="`}, {"1023", `"A/8="`}})}},
		{name: "typ_key_double", keys: 1, columns: []typesColumn{of("DOUBLE", is{{"0.1", `0.1`}, {"2.5e-10", `2.5e-10`}, {"1e300", `1e+300`}})}},
		{name: "typ_key_unsigned", keys: 1, columns: []typesColumn{of("BIGINT UNSIGNED", is{
			{"0", `0`}, {"18446744073709551615", `18446744073709551615`},
		})}},
		{name: "typ_key_composite", keys: 3, columns: []typesColumn{
			of("VARCHAR(9)", is{{"'é'", `"é"`}, {"'é'", `"é"`}, {"'é'", `"é"`}}),
			of("DECIMAL(3,1)", is{{"0.5", `0.5`}, {"0.5", `0.5`}, {"-0.5", `-0.5`}}),
			of("DATE", is{{"'2026-11-22'", `"2026-11-22"`}, {"'2026-11-23'", `"2026-11-23"`}, {"'2026-11-22'", `"2026-11-22"`}}),
			of("INT", is{{"1", `1`}}),
		}},
	}
}

var keyTexts = is{{"'é'", `"é"`}, {"'日本'", `"日本"`}, {"'😀'", `"😀"`}, {"'it''s a\\\\b'", `"it's a\\b"`}, {"''", `""`}}

var oneOfMany = []typesColumn{of("INT", is{{"42", `42`}})}

var nameColumns = []typesColumn{
	named("a.b", "INT", is{{"1", `1`}}),
	named("it's", "INT", is{{"2", `2`}}),
	named(`"quoted"`, "VARCHAR(9)", is{{"'é'", `"é"`}}),
	named("back`tick", "INT", is{{"4", `4`}}),
	named(`back\slash`, "INT", is{{"5", `5`}}),
	named(" leading and inner space", "INT", is{{"6", `6`}}),
	named("naïve_столбец_列_ชื่อ", "ENUM('x','é')", is{{"'é'", `"é"`}}),
	named("select", "INT", is{{"8", `8`}}),
	named("from", "JSON", is{{"'[0.5]'", `[0.5]`}}),
	named("/x.*/", "INT", is{{"10", `10`}}),
	named("1", "INT", is{{"11", `11`}}),
	named("count(*)", "INT", is{{"12", `12`}}),
	named("a, b", "INT", is{{"13", `13`}}),
	named("%s {{n}} $x", "DATE", is{{"'0000-00-00'", nulled}, {"'2026-11-22'", `"2026-11-22"`}}),
	named("UPPER", "INT", is{{"15", `15`}}),
	named("-- x", "INT", is{{"16", `16`}}),
	named("@1", "INT", is{{"17", `17`}}),
	named(strings.Repeat("列", 64), "INT", is{{"18", `18`}}),
}

var generatedColumns = []typesColumn{
	named("a", "INT", is{{"7", `7`}, {"-1", `-1`}}),
	named("y", "YEAR", is{{"2026", `2026`}, {"1999", `1999`}}),
	named("e", "ENUM('x','é')", is{{"'é'", `"é"`}, {"'x'", `"x"`}}),
	named("s", "SET('x','é')", is{{"'é,x'", `"x,é"`}, {"''", `""`}}),
	named("b", "BIT(4)", is{{"5", `"BQ=="`}}),
	named("stored", "INT GENERATED ALWAYS AS (a * 2) STORED", is{{"DEFAULT", `14`}, {"DEFAULT", `-2`}}),
	named("virtual", "INT GENERATED ALWAYS AS (a * 3) VIRTUAL", is{{"DEFAULT", `21`}, {"DEFAULT", `-3`}}),
	named("virtual_text", "VARCHAR(20) GENERATED ALWAYS AS (concat('é', a)) VIRTUAL", is{{"DEFAULT", `"é7"`}, {"DEFAULT", `"é-1"`}}),
	named("stored_decimal", "DECIMAL(5,2) GENERATED ALWAYS AS (a / 10) STORED", is{{"DEFAULT", `0.70`}, {"DEFAULT", `-0.10`}}),
	named("stored_year", "JSON GENERATED ALWAYS AS (if(y is null, null, json_array(y))) STORED", is{
		{"DEFAULT", `[2026]`}, {"DEFAULT", `[1999]`},
	}),
	named("virtual_labels", "JSON GENERATED ALWAYS AS (if(e is null, null, json_array(e, s))) VIRTUAL", is{
		{"DEFAULT", `["é", "x,é"]`}, {"DEFAULT", `["x", ""]`},
	}),
	named("stored_bit", "JSON GENERATED ALWAYS AS (if(b is null, null, json_array(b))) STORED", nil,
		typesForced{"DEFAULT", `["base64:type16:BQ=="]`, `["base64:type15:BQ=="]`, opaqueBytes}),
	named("invisible", "INT INVISIBLE", is{{"7", `7`}}),
	named("invisible_stored", "INT GENERATED ALWAYS AS (a + 1) STORED INVISIBLE", is{{"DEFAULT", `8`}, {"DEFAULT", `0`}}),
	named("invisible_virtual", "DATE GENERATED ALWAYS AS (if(a > 0, '2026-11-22', null)) VIRTUAL INVISIBLE", is{
		{"DEFAULT", `"2026-11-22"`}, {"DEFAULT", `null`},
	}),
}

var integerColumns = []typesColumn{
	of("TINYINT(1)", is{{"0", `false`}, {"1", `true`}, {"-1", `true`}, {"127", `true`}, {"-128", `true`}}),
	of("BOOL", is{{"true", `true`}, {"false", `false`}}),
	of("TINYINT(1) UNSIGNED ZEROFILL", is{{"0", `false`}, {"1", `true`}, {"255", `true`}}),
	// MySQL does not keep this (1), so it cannot be distinguished from TINYINT UNSIGNED; see TYPES.md.
	of("TINYINT(1) UNSIGNED", is{{"0", `0`}, {"1", `1`}, {"255", `255`}}),
	of("TINYINT", is{{"-128", `-128`}, {"0", `0`}, {"127", `127`}}),
	of("TINYINT(4)", is{{"1", `1`}}),
	of("TINYINT UNSIGNED", is{{"0", `0`}, {"255", `255`}}),
	of("TINYINT(3) UNSIGNED ZEROFILL", is{{"0", `0`}, {"7", `7`}, {"255", `255`}}),
	of("SMALLINT", is{{"-32768", `-32768`}, {"0", `0`}, {"32767", `32767`}}),
	of("SMALLINT UNSIGNED", is{{"65535", `65535`}}),
	of("SMALLINT ZEROFILL", is{{"42", `42`}}),
	of("MEDIUMINT", is{{"-8388608", `-8388608`}, {"-1", `-1`}, {"8388607", `8388607`}}),
	of("MEDIUMINT UNSIGNED", is{{"16777215", `16777215`}}),
	of("MEDIUMINT(8) ZEROFILL", is{{"42", `42`}}),
	of("INT", is{{"-2147483648", `-2147483648`}, {"-1", `-1`}, {"0", `0`}, {"2147483647", `2147483647`}}),
	of("INT UNSIGNED", is{{"4294967295", `4294967295`}}),
	of("INT(8) UNSIGNED ZEROFILL", is{{"42", `42`}, {"0", `0`}, {"4294967295", `4294967295`}}),
	of("BIGINT", is{{"-9223372036854775808", `-9223372036854775808`}, {"-1", `-1`}, {"9223372036854775807", `9223372036854775807`}}),
	of("BIGINT UNSIGNED", is{{"0", `0`}, {"9007199254740993", `9007199254740993`}, {"18446744073709551615", `18446744073709551615`}}),
	of("BIGINT(20) ZEROFILL", is{{"42", `42`}, {"18446744073709551615", `18446744073709551615`}}),
	of("YEAR", is{{"1901", `1901`}, {"2155", `2155`}, {"0", `0`}, {"'0000'", `0`}, {"'00'", `2000`}}),
}

var decimalColumns = []typesColumn{
	of("DECIMAL(10,2)", is{
		{"0", `0.00`},
		{"-0", `0.00`},
		{"0.1", `0.10`},
		{"-0.5", `-0.50`},
		{"12.30", `12.30`},
		{"-12345678.90", `-12345678.90`},
		{"99999999.99", `99999999.99`},
		{"-99999999.99", `-99999999.99`},
	}),
	of("DECIMAL(10,2) UNSIGNED ZEROFILL", is{{"0", `0.00`}, {"1.5", `1.50`}, {"0.05", `0.05`}, {"99999999.99", `99999999.99`}}),
	of("DECIMAL(5)", is{{"0", `0`}, {"-7", `-7`}, {"99999", `99999`}}),
	of("DECIMAL(9,0) ZEROFILL", is{{"12", `12`}, {"0", `0`}}),
	of("DECIMAL(12,0)", is{{"12", `12`}, {"-999999999999", `-999999999999`}}),
	of("DECIMAL(1,1)", is{{"0.1", `0.1`}, {"-0.9", `-0.9`}, {"0", `0.0`}}),
	of("DECIMAL(30,30)", is{
		{"0.000000000000000000000000000001", `0.000000000000000000000000000001`},
		{"-0.999999999999999999999999999999", `-0.999999999999999999999999999999`},
	}),
	of("DECIMAL(65,0)", is{{nines(65), nines(65)}, {"-" + nines(65), "-" + nines(65)}, {"1", `1`}}),
	of("DECIMAL(65,30)", is{
		{nines(35) + "." + nines(30), nines(35) + "." + nines(30)},
		{"-" + nines(35) + "." + nines(30), "-" + nines(35) + "." + nines(30)},
		{"1", `1.000000000000000000000000000000`},
		{"-0.5", `-0.500000000000000000000000000000`},
		{
			"12345678901234567890123456789012345.123456789012345678901234567890",
			`12345678901234567890123456789012345.123456789012345678901234567890`,
		},
	}),
	of("DECIMAL(20,10) UNSIGNED", is{{"0.0000000001", `0.0000000001`}, {"1000000000.0000000001", `1000000000.0000000001`}}),
	of("NUMERIC(4,1)", is{{"-100.5", `-100.5`}, {"100", `100.0`}}),
	of("FIXED(18,9)", is{{"100000000.000000001", `100000000.000000001`}, {"10", `10.000000000`}}),
}

func nines(n int) string { return strings.Repeat("9", n) }

const floatDigits = "FLOAT of more than six digits"

var floatColumns = []typesColumn{
	of("FLOAT", is{
		{"0", `0`},
		{"-0e0", `-0`},
		{"1.1", `1.1`},
		{"-0.5", `-0.5`},
		{"1e-20", `1e-20`},
		{"1e20", `100000000000000000000`},
		{"999999", `999999`},
		{"-1e30", `-1e+30`},
	},
		typesForced{"16777217", `16777200`, `16777216`, floatDigits},
		typesForced{"3.402823466e38", `3.40282e+38`, `3.4028235e+38`, floatDigits},
		typesForced{"-3.402823466e38", `-3.40282e+38`, `-3.4028235e+38`, floatDigits},
		typesForced{"1.175494351e-38", `1.17549e-38`, `1.1754944e-38`, floatDigits},
		typesForced{"0.33333333333", `0.333333`, `0.33333334`, floatDigits},
	),
	of("FLOAT(7,4)", is{{"999.0001", `999.0001`}, {"0.5", `0.5`}}),
	of("FLOAT UNSIGNED", is{{"1.5", `1.5`}}),
	of("FLOAT(8,2) ZEROFILL", is{{"1.5", `1.5`}, {"0", `0`}}),
	of("FLOAT(24)", is{{"2.5", `2.5`}}),
	of("FLOAT(53)", is{{"0.1", `0.1`}, {"16777217", `16777217`}}),
	of("DOUBLE", is{
		{"0", `0`},
		{"-0e0", `-0`},
		{"0.1", `0.1`},
		{"2.5e-10", `2.5e-10`},
		{"1e-7", `1e-7`},
		{"1e15", `1000000000000000`},
		{"1e300", `1e+300`},
		{"-1e300", `-1e+300`},
		{"1.7976931348623157e308", `1.7976931348623157e+308`},
		{"-1.7976931348623157e308", `-1.7976931348623157e+308`},
		{"2.2250738585072014e-308", `2.2250738585072014e-308`},
		{"4.9e-324", `5e-324`},
		{"0.3333333333333333", `0.3333333333333333`},
		{"123456789012345678", `123456789012345680`},
		{"9007199254740993", `9007199254740992`},
	}),
	of("DOUBLE(10,2)", is{{"1.5", `1.5`}, {"-99999999.99", `-99999999.99`}}),
	of("DOUBLE(10,3) ZEROFILL", is{{"1.5", `1.5`}, {"0", `0`}}),
	of("REAL", is{{"-2.5", `-2.5`}}),
}

var bitColumns = []typesColumn{
	of("BIT", is{{"b'0'", `false`}, {"b'1'", `true`}}),
	of("BIT(1)", is{{"0", `false`}, {"1", `true`}}),
	of("BIT(2)", is{{"b'10'", `"Ag=="`}}),
	of("BIT(8)", is{{"b'10101010'", `"qg=="`}, {"0", `"AA=="`}, {"255", `"/w=="`}}),
	of("BIT(10)", is{{"b'1111111111'", `"A/8="`}, {"1", `"AAE="`}}),
	of("BIT(63)", is{{"9223372036854775807", `"f/////////8="`}}),
	of("BIT(64)", is{{"18446744073709551615", `"//////////8="`}, {"0", `"AAAAAAAAAAA="`}}),
}

var dateColumns = []typesColumn{
	of("DATE", is{
		{"'2026-11-22'", `"2026-11-22"`},
		{"'1000-01-01'", `"1000-01-01"`},
		{"'0001-01-01'", `"0001-01-01"`},
		{"'9999-12-31'", `"9999-12-31"`},
		{"'2024-02-29'", `"2024-02-29"`},
		{"'0000-00-00'", nulled},
		{"'2026-00-00'", nulled},
		{"'2026-11-00'", nulled},
		{"'2026-02-30'", nulled},
		{"'2026-02-29'", nulled},
		{"'0000-01-01'", nulled},
	}),
	of("DATE NOT NULL DEFAULT '2000-01-01'", is{{"'0000-00-00'", nulled}}),
	of("DATETIME", is{
		{"'2026-11-22 10:30:00'", `"2026-11-22T10:30:00"`},
		{"'0001-01-01 00:00:00'", `"0001-01-01T00:00:00"`},
		{"'9999-12-31 23:59:59'", `"9999-12-31T23:59:59"`},
		{"'0000-00-00 00:00:00'", nulled},
		{"'2026-02-30 10:00:00'", nulled},
		{"'2026-00-01 10:00:00'", nulled},
	}),
	of("DATETIME(1)", is{{"'2026-11-22 10:30:00.5'", `"2026-11-22T10:30:00.5"`}, {"'2026-11-22 10:30:00'", `"2026-11-22T10:30:00.0"`}}),
	of("DATETIME(2)", is{{"'2026-11-22 10:30:00.05'", `"2026-11-22T10:30:00.05"`}}),
	of("DATETIME(3)", is{
		{"'2026-11-22 10:30:00.005'", `"2026-11-22T10:30:00.005"`}, {"'2026-11-22 10:30:00.120'", `"2026-11-22T10:30:00.120"`},
	}),
	of("DATETIME(4)", is{{"'2026-11-22 10:30:00.0005'", `"2026-11-22T10:30:00.0005"`}}),
	of("DATETIME(5)", is{{"'2026-11-22 10:30:00.00005'", `"2026-11-22T10:30:00.00005"`}}),
	of("DATETIME(6)", is{
		{"'2026-11-22 10:30:00.123456'", `"2026-11-22T10:30:00.123456"`},
		{"'2026-11-22 10:30:00.000001'", `"2026-11-22T10:30:00.000001"`},
		{"'9999-12-31 23:59:59.999999'", `"9999-12-31T23:59:59.999999"`},
		{"'0000-00-00 00:00:00.000000'", nulled},
	}),
	of("DATETIME(3) NOT NULL DEFAULT '2000-01-01'", is{{"'0000-00-00'", nulled}}),
	of("TIMESTAMP", is{
		{"'1970-01-01 00:00:01'", `"1970-01-01T00:00:01Z"`},
		{"'2026-11-22 10:30:00'", `"2026-11-22T10:30:00Z"`},
		{"'2026-11-22 10:30:00+05:30'", `"2026-11-22T05:00:00Z"`},
		{"'2038-01-19 03:14:07'", `"2038-01-19T03:14:07Z"`},
		{"'0000-00-00 00:00:00'", nulled},
	}),
	of("TIMESTAMP(6) NOT NULL DEFAULT '2000-01-01'", is{
		{"'0000-00-00'", nulled}, {"'2026-11-22 10:30:00.1'", `"2026-11-22T10:30:00.100000Z"`},
	}),
	of("TIMESTAMP(1)", is{{"'2026-11-22 10:30:00.5'", `"2026-11-22T10:30:00.5Z"`}}),
	of("TIMESTAMP(2)", is{{"'2026-11-22 10:30:00.05'", `"2026-11-22T10:30:00.05Z"`}}),
	of("TIMESTAMP(3)", is{
		{"'2026-11-22 10:30:00.005'", `"2026-11-22T10:30:00.005Z"`}, {"'2026-11-22 10:30:00'", `"2026-11-22T10:30:00.000Z"`},
	}),
	of("TIMESTAMP(4)", is{{"'2026-11-22 10:30:00.0005'", `"2026-11-22T10:30:00.0005Z"`}}),
	of("TIMESTAMP(5)", is{{"'2026-11-22 10:30:00.00005'", `"2026-11-22T10:30:00.00005Z"`}}),
	of("TIMESTAMP(6)", is{
		{"'1970-01-01 00:00:01.000000'", `"1970-01-01T00:00:01.000000Z"`},
		{"'2038-01-19 03:14:07.499999'", `"2038-01-19T03:14:07.499999Z"`},
		{"'0000-00-00 00:00:00'", nulled},
	}),
}

var timeColumns = []typesColumn{
	of("TIME", is{
		{"'00:00:00'", `"00:00:00"`},
		{"'10:30:00'", `"10:30:00"`},
		{"'23:59:59'", `"23:59:59"`},
		{"'24:00:00'", nulled},
		{"'838:59:59'", nulled},
		{"'-838:59:59'", nulled},
		{"'-00:00:01'", nulled},
		{"'100:00:00'", nulled},
	}),
	of("TIME(1)", is{{"'10:30:00.5'", `"10:30:00.5"`}, {"'-10:30:00.5'", nulled}}),
	of("TIME(2)", is{{"'10:30:00.05'", `"10:30:00.05"`}, {"'-00:00:00.01'", nulled}}),
	of("TIME(3)", is{{"'10:30:00.005'", `"10:30:00.005"`}, {"'00:00:00'", `"00:00:00.000"`}}),
	of("TIME(4)", is{{"'10:30:00.0005'", `"10:30:00.0005"`}, {"'-838:59:59'", nulled}}),
	of("TIME(5)", is{{"'10:30:00.00005'", `"10:30:00.00005"`}}),
	of("TIME(6)", is{
		{"'23:59:59.999999'", `"23:59:59.999999"`},
		{"'00:00:00.000001'", `"00:00:00.000001"`},
		{"'-00:00:00.000001'", nulled},
		{"'24:00:00'", nulled},
	}),
	of("TIME(6) NOT NULL", is{{"'-01:00:00'", nulled}}),
}

// allControls is every character below 0x20, and those that JSON, line splitting and browsers treat specially.
var allControls = func() string {
	var b strings.Builder
	for c := range ' ' {
		b.WriteRune(c)
	}
	return b.String() + "\"\\/'`\x7f\u0080\u2028\u2029\ufeff\uffff"
}()

// hexLiteral returns text as a hexadecimal literal in utf8mb4.
func hexLiteral(s string) string { return fmt.Sprintf("_utf8mb4 x'%x'", s) }

func textColumns() []typesColumn {
	text := is{
		{"''", `""`},
		{"'a'", `"a"`},
		{"'é日本😀'", `"é日本😀"`},
		{"'\U0010ffff'", "\"\U0010ffff\""},
		{"'e\u0301 שלום नमस्ते'", "\"e\u0301 שלום नमस्ते\""},
		{hexLiteral(allControls), quoteJSON(allControls)},
		{"' a'", `" a"`},
		{"'null'", `"null"`},
		{"'it''s'", `"it's"`},
		{"'2026-11-22'", `"2026-11-22"`},
	}
	padded := append(is{{"'a '", `"a "`}, {"' '", `" "`}}, text...)
	long := append(is{{"repeat('é', 70000)", quoteJSON(strings.Repeat("é", 70000))}}, padded...)
	return []typesColumn{
		of("CHAR(60)", append(is{{"'a '", `"a"`}}, text...)),
		of("CHAR(60) COLLATE utf8mb4_bin", append(is{{"'a '", `"a"`}}, text...)),
		of("CHAR(255)", is{{"repeat('😀', 255)", quoteJSON(strings.Repeat("😀", 255))}}),
		of("CHAR(255) COLLATE utf8mb4_bin", is{{"repeat('😀', 255)", quoteJSON(strings.Repeat("😀", 255))}}),
		of("CHAR(0)", is{{"''", `""`}}),
		of("CHAR", is{{"'é'", `"é"`}}),
		of("NATIONAL CHAR(5)", is{{"'é日'", `"é日"`}}),
		of("VARCHAR(60)", padded),
		of("VARCHAR(60) NOT NULL DEFAULT ''", padded),
		of("VARCHAR(60) COLLATE utf8mb4_bin", padded),
		of("VARCHAR(60) COLLATE utf8mb4_0900_bin", padded),
		of("VARCHAR(60) COLLATE utf8mb4_unicode_ci", padded),
		of("VARCHAR(60) COLLATE utf8mb4_ja_0900_as_cs", padded),
		of("VARCHAR(0)", is{{"''", `""`}}),
		of("VARCHAR(300)", is{{"repeat('😀', 300)", quoteJSON(strings.Repeat("😀", 300))}}),
		of("TINYTEXT", padded),
		of("TEXT", padded),
		of("TEXT BINARY", padded),
		of("MEDIUMTEXT", long),
		of("MEDIUMTEXT COLLATE utf8mb4_bin", long),
		of("LONGTEXT CHARACTER SET utf8mb4", long),
		of("VARCHAR(20) CHARACTER SET utf8mb3", is{{"'é日'", `"é日"`}}),
		of("TEXT CHARACTER SET utf8mb3 COLLATE utf8mb3_bin", is{{"'é日'", `"é日"`}}),
		of("VARCHAR(20) CHARACTER SET latin1", is{{"'é€ÿ'", `"é€ÿ"`}, {"_latin1 x'818d8f909d'", "\"\u0081\u008d\u008f\u0090\u009d\""}}),
		of("CHAR(20) CHARACTER SET latin1 COLLATE latin1_bin", is{{"'é€ÿ'", `"é€ÿ"`}}),
		of("VARCHAR(20) CHARACTER SET ascii", is{{"'a'", `"a"`}}),
		of("VARCHAR(20) CHARACTER SET utf16", is{{"'é日😀'", `"é日😀"`}, {"''", `""`}}),
		of("VARCHAR(20) CHARACTER SET gbk", is{{"'中文'", `"中文"`}}),
		of("CHAR(20) CHARACTER SET sjis COLLATE sjis_bin", is{{"'日本'", `"日本"`}}),
		of("LONGTEXT CHARACTER SET gb18030", is{{"'中文😀'", `"中文😀"`}}),
	}
}

func byteColumns() []typesColumn {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	bytes := is{{"x''", `""`}, {"x'00ff7f'", `"AP9/"`}, {"'  '", `"ICA="`}, {"x'00'", `"AA=="`}, {"'é'", `"w6k="`}}
	long := append(is{{fmt.Sprintf("repeat(x'%x', 300)", all), base64JSON([]byte(strings.Repeat(string(all), 300)))}}, bytes...)
	return []typesColumn{
		of("BINARY(4)", is{
			{"'a'", `"YQAAAA=="`}, {"x''", `"AAAAAA=="`}, {"x'00000000'", `"AAAAAA=="`}, {"x'ffffffff'", `"/////w=="`}, {"'a  '", `"YSAgAA=="`},
		}),
		of("BINARY(255)", is{{"x'01'", base64JSON(append([]byte{1}, make([]byte, 254)...))}}),
		of("BINARY", is{{"x'00'", `"AA=="`}}),
		of("BINARY(0)", is{{"x''", `""`}}),
		of("VARBINARY(256)", append(is{{fmt.Sprintf("x'%x'", all), base64JSON(all)}}, bytes...)),
		of("CHAR(4) BYTE", is{{"'a'", `"YQAAAA=="`}}),
		of("VARCHAR(9) CHARACTER SET binary", bytes),
		of("TINYBLOB", bytes),
		of("BLOB", bytes),
		of("TEXT CHARACTER SET binary", bytes),
		of("MEDIUMBLOB", long),
		of("LONGBLOB", long),
	}
}

var shapeColumns = []typesColumn{
	of("GEOMETRY", is{
		{"ST_GeomFromText('POINT(1 2)')", wkb(0, point(1, 2))},
		{"ST_GeomFromText('LINESTRING(0 0,1 2)')", wkb(0, line(0, 0, 1, 2))},
		{"ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')", wkb(0, collection(7))},
	}),
	of("POINT", is{{"ST_GeomFromText('POINT(-1.5 2e300)')", wkb(0, point(-1.5, 2e300))}}),
	of("POINT SRID 4326", is{{"ST_GeomFromText('POINT(10 20)', 4326)", wkb(4326, point(20, 10))}}),
	of("LINESTRING", is{{"ST_GeomFromText('LINESTRING(0 0,1 2)')", wkb(0, line(0, 0, 1, 2))}}),
	of("POLYGON", is{{"ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')", wkb(0, polygon(0, 0, 1, 0, 1, 1, 0, 0))}}),
	of("MULTIPOINT", is{{"ST_GeomFromText('MULTIPOINT(0 0,1 1)')", wkb(0, collection(4, point(0, 0), point(1, 1)))}}),
	of("MULTILINESTRING", is{{"ST_GeomFromText('MULTILINESTRING((0 0,1 1))')", wkb(0, collection(5, line(0, 0, 1, 1)))}}),
	of("MULTIPOLYGON", is{{"ST_GeomFromText('MULTIPOLYGON(((0 0,1 0,1 1,0 0)))')", wkb(0, collection(6, polygon(0, 0, 1, 0, 1, 1, 0, 0)))}}),
	of("GEOMETRYCOLLECTION", is{
		{"ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))', 3857)", wkb(3857, collection(7, point(1, 2), line(0, 0, 1, 1)))},
	}),
}

func vectorColumns() []typesColumn {
	dimensions := strings.Repeat("0.5,", 16382) + "0.5"
	return []typesColumn{
		of("VECTOR(3)", is{
			{"string_to_vector('[1,2.5,-3e-10]')", `[1,2.5,-3e-10]`},
			{"string_to_vector('[0,16777216,0.33333334]')", `[0,16777216,0.33333334]`},
			{"string_to_vector('[-1]')", `[-1]`},
			{"string_to_vector('[3.4028235e38,-3.4028235e38,1.1754944e-38]')", `[3.4028235e+38,-3.4028235e+38,1.1754944e-38]`},
		}),
		of("VECTOR", is{{"string_to_vector('[1]')", `[1]`}}),
		of("VECTOR(16383)", is{{"string_to_vector('[" + dimensions + "]')", "[" + dimensions + "]"}}),
	}
}
