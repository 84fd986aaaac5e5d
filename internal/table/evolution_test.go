package table

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestEvolution reads testdata/evolution.txt.
func TestEvolution(t *testing.T) {
	data, err := os.ReadFile("testdata/evolution.txt")
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for number, line := range strings.Split(string(data), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		cases++
		fields := strings.Split(line, " | ")
		if len(fields) != 4 {
			t.Fatalf("line %d has %d parts", number+1, len(fields))
		}
		if got := evolve(t, fields[0], fields[1], fields[2]); got != fields[3] {
			t.Errorf("line %d, %s:\n got %s\nwant %s", number+1, fields[1], got, fields[3])
		}
	}
	if cases < 80 {
		t.Errorf("only %d cases", cases)
	}
}

// Of an ENUM or SET with long labels, a state has a digest.
func TestEvolutionOfLongLabels(t *testing.T) {
	labels := "'a','" + strings.Repeat("b", longType) + "'"
	for _, base := range []string{"enum", "set"} {
		was := "id int; e " + DigestType(base+"("+labels+")") + " utf8mb4"
		for now, want := range map[string]string{
			labels + ",'c'":     "id; e; b=null",
			"'c'," + labels:     "refused: Vitess cannot send older rows, because their column \"e\" is in the place of today's column \"e\", and its earlier labels are not known",
			labels + ",'c','d'": "id; e; b=null",
		} {
			now = base + "(" + now + ")"
			if got := evolve(t, was, "online: alter table t modify e "+now+" charset utf8mb4, add b int", "id int; e "+now+" utf8mb4; b int"); got != want {
				t.Errorf("%s:\n got %s\nwant %s", base, got, want)
			}
		}
	}
}

// evolve returns what becomes of the columns of a line.
func evolve(t *testing.T, was, statements, today string) string {
	t.Helper()
	e, now, create := NewEvolution("t", readColumns(was)), readColumns(today), "create table t (no_generated int)"
	rows, swaps := 0, 0
	for s := range strings.SplitSeq(statements, " / ") {
		steps := e.Step()
		var changed bool
		var err error
		switch created, isCreated := strings.CutPrefix(s, "created: "); {
		case isCreated:
			create = created
			continue
		case s == "uncreated":
			create = ""
			continue
		case s == "rows":
			rows = e.Step()
			continue
		case s == "swap":
			changed, err = e.Swap("_t_gho", "", now, create)
		case s == "revert":
			changed, err = e.Swap(vitessCopy(swaps), "", now, create)
		case s == "online" || strings.HasPrefix(s, "online: "):
			swaps++
			changed, err = e.Swap(vitessCopy(swaps), strings.TrimPrefix(strings.TrimPrefix(s, "online"), ": "), now, create)
		case concerns(t, s):
			changed, err = e.Apply(s)
		}
		if err != nil {
			return "error: " + err.Error()
		}
		if changed != (e.Step() > steps) {
			t.Errorf("%s: changed is %v, and the steps are %d after %d", s, changed, e.Step(), steps)
		}
	}
	if err := e.End(now, create); err != nil {
		return "error: " + err.Error()
	}
	if last := e.Shape(e.Step()); !last.Current() || len(last.Old) != len(now) {
		t.Errorf("%s: the last shape is not today's", statements)
	}
	return describe(e.Shape(rows))
}

// vitessCopy is the name of the copy that Vitess' n-th online DDL made.
func vitessCopy(n int) string { return fmt.Sprintf("_vt_vrp_%032d_20200915120410_", n) }

// concerns reports whether a reader passes the statement on to the Evolution of table t, or fails the stream itself.
func concerns(t *testing.T, statement string) bool {
	t.Helper()
	d, err := ParseDDL(statement)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(slices.Concat(d.Altered, d.Extended, d.Declared, d.Emptied), "t")
}

func describe(s *Shape) string {
	if s.Refused != "" {
		return "refused: " + s.Refused
	}
	var list []string
	for _, o := range s.Origins {
		text := o.Today().Name
		switch {
		case o.Refused != "":
			list = append(list, text+"! "+o.Refused)
			continue
		case o.From < 0:
			text += "=" + describeDefault(o.Default)
		case s.Old[o.From].Name != text:
			text += "<" + s.Old[o.From].Name
		}
		if len(o.Steps) > 1 && (o.changed() || !o.Today().Nullable) {
			for i, d := range o.Steps {
				switch {
				case i == 0:
					text += " "
				case d.Copied:
					text += "~>"
				default:
					text += ">"
				}
				text += canonicalType(d.Type)
			}
		}
		list = append(list, text)
	}
	return strings.Join(list, "; ")
}

