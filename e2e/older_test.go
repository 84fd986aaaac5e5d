package e2e

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"source-planetscale/internal/row"
	"source-planetscale/internal/table"
	"source-planetscale/internal/wire"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"
)

// TestOlderValuesBecomeWhatAlterMakesOfThem has MySQL convert columns of every type to every other type, in strict mode, and
// compares each value with our conversion of the older one.
func TestOlderValuesBecomeWhatAlterMakesOfThem(t *testing.T) {
	d := newOlderRig(t)
	pairs, refused := 0, 0
	for _, from := range olderTypes {
		var others []string
		for _, to := range olderTypes {
			switch {
			case from.declaration == to.declaration:
				continue
			case from.labelled() && to.labelled(): // Vitess sends no older rows if other columns change, too
				refused += d.alter(from, []string{to.declaration})
			case from.labelled() || to.labelled():
				refused++ // testdata/evolution.txt tests them
			default:
				others = append(others, to.declaration)
			}
			pairs++
		}
		for some := range slices.Chunk(others, 20) { // InnoDB limits the size of a row
			refused += d.alter(from, some)
		}
	}
	t.Logf("%d pairs of types: %d refused as a whole %v; of the others %d values are right and %d refused one by one",
		pairs, refused, d.reasons, d.right, d.unconvertible)
	if d.right < 50000 || pairs-refused < 2500 {
		t.Errorf("only %d pairs and %d values were compared", pairs-refused, d.right)
	}
}

// TestAddedColumnsHaveTheDefaultOfTheStatement has MySQL add columns to a table with a row.
func TestAddedColumnsHaveTheDefaultOfTheStatement(t *testing.T) {
	d := newOlderRig(t)
	added, refused := 0, 0
	for _, c := range olderTypes {
		execOn(t, d.db, "drop table if exists older", "create table older (id int primary key)", "insert into older values (1)")
		for _, rest := range olderDefaults {
			was := d.columns()
			change := "alter table older add column c0 " + c.declaration + " " + rest + " first"
			if _, err := d.db.Exec(change); err != nil {
				continue // an invalid default, for example
			}
			added++
			now := &table.Table{Name: "older", Columns: d.columns()}
			plan := d.plan(now, d.shape(was, change, now.Columns), d.fields(was, now.Columns), "c0")
			if plan == nil {
				refused++
			} else if text, ok := d.append(plan, [][]byte{[]byte("1")}, change); ok {
				d.judge(now, map[string]string{"1 c0": text}, map[int]*row.Plan{0: plan}, change)
			}
			execOn(t, d.db, "alter table older drop column c0")
		}
	}
	t.Logf("%d columns were added with a default: %d are right, %d refused %v", added, d.right, refused, d.reasons)
	if d.right < 800 {
		t.Errorf("only %d were compared", d.right)
	}
}

var olderDefaults = []string{
	"default 0", "default 1", "default -1", "default 70", "default 1.5", "default '1.5'", "default '0'", "default ''", "default 'a'",
	"default 'a  '", "default '2020-02-03'", "default '2020-02-03 04:05:06.789'", "default '10:11:12.5'", "default b'1'", "default x'41'",
	"not null", "null", "default null", "default true", "default '12'", "default 'b,a'", "default '99.995'", "not null default 5", "default 1e2", "default 007",
}

// olderType is a type, and literals that the server converts to values of the type without strict mode.
type olderType struct {
	declaration string
	values      string // separated by "|"
}

