package e2e

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/row"
	"source-planetscale/internal/table"
)

// TestOlderRowsAfterRandomHistories changes the columns of a table repeatedly, inserts rows in between, and compares what MySQL made of
// each row with the connector's conversion of the row as it was written.
func TestOlderRowsAfterRandomHistories(t *testing.T) {
	d := newOlderRig(t)
	histories := 40
	if testAll() {
		histories = 400
	}
	refused := 0
	for seed := range uint64(histories) {
		h := history{olderRig: d, random: rand.New(rand.NewPCG(seed, 1)), rows: map[int]map[string][][]byte{}}
		h.play(8)
		refused += h.judgeAll(fmt.Sprintf("seed %d", seed))
	}
	t.Logf("%d histories: %d values of older rows are right, %d refused one by one, %d columns of a step refused %v",
		histories, d.right, d.unconvertible, refused, d.reasons)
	if d.right < 20*histories {
		t.Errorf("only %d values were compared", d.right)
	}
}

// history is a table, the statements that changed its columns, and its rows as they were written, by step.
type history struct {
	*olderRig
	random     *rand.Rand
	statements []string
	columns    [][]table.Column // by step
	rows       map[int]map[string][][]byte
	ids, names int
}

func (h *history) play(changes int) {
	h.t.Helper()
	var list []string
	for range 2 + h.random.IntN(4) {
		list = append(list, h.name()+" "+h.someType().declaration)
	}
	execOn(h.t, h.db, "drop table if exists older", "create table older (id int primary key, "+strings.Join(list, ", ")+
		") default charset "+pick(h.random, "utf8mb4", "latin1"))
	h.columns = append(h.columns, h.olderRig.columns())
	h.fill()
	for range changes {
		statement := h.statement()
		if _, err := h.db.Exec(statement); err != nil {
			continue // the server refuses that statement
		}
		h.statements = append(h.statements, statement)
		h.columns = append(h.columns, h.olderRig.columns())
		h.fill()
	}
}

// fill adds rows, and records their current values.
func (h *history) fill() {
	h.t.Helper()
	before, step := h.ids, len(h.statements)
	generated := fmt.Sprintf("%s", h.query("select coalesce(group_concat(concat('/', column_name, '/')), '') from information_schema.columns "+
		"where table_schema = database() and table_name = 'older' and generation_expression <> ''"))
	execOn(h.t, h.db, "set @mode = @@sql_mode, sql_mode = 'ALLOW_INVALID_DATES'", "begin")
	for range 3 {
		h.ids++
		names, values := []string{"id"}, []string{fmt.Sprint(h.ids)}
		for _, c := range h.columns[step] {
			if strings.EqualFold(c.Name, "id") || strings.Contains(generated, "/"+c.Name+"/") {
				continue
			}
			literals := strings.Split(h.typeOf(c).values, "|")
			value := literals[h.random.IntN(len(literals))]
			if c.Nullable && h.random.IntN(5) == 0 {
				value = "null"
			}
			names, values = append(names, c.Name), append(values, value)
		}
		execOn(h.t, h.db, "insert ignore into older ("+strings.Join(names, ", ")+") values ("+strings.Join(values, ", ")+")")
	}
	execOn(h.t, h.db, "commit", "set sql_mode = @mode")
	h.rows[step] = map[string][][]byte{}
	for id, values := range h.olderRig.rows(true) {
		var n int
		if _, err := fmt.Sscan(id, &n); err != nil {
			h.t.Fatal(err)
		}
		if n > before {
			h.rows[step][id] = values
		}
	}
}

// typeOf returns the type of a column with literals for it.
func (h *history) typeOf(c table.Column) olderType {
	base := table.ParseType(c.Type).Base
	for _, o := range olderTypes {
		if table.ParseType(o.declaration).Base == base {
			return o
		}
	}
	return olderType{c.Type, "null"}
}

// someType returns a random type whose values Vitess sends even if they are older than the table's columns.
func (h *history) someType() olderType {
	for {
		o := olderTypes[h.random.IntN(len(olderTypes))]
		if !o.labelled() && !strings.HasPrefix(o.declaration, "geometry") && !strings.HasPrefix(o.declaration, "point") {
			return o
		}
	}
}

func (h *history) name() string {
	h.names++
	return fmt.Sprintf("c%d", h.names)
}