func describeDefault(d Default) string {
	switch d.Kind {
	case DefaultImplicit:
		return "implicit"
	case DefaultText:
		return "'" + strings.ReplaceAll(d.Value, `\`, `\\`) + "'"
	case DefaultNumber:
		return d.Value
	case DefaultBits:
		return "bits " + d.Value
	}
	return "null"
}

// readColumns reads "a int; b varchar(10) latin1 not null".
func readColumns(text string) (columns []Column) {
	if text == "-" {
		return nil
	}
	for c := range strings.SplitSeq(text, "; ") {
		rest, required := strings.CutSuffix(c, " not null")
		name, rest, _ := strings.Cut(rest, " ")
		column := Column{Name: name, Type: rest, Nullable: !required}
		if i := strings.LastIndexByte(rest, ' '); i > 0 && rest[i+1:] != "unsigned" && rest[i+1:] != "zerofill" {
			column.Type, column.Charset = rest[:i], rest[i+1:]
		}
		if base := ParseType(column.Type).Base; base == "enum" && column.Charset == "" {
			column.Charset = "utf8mb4"
		}
		columns = append(columns, column)
	}
	return columns
}

// FuzzEvolution checks that no statement makes it panic, and that its results are consistent.
func FuzzEvolution(f *testing.F) {
	data, err := os.ReadFile("testdata/evolution.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		if fields := strings.Split(line, " | "); len(fields) == 4 {
			f.Add(fields[0], fields[1])
		}
	}
	f.Fuzz(func(t *testing.T, was, statements string) {
		columns := readColumns(was)
		e := NewEvolution("t", columns)
		for s := range strings.SplitSeq(statements, " / ") {
			if !concerns(t, s) {
				continue
			}
			if _, err := e.Apply(s); err != nil {
				return
			}
		}
		var today []Column
		for _, l := range e.now {
			today = append(today, l.last().Column)
		}
		if err := e.End(today, ""); err != nil {
			t.Fatalf("the statements do not end in the columns that resulted from them: %v", err)
		}
		for step := range e.Step() + 1 {
			checkShape(t, e.Shape(step), columns, today, step)
		}
	})
}

func checkShape(t *testing.T, s *Shape, was, today []Column, step int) {
	t.Helper()
	if step == 0 && len(s.Old) != len(was) || len(s.Origins) != len(today) {
		t.Fatalf("step %d has %d columns of %d, and %d of %d", step, len(s.Old), len(was), len(s.Origins), len(today))
	}
	seen := map[int]bool{-1: true}
	for i, o := range s.Origins {
		if o.From >= len(s.Old) || o.From >= 0 && seen[o.From] || len(o.Steps) == 0 || o.Today().Column != today[i] {
			t.Fatalf("step %d: column %s does not fit", step, strconv.Itoa(i))
		}
		if seen[o.From] = true; o.From >= 0 && !sameType(o.Steps[0].Type, s.Old[o.From].Type) {
			t.Fatalf("step %d: column %d begins with %s instead of %s", step, i, o.Steps[0].Type, s.Old[o.From].Type)
		}
	}
}

// TestCharsetThatNoStatementNames checks that rows of a column which was declared without a character set are read with the table's
// default of that time, if it is known.
func TestCharsetThatNoStatementNames(t *testing.T) {
	const create = "create table t (id int, b int) engine=InnoDB default charset=latin1 collate=latin1_bin"
	for statements, want := range map[string]string{
		"alter table t add b text / alter table t modify b int":                                             "latin1",
		"alter table t add b text / alter table t default charset latin1 / alter table t modify b int":      UnknownCharset,
		"alter table t default charset utf8mb4 / alter table t add b text / alter table t modify b int":     "utf8mb4",
		"alter table t add b text collate cp1251_bin / alter table t modify b int, default charset utf8mb4": "cp1251",
	} {
		e := NewEvolution("t", readColumns("id int"))
		for s := range strings.SplitSeq(statements, " / ") {
			if _, err := e.Apply(s); err != nil || !concerns(t, s) {
				t.Fatal(s, err)
			}
		}
		if err := e.End(readColumns("id int; b int"), create); err != nil {
			t.Fatal(err)
		}
		if got := e.Shape(1).Old[1].Charset; got != want {
			t.Errorf("%s: %s instead of %s", statements, got, want)
		}
	}
}
