package torture

import (
	"fmt"
	"slices"
	"strings"
)

type alteration struct {
	weighted
	may  failing                         // whether the stream may fail because of it, until it is cleared
	make func(*generator, *table) string // the clause of ALTER TABLE, "" for none; nil truncates
}

// failing decides when a change of columns is a reason to fail.
type failing int

const (
	never failing = iota
	older         // where the rows from before it cannot be read
	always
)

// alters are the changes of a table's columns, by weight.
var alters = []alteration{
	{weighted{"add-last", 10}, never, func(g *generator, t *table) string { return g.addColumn(t, "", false) }},
	{weighted{"add-default", 5}, never, func(g *generator, t *table) string { return g.addColumn(t, "", true) }},
	{weighted{"add-first", 4}, older, func(g *generator, t *table) string { return g.addColumn(t, " first", false) }},
	{weighted{"drop", 4}, older, ofColumn(func(_ *generator, t *table, c *column) string {
		name := c.name
		t.forget(name)
		return "drop column " + name
	})},
	{weighted{"rename", 4}, older, ofColumn(func(_ *generator, t *table, c *column) string {
		old := c.name
		t.next++
		c.name = fmt.Sprintf("r%d", t.next)
		return "rename column " + old + " to " + c.name
	})},
	{weighted{"rename-key", 2}, always, func(g *generator, t *table) string {
		if len(t.key) == 0 || len(t.vindex) > 0 {
			return ""
		}
		old := t.key[0]
		t.next++
		t.key[0] = fmt.Sprintf("k%d", 10+t.next)
		t.column(old).name = t.key[0]
		return "rename column " + old + " to " + t.key[0]
	}},
	{weighted{"retype-key", 3}, always, func(g *generator, t *table) string {
		at := slices.IndexFunc(t.key, func(name string) bool {
			return !slices.Contains(t.vindex, name) && !t.column(name).kind.temporal()
		})
		if at < 0 {
			return ""
		}
		c := t.column(t.key[at])
		c.kind = g.columnKind(func(k *columnKind) bool {
			return k.key && g.may("key:"+k.tag) && !k.temporal() && (k.alike(c.kind) || g.chance(4))
		})
		return "modify column " + c.definition()
	}},
	{weighted{"renumber", 1}, always, func(_ *generator, t *table) string { // another key of the same name
		if len(t.key) != 1 || t.unique || t.keyspace == "customer" {
			return ""
		}
		t.column(t.key[0]).kind = kindNamed("bigint")
		return "drop primary key, drop column " + t.key[0] + ", add column " + t.key[0] + " bigint not null auto_increment, add primary key (" + t.key[0] + ")"
	}},
	{weighted{"widen", 4}, older, func(g *generator, t *table) string {
		for _, c := range t.free() {
			if !c.source && (c.kind.tag == "int" || c.kind.tag == "mediumint" || c.kind.tag == "tinyint") {
				c.kind = kindNamed("bigint")
				return "modify column " + c.definition()
			}
		}
		return ""
	}},
	{weighted{"null", 2}, older, ofColumn(func(_ *generator, _ *table, c *column) string {
		if c.null {
			return ""
		}
		c.null = true
		return "modify column " + c.definition()
	})},
	{weighted{"move", 2}, older, ofColumn(func(_ *generator, _ *table, c *column) string {
		return "modify column " + c.definition() + " first"
	})},
	{weighted{"retype", 4}, always, ofColumn(func(g *generator, _ *table, c *column) string {
		c.kind, c.initial = g.columnKind(nil), ""
		return "modify column " + c.definition()
	})},
	{weighted{"relabel", 3}, always, func(g *generator, t *table) string {
		for _, c := range t.free() {
			if strings.HasPrefix(c.kind.tag, "enum") {
				c.kind = kindNamed(g.one("enum", "enummore", "enumother"))
				return "modify column " + c.definition()
			}
		}
		return ""
	}},
	{weighted{"replace", 2}, always, ofColumn(func(g *generator, _ *table, c *column) string { // another column of the same name
		c.kind, c.initial = g.columnKind(nil), ""
		return "drop column " + c.name + ", add column " + c.definition()
	})},
	{weighted{"charset", 2}, always, func(g *generator, _ *table) string {
		return "convert to character set " + g.one("latin1", "utf8mb4", "utf8mb4 collate utf8mb4_bin")
	}},
	{weighted{"set-default", 3}, never, setDefault(false)},
	{weighted{"replace-default", 1}, always, setDefault(true)},
	{weighted{"table-charset", 3}, never, func(g *generator, _ *table) string { // of columns that are added later
		return "default character set " + g.one("latin1", "utf8mb4")
	}},
	{weighted{"partition", 2}, never, func(g *generator, _ *table) string {
		return g.one("partition by key () partitions 2", "add partition partitions 2", "coalesce partition 1", "remove partitioning")
	}},
	{weighted{"index", 2}, never, func(g *generator, t *table) string {
		t.next++
		return fmt.Sprintf("add index i%d (n)", t.next)
	}},
	{weighted{"comment", 1}, never, func(g *generator, t *table) string {
		t.next++
		return fmt.Sprintf("comment = 'no %d'", t.next)
	}},
	{weighted{"truncate", 1}, always, nil},
}

