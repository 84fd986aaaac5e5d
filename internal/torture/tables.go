package torture

import (
	"fmt"
	"slices"
	"strings"
)

// table is what the generator knows about a table.
type table struct {
	name     string
	keyspace string
	columns  []column
	key      []string // the primary or unique key's columns
	unique   bool     // a unique key only
	vindex   []string // columns that shard it
	next     int      // numbers texts and fills
	full     bool     // it was filled with many rows
	// Since the last quiet point it was emptied by a statement that is not sent, or changed by one that may be the reason why its
	// identity changed.
	emptied, explained bool
	// In a sharded keyspace, each shard has all its rows: only statements through vtgate keep them the same.
	reference bool
}

type column struct {
	name   string
	kind   *columnKind
	null   bool
	source bool // a generated column is computed from it: rows from before a change of its type cannot be read
	// initial is the default of a text that was added later: what older rows have is certain only while it is the column's default.
	initial string
}

// counter is a column of every table that is not part of the key: statements select rows by it.
const counter = "n"

// column is the table's column of that name, which it has.
func (t *table) column(name string) *column {
	return &t.columns[slices.IndexFunc(t.columns, func(c column) bool { return c.name == name })]
}

func (t *table) keyed(name string) bool {
	return slices.Contains(t.key, name) || slices.Contains(t.vindex, name)
}

// free are the columns that may be updated, altered and dropped freely.
func (t *table) free() []*column {
	var list []*column
	for i := range t.columns {
		if c := &t.columns[i]; !t.keyed(c.name) && c.name != counter {
			list = append(list, c)
		}
	}
	return list
}

// newTable invents a table, and the steps that create it.
func (g *generator) newTable() {
	t := &table{name: fmt.Sprintf("%s%c", Prefix, 'a'+len(g.tables)), keyspace: g.keyspace}
	shape := pick(g, []weighted{{"primary", 12}, {"unique", 3}, {"nokey", 2}}).name
	if shape != "nokey" {
		for i := range 1 + g.r.IntN(3) {
			c := column{name: fmt.Sprintf("k%d", i), kind: g.columnKind(func(k *columnKind) bool {
				return k.key && g.may("key:"+k.tag) && (i > 0 || !g.merges() || k.vindex != "" && g.may("vindex:"+k.tag))
			})}
			t.columns, t.key = append(t.columns, c), append(t.key, c.name)
		}
	}
	t.unique = shape == "unique"
	t.columns = append(t.columns, column{name: counter, kind: &columnKinds[4]})
	for i := range g.r.IntN(6) {
		t.columns = append(t.columns, column{name: fmt.Sprintf("c%d", i), kind: g.columnKind(nil), null: g.r.IntN(2) == 0})
	}
	if g.chance(3) && g.may("type:text") { // so that it can be filled
		t.columns = append(t.columns, column{name: "x0", kind: kindNamed("text"), null: g.chance(2)})
	}
	if g.chance(40) {
		for i := range 20 + g.r.IntN(100) {
			t.columns = append(t.columns, column{name: fmt.Sprintf("w%d", i), kind: g.columnKind(nil), null: true})
		}
	}
	g.r.Shuffle(len(t.columns), func(i, j int) { t.columns[i], t.columns[j] = t.columns[j], t.columns[i] })
	s := Step{Verb: "table", Words: []string{t.name}, SQL: []string{g.createTable(t)}}
	switch t.reference = g.keyspace == "customer" && g.may("reference") && g.chance(6); {
	case t.reference:
		s.Words = append(s.Words, "reference")
	case g.keyspace == "customer":
		s.SQL = append(s.SQL, g.shard(t))
	}
	g.tables = append(g.tables, t)
	g.add(s)
	g.choose(t, shape)
}

func (g *generator) columnKind(fits func(*columnKind) bool) *columnKind {
	for {
		k := &columnKinds[g.r.IntN(len(columnKinds))]
		if g.may("type:"+k.tag) && (fits == nil || fits(k)) {
			return k
		}
	}
}

func (g *generator) createTable(t *table) string {
	var parts []string
	for _, c := range t.columns {
		parts = append(parts, c.definition())
	}
	for i, c := range t.columns {
		if c.kind.numeric && c.kind.tag != "float" && c.kind.tag != "double" && g.chance(8) && g.may("generated") {
			t.columns[i].source = true
			parts = append(parts, fmt.Sprintf("g%d varchar(80) generated always as (concat('g', %s)) %s", i, c.name, g.one("virtual", "stored", "virtual invisible")))
		}
	}
	switch {
	case t.unique:
		parts = append(parts, "unique key u ("+strings.Join(t.key, ", ")+")")
	case len(t.key) > 0:
		parts = append(parts, "primary key ("+strings.Join(t.key, ", ")+")")
	}
	return "create table " + t.name + " (" + strings.Join(parts, ", ") + ")"
}

func (c *column) definition() string {
	d := c.name + " " + c.kind.decl
	if c.name == counter {
		return d + " not null default 0"
	}
	if c.null {
		d += " null"
	} else {
		d += " not null"
	}
	if c.initial != "" {
		d += " default " + c.initial
	}
	return d
}

// shard gives a table a vindex, on columns of the key if they support it, else on a column of its own.
func (g *generator) shard(t *table) string {
	var able, hashed []string
	using := map[string]string{counter: "hash"}
	for _, c := range t.columns {
		if c.kind.vindex == "" || !g.may("vindex:"+c.kind.tag) || c.null || c.name == counter {
			continue
		}
		if g.merges() && len(t.key) > 0 && !slices.Contains(t.key, c.name) {
			continue
		}
		using[c.name] = c.kind.vindex
		able = append(able, c.name)
		if c.kind.vindex == "hash" {
			hashed = append(hashed, c.name)
		}
	}
	switch {
	case len(hashed) > 1 && g.chance(2):
		t.vindex = hashed[:2]
		return "alter vschema on " + t.name + " add vindex region(" + strings.Join(t.vindex, ", ") + ")"
	case len(able) > 0:
		t.vindex = []string{able[g.r.IntN(len(able))]}
	default:
		t.vindex = []string{counter}
	}
	return "alter vschema on " + t.name + " add vindex " + using[t.vindex[0]] + "(" + t.vindex[0] + ")"
}

// choose configures the stream.
func (g *generator) choose(t *table, shape string) {
	s := Step{Verb: "stream", Words: []string{t.name}}
	switch pick(g, []weighted{{"dedup", 12}, {"append", 2}, {"full", 2}}).name {
	case "append":
		s.Words = append(s.Words, "dest=append")
	case "full":
		s.Words = append(s.Words, "mode=full_refresh", "dest="+g.one("overwrite", "overwrite_dedup"))
	}
	if free := t.free(); len(free) > 1 && g.chance(8) && shape != "nokey" {
		s.Words = append(s.Words, "without="+free[0].name)
	}
	if len(s.Words) > 1 {
		g.add(s)
	}
}