const (
	olderNumbers  = "0|1|-1|5|69|70|99|100|127|128|200|255|-128|1900|1901|2155|2156|32767|65535|8388607|16777215|2147483647|4294967295|9223372036854775807|-9223372036854775808|18446744073709551615"
	olderDecimals = "0|0.004|0.005|-0.005|0.4|-0.4|0.5|-0.5|1.5|2.5|-2.5|99.994|99.995|999.99|-999.99|12345.6789|255.5|99999999.5|0.00001"
	olderFloats   = "0|0.5|1.5|2.5|-2.5|1.1|0.1|-0.1|1e10|1e20|3e38|1e-5|123456789|16777217|9.9999|255.4|999.995|1e300|-1e-300|4294967296"
	olderTexts    = "''|'a'|' a'|'a  '|'abc'|'abc   '|'abcdef'|'é'|'ä€'|'日本'|'😀'|'я'|'ß~'|'12'|'-12'|'12.5'|'-0.5'|'2.5'|'0'|'00'|' 12'|'12 '|'+12'|'12abc'|'1e3'|'.5'|'5.'|'99999999999'|'2020'|" +
		"'2020-01-31'|'2020-01-31 10:20:30'|'2020-01-31 10:20:30.1234567'|'2020-01-31 23:59:59.9996'|'10:20:30'|'10:20:30.56'|'23:59:59.999'|'2020-1-1'|'20200131'|repeat('x',300)|repeat('é',200)|" +
		`'{"b":1,"aa":2}'|'[1.5, true,null]'|'"é"'|'"a\\\\nb"'|'{"a":1,"a":2}'|'[1e2]'|'1.50'|'-0'|'[12345678901234567890]'|'nul'|'[0.00001]'|'"x" '|'{"a":{"b":[]}}'|'"\\\\u00e9"'`
	olderBytes = "''|x'00'|'ab'|x'ff00'|x'c3a9'|x'f09f9880'|'abcd'|x'61620000'|'abcdefghij'|x'e4'|x'6120'|'12'|repeat('x',300)"
	olderTimes = "'0000-00-00'|'2020-02-29'|'2020-12-31 23:59:59'|'2020-12-31 23:59:59.4'|'2020-12-31 23:59:59.5'|'2020-12-31 23:59:59.999999'|'9999-12-31 23:59:59.499999'|'9999-12-31 23:59:59.9'|'2020-02-30'|'2020-00-00'|'2037-01-01 00:00:00.123456'|'1999-12-31 12:34:56.9995'"
	olderSpans = "'00:00:00'|'10:20:30'|'10:20:30.5'|'23:59:59.999999'|'-01:02:03.45'|'-00:00:00.5'|'838:59:59'|'100:00:00.4'|'23:59:59.49'|'00:00:59.995'"
)