// alike reports whether values of one type are likely to fit another.
func (k *columnKind) alike(other *columnKind) bool {
	text := func(k *columnKind) bool {
		return strings.Contains(k.decl, "char") || strings.Contains(k.decl, "binary")
	}
	return k.numeric && other.numeric || text(k) && text(other)
}

// temporal reports whether a value of another type may become one that JSON shows as null, which no key may have (TYPES.md). The change of
// such a column may fail, and it then gets values of the other type.
func (k *columnKind) temporal() bool { return strings.Contains(k.decl, "time") || k.decl == "date" }

func kindNamed(tag string) *columnKind {
	for i := range columnKinds {
		if columnKinds[i].tag == tag {
			return &columnKinds[i]
		}
	}
	return nil
}

// labels reports whether the table has an ENUM or SET.
func (t *table) labels() bool {
	for _, c := range t.columns {
		if strings.HasPrefix(c.kind.tag, "enum") || c.kind.tag == "set" {
			return true
		}
	}
	return false
}

func (t *table) forget(name string) {
	for i := range t.columns {
		if t.columns[i].name == name {
			t.columns = append(t.columns[:i:i], t.columns[i+1:]...)
			return
		}
	}
}

// ofColumn creates a clause about one of the columns that may be changed freely, if there are any.
func ofColumn(clause func(*generator, *table, *column) string) func(*generator, *table) string {
	return func(g *generator, t *table) string {
		free := t.free()
		if len(free) == 0 {
			return ""
		}
		return clause(g, t, free[g.r.IntN(len(free))])
	}
}

// setDefault gives a column a default instead of none, or instead of one that was not ASCII: once that is gone, it is not known how the
// server had read it.
func setDefault(instead bool) func(*generator, *table) string {
	return ofColumn(func(g *generator, t *table, c *column) string {
		if instead != (c.initial != "") {
			return ""
		}
		return "alter column " + c.name + " set default (" + g.value(t, c) + ")"
	})
}

func (g *generator) addColumn(t *table, where string, withDefault bool) string {
	t.next++
	c := column{name: fmt.Sprintf("a%d", t.next), kind: g.columnKind(nil), null: true}
	if withDefault {
		c.kind, c.null, c.initial = kindNamed("varchar"), false, "'dé'"
	}
	definition := c.definition()
	if where == "" {
		t.columns = append(t.columns, c)
	} else {
		t.columns = append([]column{c}, t.columns...)
	}
	return "add column " + definition + where
}

// alter changes a table, and refreshes the schema half of the time.
func (g *generator) alter() { g.alterTable(g.table()) }

func (g *generator) alterTable(t *table) {
	g.addAlter(t, pick(g, alters))
	if g.chance(2) {
		g.stop()
		g.add(Step{Verb: "discover"})
	}
}

func (g *generator) addAlter(t *table, a alteration) {
	words := []string{t.name}
	if a.may == always || a.may == older && (t.labels() || g.bare) {
		words = append(words, "may-fail")
	}
	several := len(g.shards.serving[g.keyspace]) > 1
	if several && !t.reference && g.chance(5) && g.may("half") && a.make != nil { // an online DDL cuts over shard by shard
		g.addHalves(t, a)
		return
	}
	if a.make == nil {
		g.add(Step{Verb: "ddl", Words: words, SQL: []string{"truncate table " + t.name}})
		return
	}
	if a.may != never && t.labels() && !g.may("alter-labels") {
		return
	}
	clause := a.clause(g, t)
	if clause != "" && g.chance(5) && g.may("several") { // of which MySQL refuses some
		if b := pick(g, alters); b.make != nil {
			if other := b.clause(g, t); other != "" {
				clause += ", " + other
				words = []string{t.name, "may-fail"}
			}
		}
	}
	if clause == "" {
		return
	}
	if slices.Contains(copied, a.name) && g.chance(4) && g.may("copied") {
		words = []string{t.name, "may-fail", "copied"} // it is not certain what became of the rows that it copied
	}
	g.add(Step{Verb: "ddl", Words: words, SQL: []string{"alter table " + t.name + " " + clause}})
}

// copied are the changes that are also made the way of gh-ost. A copy has no values of a renamed column.
var copied = []string{"add-last", "add-default", "add-first", "drop", "widen", "null", "move", "retype", "relabel", "charset"}

// clause creates the ALTER's clause. An index is made in place, and explains nothing.
func (a *alteration) clause(g *generator, t *table) string {
	clause := a.make(g, t)
	if clause != "" && a.name != "index" {
		g.explains(t)
	}
	return clause
}

// addHalves alters the table in one shard, lets a sync see that, and then in the others.
func (g *generator) addHalves(t *table, a alteration) {
	if clause := a.clause(g, t); clause != "" {
		statement := "alter table " + t.name + " " + clause
		g.stop()
		for i, shard := range g.shards.serving[g.keyspace] {
			g.add(Step{Verb: "ddl", Words: []string{t.name, "may-fail", "in=" + shard}, SQL: []string{statement}})
			if i == 0 {
				g.add(Step{Verb: "sync"})
			}
		}
	}
}