func (h *history) statement() string {
	parts := []string{h.part()}
	for h.random.IntN(3) == 0 {
		parts = append(parts, h.part())
	}
	return "alter table older " + strings.Join(parts, ", ")
}

func (h *history) part() string {
	columns := h.columns[len(h.columns)-1]
	c := columns[h.random.IntN(len(columns))].Name
	if strings.EqualFold(c, "id") {
		return pick(h.random, "modify id bigint", "modify id int unsigned not null first", "modify ID decimal(12,0) after "+columns[len(columns)-1].Name)
	}
	if h.random.IntN(2) == 0 {
		c = strings.ToUpper(c)
	}
	place := pick(h.random, "", "", " first", " after "+columns[h.random.IntN(len(columns))].Name)
	declaration := h.someType().declaration
	if h.random.IntN(2) == 0 { // mostly conversions that exist
		declaration = pick(h.random, "bigint", "varchar(200)", "varchar(300) charset utf8mb4", "decimal(30,6)", "text", "datetime(6)", "double", "varbinary(300)")
	}
	declaration += pick(h.random, "", "", "", " not null")
	switch h.random.IntN(12) {
	case 0, 1, 2:
		return "add column " + h.name() + " " + declaration + " " + olderDefaults[h.random.IntN(len(olderDefaults))] + place
	case 3:
		return "drop column " + c
	case 4:
		return "rename column " + c + " to " + h.name()
	case 5, 6:
		return "modify " + c + " " + declaration + place
	case 7:
		return "change " + c + " " + h.name() + " " + declaration + place
	case 8:
		return "convert to character set " + pick(h.random, "utf8mb4", "latin1", "utf8mb3")
	case 9:
		return "default charset " + pick(h.random, "utf8mb4", "latin1", "cp1251")
	case 10:
		return "add column g" + h.name() + " bigint as (char_length(" + c + "))" + place
	}
	return "alter column " + c + " drop default, comment 'x'"
}

func pick(random *rand.Rand, list ...string) string { return list[random.IntN(len(list))] }

// judgeAll applies the statements to the columns, and compares the rows of each step. It returns how many columns of a step are refused.
func (h *history) judgeAll(what string) (refused int) {
	h.t.Helper()
	was := slices.Clone(h.columns[0])
	for i := range was {
		was[i].Nullable = false // a state does not contain it
	}
	what += ": " + strings.Join(h.statements, "; ")
	e := table.NewEvolution("older", was)
	steps := []int{0}
	for _, s := range h.statements {
		if _, err := e.Apply(s); err != nil {
			h.reasons[err.Error()]++
			return 1
		}
		steps = append(steps, e.Step())
	}
	now := &table.Table{Name: "older", Columns: h.columns[len(h.columns)-1]}
	if err := e.End(now.Columns, string(h.query("show create table older")[0][1])); err != nil {
		h.t.Errorf("%s: %v", what, err)
		return 1
	}
	for i, step := range steps {
		refused += h.judgeStep(now, e.Shape(step), i, what)
	}
	return refused
}

func (h *history) judgeStep(now *table.Table, shape *table.Shape, statements int, what string) (refused int) {
	h.t.Helper()
	columns := h.columns[statements]
	for i, c := range columns {
		if i >= len(shape.Old) || shape.Old[i].Name != c.Name || !table.Alike(shape.Old[i], c) && shape.Old[i].Charset != table.UnknownCharset {
			h.t.Errorf("%s: after %d of them the columns are %v instead of %v", what, statements, columns, shape.Old)
			return 1
		}
	}
	fields := h.fields(columns, columns)
	theirs := h.olderRig.rows(false)
	for i, c := range now.Columns {
		plan := h.plan(now, shape, fields, c.Name)
		if plan == nil {
			refused++
			continue
		}
		exact, err := row.Compile(now, h.declared(now), []string{c.Name}, row.Copy, row.Options{})
		if err != nil {
			h.t.Fatal(err)
		}
		for id, values := range h.rows[statements] {
			got, ok := h.append(plan, h.logged(columns, columns, values), what)
			want, _ := h.append(exact, theirs[id], what)
			switch {
			case !ok:
				h.unconvertible++
			case got != want:
				h.t.Errorf("%s, row %s of step %d, column %d: %s, MySQL has %s", what, id, statements, i, got, want)
			default:
				h.right++
			}
		}
	}
	return refused
}