var olderTypes = []olderType{
	{"tinyint", olderNumbers},
	{"tinyint unsigned", olderNumbers},
	{"tinyint(1)", "0|1|-1|5|127"},
	{"smallint", olderNumbers},
	{"mediumint unsigned", olderNumbers},
	{"int", olderNumbers},
	{"int unsigned", olderNumbers},
	{"int(6) unsigned zerofill", olderNumbers},
	{"bigint", olderNumbers},
	{"bigint unsigned", olderNumbers},
	{"decimal(5,2)", olderDecimals},
	{"decimal(10,0)", olderDecimals},
	{"decimal(10,4) unsigned", olderDecimals},
	{"decimal(65,30)", olderDecimals},
	{"decimal(4,4)", olderDecimals},
	{"decimal(12,1)", olderDecimals},
	{"float", olderFloats},
	{"double", olderFloats},
	{"double(8,2)", "1.1|2.25"},
	{"bit(1)", "b'0'|b'1'"},
	{"bit(8)", "b'0'|b'1'|b'11111111'"},
	{"bit(64)", "b'0'|255|18446744073709551615"},
	{"year", "0|1901|1970|1999|2000|2069|2155"},
	{"date", olderTimes},
	{"datetime", olderTimes},
	{"datetime(3)", olderTimes},
	{"datetime(6)", olderTimes},
	{"timestamp", olderTimes},
	{"timestamp(3)", olderTimes},
	{"timestamp(6)", olderTimes},
	{"time", olderSpans},
	{"time(2)", olderSpans},
	{"time(6)", olderSpans},
	{"char(3) charset latin1", olderTexts},
	{"char(20) charset utf8mb4", olderTexts},
	{"varchar(3) charset utf8mb4", olderTexts},
	{"varchar(20) charset latin1", olderTexts},
	{"varchar(30) charset utf8mb4 collate utf8mb4_bin", olderTexts},
	{"varchar(30) charset utf8mb3", olderTexts},
	{"varchar(30) charset ascii", olderTexts},
	{"varchar(30) charset gbk", olderTexts},
	{"varchar(30) charset big5", olderTexts},
	{"varchar(30) charset sjis", olderTexts},
	{"varchar(30) charset cp932", olderTexts},
	{"varchar(30) charset ujis", olderTexts},
	{"varchar(30) charset gb18030", olderTexts},
	{"varchar(30) charset euckr", olderTexts},
	{"varchar(30) charset ucs2", olderTexts},
	{"varchar(30) charset utf16", olderTexts},
	{"varchar(30) charset utf32", olderTexts},
	{"varchar(30) charset cp1251", olderTexts},
	{"varchar(30) charset koi8r", olderTexts},
	{"varchar(30) charset tis620", olderTexts},
	{"varchar(30) charset swe7", olderTexts},
	{"varchar(300) charset latin2", olderTexts},
	{"tinytext charset utf8mb4", olderTexts},
	{"tinytext charset latin1", olderTexts},
	{"text charset utf8mb4", olderTexts},
	{"mediumtext charset latin1", olderTexts},
	{"longtext charset utf8mb4", olderTexts},
	{"binary(2)", olderBytes},
	{"binary(8)", olderBytes},
	{"varbinary(4)", olderBytes},
	{"varbinary(30)", olderBytes},
	{"tinyblob", olderBytes},
	{"blob", olderBytes},
	{"longblob", olderBytes},
	{"enum('a','b','C')", "'a'|'b'|'C'|''"},
	{"enum('x','C','b','a')", "'x'|'C'|'b'|'a'"},
	{"enum('b','a','c','d')", "'a'|'b'|'c'"},
	{"set('a','b','C')", "''|'a'|'a,C'|'a,b,C'"},
	{"set('C','x','b','a')", "''|'a'|'C,x'|'a,b'"},
	{"json", `'1'|'"a"'|'{"a": 1}'`},
	{"point", "point(1,2)"},
	{"geometry", "point(1,2)|linestring(point(1,2),point(3,4))"},
}

// labelled reports whether it is an ENUM or SET.
func (o olderType) labelled() bool {
	return strings.HasPrefix(o.declaration, "enum") || strings.HasPrefix(o.declaration, "set")
}

// olderRig is a table, "older", on a mysqld.
type olderRig struct {
	t             *testing.T
	db            *sql.DB
	right         int
	unconvertible int
	reasons       map[string]int
}

func newOlderRig(t *testing.T) *olderRig {
	t.Helper()
	db := shared(t).mysqld(t, "-80")
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if _, err := db.Exec("drop table if exists older"); err != nil {
			t.Error(err)
		}
	})
	// Strict mode, but with zero dates, which have no equivalent in JSON anyway.
	execOn(t, db, "set sql_log_bin = 0, character_set_results = null, sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES'")
	return &olderRig{t: t, db: db, reasons: map[string]int{}}
}

