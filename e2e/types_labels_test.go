package e2e

import (
	"fmt"
	"strconv"
	"strings"
)

const emojiLabel = "ENUM and SET labels beyond the BMP"

// oddLabels are unusual labels of an ENUM as SQL literals, and their values. MySQL drops spaces at the end of a label.
var oddLabels = is{
	{"'a'", `"a"`},
	{"'b,c'", `"b,c"`},
	{"'it''s'", `"it's"`},
	{"'é'", `"é"`},
	{"'2'", `"2"`},
	{"''", `""`},
	{`'back\\slash'`, `"back\\slash"`},
	{`'q"q'`, `"q\"q"`},
	{"'日本'", `"日本"`},
	{"' a b'", `" a b"`},
	{`'line\nend'`, `"line\nend"`},
	{"'100%'", `"100%"`},
	{`'tab\t'`, `"tab\t"`},
	{"'null'", `"null"`},
	{"')'", `")"`},
	{"'a`b'", "\"a`b\""},
}

// setMembers returns the same without the empty one and those with a comma, which members of a SET cannot contain.
func setMembers() (members is) {
	for _, l := range oddLabels {
		if !strings.Contains(l[0], ",") && l[0] != "''" {
			members = append(members, l)
		}
	}
	return members
}

// declared lists labels as in a declaration.
func declared(labels is, more ...string) string {
	var list []string
	for _, l := range labels {
		list = append(list, l[0])
	}
	return "(" + strings.Join(append(list, more...), ",") + ")"
}

func labelColumns() []typesColumn {
	emoji := typesForced{"'😀'", `"😀"`, `"?"`, emojiLabel}
	invalid := [2]string{"'no such label'", `""`}
	set := setMembers()
	return []typesColumn{
		of("ENUM"+declared(oddLabels, "'😀'", "'?'"), append(is{{"9", `"日本"`}, {"'?'", `"?"`}}, oddLabels...), emoji),
		of("ENUM"+declared(oddLabels)+" COLLATE utf8mb4_bin", oddLabels),
		of("ENUM('x','y') NOT NULL DEFAULT 'x'", is{invalid, {"0", `""`}, {"'y'", `"y"`}, {"2", `"y"`}}),
		of("ENUM('é','ÿ','€') CHARACTER SET latin1", is{{"'é'", `"é"`}, {"'ÿ'", `"ÿ"`}, {"'€'", `"€"`}, invalid}),
		of("ENUM('é') CHARACTER SET latin1 COLLATE latin1_bin", is{{"'é'", `"é"`}}),
		of("ENUM('x','é') CHARACTER SET binary", is{{"'x'", `"x"`}, {"'é'", `"é"`}}),
		of("SET"+declared(set, "'😀'"), append(is{
			{"''", `""`}, {"'it''s,a,日本'", `"a,it's,日本"`}, {"3", `"a,it's"`}, invalid,
		}, set...), emoji),
		of("SET"+declared(set)+" COLLATE utf8mb4_bin", set),
		of("SET('é','ÿ','€') CHARACTER SET latin1", is{{"'€,é'", `"é,€"`}, {"''", `""`}}),
		of("SET"+numberedLabels(64), is{
			{"18446744073709551615", quoteJSON(strings.NewReplacer("'", "", "(", "", ")", "").Replace(numberedLabels(64)))},
			{"9223372036854775808", `"label 64"`},
			{"1", `"label 1"`},
			{"0", `""`},
		}),
		of("SET('')", is{{"''", `""`}}),
	}
}

// manyLabels is an ENUM with more members than one byte can number. The maximum of 65,535 was tested
// manually: MySQL needs 16 s to check that they are different.
func manyLabels() []typesColumn {
	const n = 5000
	last := strconv.Itoa(n)
	return []typesColumn{of("ENUM"+numberedLabels(n)+" COLLATE utf8mb4_0900_bin", is{
		{"1", `"label 1"`}, {last, `"label ` + last + `"`}, {"'label 256'", `"label 256"`},
	})}
}

func numberedLabels(n int) string {
	var labels is
	for i := range n {
		labels = append(labels, [2]string{"'label " + strconv.Itoa(i+1) + "'", ""})
	}
	return declared(labels)
}

const (
	opaqueBytes    = "JSON with a BLOB, BINARY or BIT"
	outsideTime    = "JSON with a TIME outside a day"
	impossibleDate = "JSON with a zero or impossible date"
)