// alter has MySQL convert columns of one type to others, with all values that we convert, too. It returns the number of types to
// which we convert no value.
func (d *olderRig) alter(from olderType, others []string) (refused int) {
	d.t.Helper()
	if len(others) == 0 {
		return 0
	}
	make, change := "create table older (id int primary key", "alter table older"
	for i, to := range others {
		make += fmt.Sprintf(", c%d %s", i, from.declaration)
		change += fmt.Sprintf(", modify c%d %s", i, to)
	}
	change = strings.Replace(change, ",", "", 1)
	execOn(d.t, d.db, "drop table if exists older", make+")")
	was := d.columns()
	execOn(d.t, d.db, change)
	now := &table.Table{Name: "older", Columns: d.columns()}
	shape, fields := d.shape(was, change, now.Columns), d.fields(was, now.Columns)
	execOn(d.t, d.db, "drop table older", make+")")
	d.fill(from, len(others))
	execOn(d.t, d.db, "begin")
	plans := map[int]*row.Plan{}
	for i := range others {
		if plans[i] = d.plan(now, shape, fields, fmt.Sprintf("c%d", i)); plans[i] == nil {
			refused++
			execOn(d.t, d.db, fmt.Sprintf("update older set c%d = null", i))
		}
	}
	ours := map[string]string{}
	for id, values := range d.rows(true) {
		for i, plan := range plans {
			if plan == nil {
				continue
			}
			text, ok := d.append(plan, d.logged(was, now.Columns, values), change)
			if ours[fmt.Sprintf("%s c%d", id, i)] = text; !ok {
				d.unconvertible++
				execOn(d.t, d.db, fmt.Sprintf("update older set c%d = null where id = %s", i, id))
				ours[fmt.Sprintf("%s c%d", id, i)] = fmt.Sprintf(`"c%d":null`, i)
			}
		}
	}
	if _, err := d.db.Exec(change); err != nil {
		d.t.Errorf("%s: %v, but we convert every value: %s", from.declaration, err, change)
		return refused
	}
	d.judge(now, ours, plans, from.declaration+" to "+strings.Join(others, ", "))
	return refused
}

// fill inserts a row of NULLs, and for each value a row that has it in all columns.
func (d *olderRig) fill(from olderType, columns int) {
	d.t.Helper()
	execOn(d.t, d.db, "set @mode = @@sql_mode, sql_mode = 'ALLOW_INVALID_DATES'", "begin", "insert into older (id) values (1)")
	for i, value := range strings.Split(from.values, "|") {
		execOn(d.t, d.db, fmt.Sprintf("insert ignore into older values (%d%s)", i+2, strings.Repeat(", "+value, columns)))
	}
	execOn(d.t, d.db, "commit", "set sql_mode = @mode")
}

// plan returns the plan for one column, nil if its values are refused.
func (d *olderRig) plan(now *table.Table, shape *table.Shape, fields *binlogdatapb.FieldEvent, column string) *row.Plan {
	d.t.Helper()
	plan, err := row.CompileOlder(now, shape, fields, []string{column}, row.Options{})
	if checked := row.CheckOlder(now, shape, []string{column}, row.Options{}); (checked == nil) != (err == nil) {
		d.t.Errorf("%v, but the check returned %v", err, checked)
	}
	if err != nil {
		d.reasons[err.Error()[strings.LastIndex(err.Error(), ": ")+2:]]++
		return nil
	}
	return plan
}

// judge compares our rows with those in the table, by id and column.
func (d *olderRig) judge(now *table.Table, ours map[string]string, plans map[int]*row.Plan, what string) {
	d.t.Helper()
	for id, values := range d.rows(false) {
		for i := range plans {
			column := fmt.Sprintf("c%d", i)
			plan, err := row.Compile(now, d.declared(now), []string{column}, row.Copy, row.Options{})
			if err != nil {
				d.t.Fatal(err)
			}
			got, given := ours[id+" "+column]
			want, _ := d.append(plan, values, what)
			if table.ParseType(now.Column(column).Type).Base == "json" {
				got, want = sameDocument(got), sameDocument(want)
			}
			switch {
			case given && got != want:
				d.t.Errorf("%s, row %s: %s, MySQL has %s", what, id, got, want)
			case given:
				d.right++
			}
		}
	}
}