func documentColumns() []typesColumn {
	nested := strings.Repeat("[", 99) + "1" + strings.Repeat("]", 99)
	objects := strings.Repeat(`{"a": `, 99) + "1" + strings.Repeat("}", 99)
	list := "[" + strings.Repeat(`{"name": "someone", "n": [1, 2.5, null]}, `, 20000) + "0]"
	object := "{" + numberedMembers(5000) + "}"
	return []typesColumn{of("JSON", is{
		{"'null'", `null`},
		{"'true'", `true`},
		{"'false'", `false`},
		{"'{}'", `{}`},
		{"'[]'", `[]`},
		{`'""'`, `""`},
		{`'"s"'`, `"s"`},
		{"'0'", `0`},
		{"'-1'", `-1`},
		{"'18446744073709551615'", `18446744073709551615`},
		{"'-9223372036854775808'", `-9223372036854775808`},
		{"'2147483648'", `2147483648`},
		{"'32768'", `32768`},
		{"'65536'", `65536`},
		{"'1.5'", `1.5`},
		{"'0.5'", `0.5`},
		{"'-0.0'", `-0.0`},
		{"'1.0'", `1.0`},
		{"'1e300'", `1e300`},
		{"'2.5e-10'", `0.00000000025`},
		{"'1e15'", `1e15`},
		{"'123456789012345678901234567890'", `1.2345678901234568e29`},
		{`'{"b": [1, {"c": null}], "a": "é日😀", "aa": {}}'`, `{"a": "é日😀", "aa": {}, "b": [1, {"c": null}]}`},
		{
			`'{"": "", " ": " ", "é日😀": 1, "a.b": 2, "q\\"q": 3, "back\\\\slash": 4, "line\\nend": 5}'`,
			`{"": "", " ": " ", "é日😀": 1, "a.b": 2, "q\"q": 3, "back\\slash": 4, "line\nend": 5}`,
		},
		{`'{"a": 1, "a": 2}'`, `{"a": 2}`},
		{"json_quote(" + hexLiteral(allControls) + ")", quoteJSON(allControls)},
		{"json_object(" + hexLiteral(allControls) + ", 1)", "{" + quoteJSON(allControls) + ": 1}"},
		{"'" + nested + "'", nested},
		{"'" + objects + "'", objects},
		{"'" + list + "'", list},
		{"'" + object + "'", object},
		{"json_array(repeat('é', 70000), 1)", `["` + strings.Repeat("é", 70000) + `", 1]`},
		// MySQL's own types within a document.
		{
			"json_object('d', cast('2026-11-22' as date), 'n', cast('2026-11-22 10:30:00.5' as datetime(6)))",
			`{"d": "2026-11-22", "n": "2026-11-22 10:30:00.500000"}`,
		},
		{"json_array(cast('10:30:00.5' as time(1)), cast('23:59:59' as time))", `["10:30:00.500000", "23:59:59.000000"]`},
		{
			"json_array(cast(0.50 as decimal(5,2)), cast(-0.5 as decimal(5,1)), cast(12 as decimal(20,0)), cast(0 as decimal(5,2)))",
			`[0.50, -0.5, 12, 0.00]`,
		},
		{"json_array(" + nines(35) + "." + nines(30) + ", 1.10)", `[` + nines(35) + "." + nines(30) + `, 1.10]`},
		{"json_object('bin', x'00ff', 'c', 1)", `{"bin": "base64:type15:AP8=", "c": 1}`},
		{"json_array(b'101')", `["base64:type15:BQ=="]`},
		{"json_array(cast(x'00ff' as binary(2)))", `["base64:type15:AP8="]`},
		{
			"json_array(ST_GeomFromText('POINT(1 2)'))",
			`[{"type": "Point", "coordinates": [1.0, 2.0], "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:MySQL::0"}}}]`,
		},
	},
		typesForced{"json_array(cast('-00:00:01' as time))", `["-00:00:01.000000"]`, `[""]`, outsideTime},
		typesForced{"cast(cast('-838:59:59' as time) as json)", `"-838:59:59.000000"`, `"25:04:05.000000"`, outsideTime},
		typesForced{"json_array(cast('100:00:00.5' as time(1)))", `["100:00:00.500000"]`, `["04:00:00.500000"]`, outsideTime},
		typesForced{
			"json_array(cast('0000-00-00 00:00:00' as datetime))", `["0000-00-00 00:00:00.000000"]`, `["0001-01-01 00:00:00.000000"]`,
			impossibleDate,
		},
		typesForced{
			"json_array(cast('2026-00-01 10:00:00' as datetime))", `["2026-00-01 10:00:00.000000"]`, `["2026-01-01 10:00:00.000000"]`,
			impossibleDate,
		},
		typesForced{"json_array(cast('0000-00-00' as date))", `["0000-00-00"]`, `["-0001-11-30"]`, impossibleDate},
		typesForced{"json_array(cast('2026-02-30' as date))", `["2026-02-30"]`, `[""]`, impossibleDate},
	)}
}

func numberedMembers(n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(`"member %04d": %d`, i, i)
	}
	return strings.Join(members, ", ")
}