// sameDocument returns JSON in a canonical form.
func sameDocument(member string) string {
	name, text, _ := strings.Cut(member, ":")
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var value any
	if d.Decode(&value) != nil {
		return member
	}
	one, err := json.Marshal(value)
	if err != nil {
		return member
	}
	return name + ":" + string(one)
}

// declared describes rows with the table's current columns.
func (d *olderRig) declared(now *table.Table) *binlogdatapb.FieldEvent {
	fields := &binlogdatapb.FieldEvent{}
	for _, c := range now.Columns {
		fields.Fields = append(fields.Fields, &querypb.Field{Name: c.Name, ColumnType: c.Type})
	}
	return fields
}

// append returns the JSON of a row, including the changes for values that could not be sent; false for values that we do not convert.
func (d *olderRig) append(plan *row.Plan, values [][]byte, what string) (string, bool) {
	d.t.Helper()
	var r wire.Row
	for _, v := range values {
		n := int64(len(v))
		if v == nil {
			n = -1
		}
		r.Lengths = protowire.AppendVarint(r.Lengths, protowire.EncodeZigZag(n))
		r.Values = append(r.Values, v...)
	}
	text, changes, err := plan.Append(nil, r, nil, nil)
	var unconvertible *row.Unconvertible
	switch {
	case errors.As(err, &unconvertible):
		return "", false
	case err != nil:
		d.t.Errorf("%s: %v", what, err)
	}
	for range changes {
		text = append(text, " (changed)"...)
	}
	return string(text), true
}

func (d *olderRig) columns() (columns []table.Column) {
	d.t.Helper()
	for _, values := range d.query("select column_name, column_type, is_nullable, character_set_name from information_schema.columns " +
		"where table_schema = database() and table_name = 'older' order by ordinal_position") {
		columns = append(columns, table.Column{
			Name: string(values[0]), Type: string(values[1]), Nullable: string(values[2]) == "YES", Charset: string(values[3]),
		})
	}
	return columns
}

// shape returns the shape of rows that have the columns from before the statement.
func (d *olderRig) shape(was []table.Column, statement string, now []table.Column) *table.Shape {
	d.t.Helper()
	was = slices.Clone(was)
	for i := range was {
		was[i].Nullable = false // a state does not say
	}
	e := table.NewEvolution("older", was)
	if _, err := e.Apply(statement); err != nil {
		d.t.Errorf("%s: %v", statement, err)
		return &table.Shape{Refused: err.Error()}
	}
	create := d.query("show create table older")[0][1]
	if err := e.End(now, string(create)); err != nil {
		d.t.Errorf("%s: %v", statement, err)
	}
	return e.Shape(0)
}

// rows returns the table's rows by id. FLOAT and DOUBLE are written exactly, as in the binary log; ENUM and SET as numbers if numbers is
// set.
func (d *olderRig) rows(numbers bool) map[string][][]byte {
	d.t.Helper()
	var list []string
	columns := d.columns()
	for _, c := range columns {
		switch base := table.ParseType(c.Type).Base; {
		case base == "float" || base == "double":
			list = append(list, "cast("+c.Name+" as double)")
		case numbers && (base == "enum" || base == "set"):
			list = append(list, c.Name+"+0")
		default:
			list = append(list, c.Name)
		}
	}
	rows := map[string][][]byte{}
	for _, values := range d.query("select id, " + strings.Join(list, ", ") + " from older") {
		id, values := string(values[0]), values[1:]
		for i, v := range values {
			if base := table.ParseType(columns[i].Type).Base; v != nil && (base == "float" || base == "double") {
				bits := 64
				if base == "float" {
					bits = 32
				}
				f, err := strconv.ParseFloat(string(v), 64)
				if err != nil {
					d.t.Fatal(err)
				}
				values[i] = strconv.AppendFloat(nil, f, 'E', -1, bits)
			}
		}
		rows[id] = values
	}
	return rows
}

// logged returns a row as VStream sends it: integers signed, labels from the current declaration, BINARY without trailing zeros.
func (d *olderRig) logged(was, now []table.Column, values [][]byte) [][]byte {
	d.t.Helper()
	values = slices.Clone(values)
	for i, c := range was {
		v := values[i]
		if v == nil {
			continue
		}
		switch base := table.ParseType(c.Type).Base; base {
		case "binary":
			values[i] = append([]byte{}, bytes.TrimRight(v, "\x00")...)
		case "tinyint", "smallint", "mediumint", "int", "bigint":
			bits := map[string]uint{"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}[base]
			n, _ := new(big.Int).SetString(string(v), 10)
			if n.Cmp(new(big.Int).Lsh(big.NewInt(1), bits-1)) >= 0 {
				n.Sub(n, new(big.Int).Lsh(big.NewInt(1), bits))
			}
			values[i] = []byte(n.String())
		case "enum", "set":
			values[i] = d.label(base, now[i].Type, v)
		}
	}
	return values
}

// label returns the label that the declaration has for a number.
func (d *olderRig) label(base, declaration string, number []byte) []byte {
	labels, err := table.ParseType(declaration).Labels()
	n, err2 := strconv.Atoi(string(number))
	if err != nil || err2 != nil {
		d.t.Fatal(err, err2)
	}
	var list []string
	for i, label := range labels {
		if base == "enum" && n == i+1 || base == "set" && n&(1<<i) != 0 {
			list = append(list, label)
		}
	}
	return append([]byte{}, strings.Join(list, ",")...)
}

// fields describes rows as the binary log does, or by the current columns if there are labels.
func (d *olderRig) fields(was, now []table.Column) *binlogdatapb.FieldEvent {
	types := map[string]querypb.Type{
		"tinyint": querypb.Type_INT8, "smallint": querypb.Type_INT16, "mediumint": querypb.Type_INT24, "int": querypb.Type_INT32,
		"bigint": querypb.Type_INT64, "decimal": querypb.Type_DECIMAL, "float": querypb.Type_FLOAT32, "double": querypb.Type_FLOAT64,
		"bit": querypb.Type_BIT, "year": querypb.Type_YEAR, "date": querypb.Type_DATE, "datetime": querypb.Type_DATETIME,
		"timestamp": querypb.Type_TIMESTAMP, "time": querypb.Type_TIME, "char": querypb.Type_CHAR, "binary": querypb.Type_CHAR,
		"varchar": querypb.Type_VARCHAR, "varbinary": querypb.Type_VARCHAR, "json": querypb.Type_JSON, "point": querypb.Type_GEOMETRY,
		"geometry": querypb.Type_GEOMETRY,
	}
	f := &binlogdatapb.FieldEvent{}
	for i, c := range was {
		field := &querypb.Field{Name: fmt.Sprintf("@%d", i+1), Type: querypb.Type_TEXT}
		base := table.ParseType(c.Type).Base
		if t, ok := types[base]; ok {
			field.Type = t
		}
		if base == "enum" || base == "set" {
			field = &querypb.Field{Name: now[i].Name, Type: querypb.Type_ENUM, ColumnType: now[i].Type}
		}
		f.Fields = append(f.Fields, field)
	}
	return f
}

// query returns all values of all rows, as bytes.
func (d *olderRig) query(statement string) (list [][][]byte) {
	d.t.Helper()
	rows, err := d.db.Query(statement)
	if err != nil {
		d.t.Fatalf("%v: %s", err, statement)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		d.t.Fatal(err)
	}
	for rows.Next() {
		values, places := make([][]byte, len(names)), make([]any, len(names))
		for i := range values {
			places[i] = &values[i]
		}
		if err := rows.Scan(places...); err != nil {
			d.t.Fatal(err)
		}
		list = append(list, values)
	}
	if err := rows.Err(); err != nil {
		d.t.Fatal(err)
	}
	return list
}
