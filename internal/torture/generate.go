package torture

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
)

// Generate creates a history of about that many steps. What is in without is not generated: "type:T", "key:T", "vindex:T" or the name of
// a move that the connector is known to handle wrongly.
func Generate(seed uint64, steps int, without map[string]bool) History {
	g := &generator{r: rand.New(rand.NewPCG(seed, 17)), without: without, shards: newResharding(seed, !without["reshard"])}
	g.begin()
	g.planReshards()
	for len(g.h) < steps {
		g.move()
	}
	g.endReshards()
	g.judge()
	g.clock(rand.New(rand.NewPCG(seed, 19)))
	g.halfOpen(rand.New(rand.NewPCG(seed, 18)))
	return g.h
}

// halfOpen makes connections half-open in the middle of one of the syncs, in few histories: the connector needs 20 s to notice. It draws
// from numbers of its own, so that a seed's other steps are what they were without it.
func (g *generator) halfOpen(r *rand.Rand) {
	var places []int
	for i, s := range g.h {
		if s.Verb == "read" || s.Verb == "state" {
			places = append(places, i+1)
		}
	}
	if len(places) == 0 || r.IntN(8) > 0 || !g.may("half-open") {
		return
	}
	s := Step{Verb: "half-open", Words: []string{[]string{"grpc", "grpc", "mysql", "grpc,mysql"}[r.IntN(4)]}}
	if length := []string{"", "", "4000", "25000"}[r.IntN(4)]; length != "" {
		s.Words = append(s.Words, length)
	}
	g.h = slices.Insert(g.h, places[r.IntN(len(places))], s)
}

type generator struct {
	r        *rand.Rand
	without  map[string]bool
	h        History
	keyspace string // where the next step happens
	tables   []*table
	reading  bool
	replicas bool // replicas are read
	errants  bool // a replica has a transaction of its own
	shaky    bool // servers are killed
	bare     bool // states do not say which columns there were
	shards   resharding
}

// weighted is a list to draw from: its entries' names and weights.
type weighted struct {
	name   string
	weight int
}

func (w weighted) odds() weighted { return w }

func (g *generator) may(tag string) bool { return !g.without[tag] }

// chance is true one time in n.
func (g *generator) chance(n int) bool { return g.r.IntN(n) == 0 }

func (g *generator) one(list ...string) string { return list[g.r.IntN(len(list))] }

// pick draws one of the allowed entries, by weight.
func pick[T interface{ odds() weighted }](g *generator, list []T) T {
	var may []T
	sum := 0
	for _, entry := range list {
		if w := entry.odds(); g.may(w.name) {
			may = append(may, entry)
			sum += w.weight
		}
	}
	n, i := g.r.IntN(sum), 0
	for n >= may[i].odds().weight {
		n -= may[i].odds().weight
		i++
	}
	return may[i]
}

func (g *generator) add(s Step) { g.h = append(g.h, s) }

// table picks a table, and goes to its keyspace.
func (g *generator) table() *table {
	t := g.tables[g.r.IntN(len(g.tables))]
	g.at(t.keyspace)
	return t
}

// neighbor picks a table of the keyspace that the last one belonged to.
func (g *generator) neighbor() *table {
	for {
		if t := g.tables[g.r.IntN(len(g.tables))]; t.keyspace == g.keyspace {
			return t
		}
	}
}

// at goes to a keyspace.
func (g *generator) at(keyspace string) {
	if g.keyspace != keyspace {
		g.keyspace = keyspace
		g.add(Step{Verb: "keyspace", Words: []string{keyspace}})
	}
}

// names are those of a keyspace's tables.
func (g *generator) names(keyspace string) []string {
	var list []string
	for _, t := range g.tables {
		if t.keyspace == keyspace {
			list = append(list, t.name)
		}
	}
	return list
}

func (g *generator) shardName() string {
	if g.keyspace == "commerce" {
		return "-"
	}
	return g.one(g.shards.serving[g.keyspace]...)
}

func (g *generator) begin() {
	first := g.one("commerce", "customer")
	other := map[string]string{"commerce": "customer", "customer": "commerce"}[first]
	both := g.chance(4) && g.may("keyspaces")
	g.at(first)
	for range 1 + g.r.IntN(4) {
		g.newTable()
	}
	if both {
		g.at(other)
		for range 1 + g.r.IntN(2) {
			g.newTable()
		}
	}
	for _, t := range g.tables {
		g.at(t.keyspace)
		for range 1 + g.r.IntN(3) {
			g.insert(t)
		}
		if g.chance(4) {
			g.fill(t)
		}
	}
	g.at(first)
	source := Step{Verb: "source"}
	switch {
	case both:
		source.Words = append(source.Words, "keyspaces="+g.one(`["`+other+`"]`, `["*"]`))
	case first == "customer" && g.chance(6) && g.may("shards"):
		source.Words = append(source.Words, `shards="`+g.shardName()+`"`)
	}
	if g.chance(3) {
		source.Words = append(source.Words, "face=hosted")
	}
	if g.chance(4) {
		source.Words = append(source.Words, fmt.Sprintf("concurrency=%d", 1+g.r.IntN(4)))
	}
	if g.chance(6) {
		source.Words = append(source.Words, "include_metadata=true")
	}
	if g.chance(5) {
		source.Words = append(source.Words, `options={"do_not_treat_tiny_int_as_boolean":true}`)
	}
	if g.chance(3) {
		source.Words = append(source.Words, "checkpoint_interval_seconds="+g.one("2", "5", "3600"))
	}
	if g.replicas = g.chance(4) && g.may("replicas"); g.replicas {
		source.Words = append(source.Words, "use_replica=true")
	}
	if g.bare = !both && g.chance(8) && g.may("bare"); g.bare {
		g.add(Step{Verb: "bare", Words: strings.Fields(g.one("states", "catalog", "states catalog"))})
	}
	g.add(source)
	g.shaky = g.chance(15)
	if g.chance(4) {
		g.interrupt() // in the middle of copies
	}
}

type move struct {
	weighted
	make func(*generator)
}

// moves are the possible next events, by weight: a new kind of event is a new line here.
var moves = []move{
	{weighted{"insert", 20}, func(g *generator) { g.insert(g.table()) }},
	{weighted{"update", 20}, func(g *generator) { g.add(Step{Verb: "sql", SQL: []string{g.update(g.table())}}) }},
	{weighted{"rekey", 8}, func(g *generator) { g.rekey(g.table()) }},
	{weighted{"delete", 10}, func(g *generator) { g.add(Step{Verb: "sql", SQL: []string{g.remove(g.table())}}) }},
	{weighted{"transaction", 10}, (*generator).transaction},
	{weighted{"session", 4}, (*generator).session},
	{weighted{"fill", 4}, func(g *generator) {
		if t := g.table(); g.fill(t) && g.chance(2) { // the next moves meet a sync that catches up, or copies
			g.stop()
			if g.chance(2) {
				g.add(Step{Verb: "clear", Words: []string{t.name}})
			}
			g.start()
		}
	}},
	{weighted{"sync", 6}, func(g *generator) { g.stop(); g.add(Step{Verb: "sync"}) }},
	{weighted{"start", 8}, (*generator).start},
	{weighted{"interrupt", 6}, (*generator).interrupt},
	{weighted{"judge", 6}, (*generator).judge},
	{weighted{"replay", 3}, func(g *generator) { g.stop(); g.add(Step{Verb: "replay", Words: []string{fmt.Sprint(g.r.IntN(100))}}) }},
	{weighted{"clear", 3}, func(g *generator) {
		t := g.table()
		g.stop()
		g.add(Step{Verb: "clear", Words: []string{t.name}})
		if g.chance(2) {
			g.fill(t)
			g.start()
		}
	}},
	{weighted{"discover", 2}, func(g *generator) { g.stop(); g.add(Step{Verb: "discover"}) }},
	{weighted{"idle", 3}, func(g *generator) { g.table(); g.add(Step{Verb: "idle", Words: []string{g.shardName()}}) }},
	{weighted{"alter", 5}, (*generator).alter},
	{weighted{"table", 1}, func(g *generator) {
		if len(g.tables) < 6 {
			g.stop()
			g.table()
			g.newTable()
			g.insert(g.tables[len(g.tables)-1])
			g.add(Step{Verb: "discover"})
		}
	}},
	{weighted{"purge", 1}, func(g *generator) { g.table(); g.add(Step{Verb: "purge", Words: []string{g.shardName()}}) }},
	{weighted{"statements", 2}, (*generator).statements},
	{weighted{"swap", 2}, (*generator).swap},
	{weighted{"hold", 4}, func(g *generator) {
		if !g.replicas {
			return
		}
		t := g.table()
		g.add(Step{Verb: "hold", Words: []string{g.shardName(), g.one("500", "2500", "5000")}})
		if g.shards.next == nil && g.chance(2) { // replicas that answer, copy and send have the table before the statement and after it
			g.stop()
			g.alterTable(t)
			if g.chance(2) {
				g.add(Step{Verb: "clear", Words: []string{t.name}})
			}
			g.start()
		}
	}},
	{weighted{"errant", 2}, func(g *generator) {
		if g.table(); g.replicas && !g.shards.planned { // new shards copy a replica, and follow another that does not have it
			g.errants = true
			g.add(Step{Verb: "errant", Words: []string{g.shardName()}})
		}
	}},
	{weighted{"reparent", 1}, (*generator).reparent},
	{weighted{"fault", 4}, (*generator).fault},
}

func (g *generator) move() {
	m := pick(g, moves)
	g.beforeMove(m.name)
	m.make(g)
}

// start begins a sync in whose middle the next moves happen: few records are read, since most syncs have no more.
func (g *generator) start() {
	if !g.reading {
		g.add(Step{Verb: "start"})
		g.reading = true
	}
	g.add(Step{Verb: "read", Words: []string{fmt.Sprint(1<<g.r.IntN(7) - 1)}})
}

// interrupt ends a sync before it is done.
func (g *generator) interrupt() {
	if !g.reading {
		g.add(Step{Verb: "start"})
	}
	switch g.r.IntN(4) {
	case 0:
		g.add(Step{Verb: "read", Words: []string{fmt.Sprint(g.r.IntN(3000))}})
	case 1:
		g.add(Step{Verb: "state"})
	default: // the copy of a table that was filled writes a state once it has run for a second
		g.add(Step{Verb: "read", Words: []string{fmt.Sprint(g.r.IntN(300))}})
		g.add(Step{Verb: "pause", Words: []string{"1100"}})
		g.add(Step{Verb: "state"})
	}
	g.add(Step{Verb: g.one("kill", "kill", "term")})
	g.reading = false
}

func (g *generator) stop() {
	if g.reading {
		g.add(Step{Verb: "finish"})
		g.reading = false
	}
}

// value is a literal for a column: half of the time an edge case.
func (g *generator) value(t *table, c *column) string {
	if c.name == counter {
		return fmt.Sprint(g.r.IntN(30))
	}
	if c.null && g.chance(5) {
		return "null"
	}
	if edges := c.kind.edges; g.r.IntN(2) == 0 && len(edges) > 0 {
		v := edges[g.r.IntN(len(edges))]
		if t.keyed(c.name) && !g.may("zerodate") && (strings.Contains(v, "'0000-") || v == "'2026-02-30'" || v == "'-00:00:01'" || v == "'838:59:59'" || v == "'24:00:00'") {
			return c.kind.random(g.r)
		}
		return v
	}
	return c.kind.random(g.r)
}

func (g *generator) row(t *table) string {
	values := make([]string, len(t.columns))
	for i := range t.columns {
		values[i] = g.value(t, &t.columns[i])
	}
	return "(" + strings.Join(values, ", ") + ")"
}

func (t *table) names() string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

func (g *generator) insertion(t *table) string {
	rows := make([]string, 1+g.r.IntN(12))
	for i := range rows {
		rows[i] = g.row(t)
	}
	return "insert ignore into " + t.name + " (" + t.names() + ") values " + strings.Join(rows, ", ")
}

func (g *generator) insert(t *table) { g.add(Step{Verb: "sql", SQL: []string{g.insertion(t)}}) }

// fill inserts enough rows for a copy of several packets (of 250 kB each), once, into a table that has a wide column.
func (g *generator) fill(t *table) bool {
	if t.full || !g.may("fill") || len(t.key) == 0 && !g.may("keyless-resume") {
		return false
	}
	wide := -1
	for i, c := range t.columns {
		if !t.keyed(c.name) && (c.kind.tag == "text" || c.kind.tag == "mediumtext" || c.kind.tag == "blob") {
			wide = i
		}
	}
	if wide < 0 {
		return false
	}
	t.full = true
	values := make([]string, len(t.columns))
	for i := range t.columns {
		switch c := &t.columns[i]; {
		case i == wide:
			values[i] = "repeat('some " + Mark + " ', 100)"
		case t.keyed(c.name) && c.kind.numeric && c.kind.tag != "tinyint" && c.kind.tag != "bool": // which would cut it off
			values[i] = "{n}"
		case t.keyed(c.name) && strings.HasPrefix(c.kind.decl, "varchar"), t.keyed(c.name) && strings.HasPrefix(c.kind.decl, "char"):
			values[i] = "'{n}'"
		default:
			values[i] = g.value(t, c)
		}
	}
	g.add(Step{Verb: "fill", Words: []string{t.name, "0", fmt.Sprint(1000 + g.r.IntN(2000))}, SQL: []string{
		"insert ignore into " + t.name + " (" + t.names() + ") values (" + strings.Join(values, ", ") + ")",
	}})
	return true
}

// some is a condition that picks some of the rows.
func (g *generator) some() string {
	m := 1 + g.r.IntN(9)
	return fmt.Sprintf("n %% %d = %d", m, g.r.IntN(m))
}

func (g *generator) update(t *table) string {
	sets := []string{}
	if free := t.free(); len(free) > 0 && g.r.IntN(3) > 0 {
		c := free[g.r.IntN(len(free))]
		sets = append(sets, c.name+" = "+g.value(t, c))
	}
	if !t.keyed(counter) {
		sets = append(sets, fmt.Sprintf("n = n + %d", 1+g.r.IntN(7)))
	}
	if len(sets) == 0 {
		return g.insertion(t)
	}
	return "update " + t.name + " set " + strings.Join(sets, ", ") + " where " + g.some()
}

// rekey changes a column of the key; vtgate refuses columns of the vindex.
func (g *generator) rekey(t *table) {
	for i := range t.columns {
		c := &t.columns[i]
		if t.keyed(c.name) && !slices.Contains(t.vindex, c.name) {
			g.add(Step{Verb: "sql", SQL: []string{"update ignore " + t.name + " set " + c.name + " = " + g.value(t, c) + " where " + g.some()}})
			return
		}
	}
}

func (g *generator) remove(t *table) string { return "delete from " + t.name + " where " + g.some() }

func (g *generator) statement(t *table) string {
	switch g.r.IntN(6) {
	case 0, 1:
		return g.insertion(t)
	case 2:
		return g.insertion(t) + " on duplicate key update n = values(n) + 1"
	case 3:
		return g.remove(t)
	}
	return g.update(t)
}

// transaction covers several tables, and now and then it is a long one.
func (g *generator) transaction() {
	n := 2 + g.r.IntN(5)
	if g.chance(20) {
		n = 100 + g.r.IntN(400)
		if g.chance(5) {
			n = 5000
		}
	}
	g.table()
	s := Step{Verb: "sql"}
	for range n {
		statement := g.statement(g.neighbor())
		if strings.Contains(statement, "on duplicate") && g.keyspace == "customer" {
			statement = strings.Replace(statement, "insert ignore", "insert", 1)
		}
		s.SQL = append(s.SQL, statement)
	}
	g.add(s)
}

// session is a transaction in one shard that vtgate has no part in, as one of a person or of a tool has, with savepoints.
func (g *generator) session() {
	g.table()
	sql := []string{"begin"}
	for range 1 + g.r.IntN(6) {
		t := g.neighbor()
		if t.reference { // it would have other rows in the other shards
			continue
		}
		if g.chance(5) {
			sql = append(sql, "savepoint s", g.remove(t), "rollback to savepoint s")
		}
		statement := g.statement(t)
		if g.keyspace == sharded && strings.HasPrefix(statement, "insert") { // a new row may belong to another shard
			statement = g.remove(t)
		}
		sql = append(sql, statement)
	}
	if sql = append(sql, g.one("commit", "commit", "commit", "rollback")); len(sql) > 2 {
		g.add(Step{Verb: "direct", Words: []string{g.shardName()}, SQL: sql})
	}
}

// statements logs changes as statements.
func (g *generator) statements() {
	t := g.table()
	if t.reference {
		return
	}
	g.add(Step{Verb: "direct", Words: []string{g.shardName(), "may-fail=" + t.name}, SQL: []string{"set session binlog_format = STATEMENT", g.update(t), g.remove(t)}})
}

type exchange struct {
	weighted
	may    bool   // the stream may fail because of it
	hidden bool   // VStream sends nothing about it
	direct string // T is the table, O and N are its neighbours, V is its database
}

// swaps remove a table's rows without a delete event for each, or seem to. Those that must not fail a stream are harmless.
var swaps = []exchange{
	{weighted{"swap-rename", 1}, true, false, "rename table T to O, N to T"},
	{weighted{"swap-alter", 1}, true, false, "alter table T autoextend_size=4M, rename to O ;; alter table N rename to T"},
	{weighted{"truncate-direct", 1}, true, false, "truncate table T"},
	{weighted{"truncate-comment", 1}, true, true, "/*! truncate table T */"},
	{weighted{"truncate-note", 1}, true, false, "/* a note */ truncate table T"},
	{weighted{"truncate-elsewhere", 1}, true, true, "use mysql ;; truncate table V.T"},
	{weighted{"drop-create", 1}, true, false, "drop table T ;; create table T like N"},
	{weighted{"drop-temporary", 1}, false, false, "create temporary table T (a int) ;; drop temporary table T"},
	{weighted{"xa", 1}, true, false, "xa start 'x' ;; update T set n = n + 1 ;; xa end 'x' ;; xa prepare 'x' ;; xa commit 'x'"},
	{weighted{"view", 1}, false, false, "create view O as select * from T"},
	{weighted{"optimize", 1}, true, false, "optimize table T"}, // warned of: VStream leaves the statement out, of a table that it rebuilt
	{weighted{rebuild, 1}, false, false, "alter table T engine = innodb"},
}

// rebuild gives a table a new place, while its rows stay the same.
const rebuild = "rebuild"

// swap does one of the swaps in each shard.
func (g *generator) swap() {
	s, t := pick(g, swaps), g.table()
	switch {
	case t.reference, s.hidden && g.replicas && !g.may("truncate-masked"):
		return
	case s.hidden:
		g.hides(t)
	}
	if s.name == rebuild {
		g.explains(t)
	}
	sql := "drop table if exists O, N ;; create table N like T ;; " + s.direct + " ;; use V ;; drop view if exists O ;; drop table if exists O, N"
	var words []string
	switch {
	case s.name == "xa": // Vitess reads nothing behind it, of any table of the keyspace
		words = append(words, "may-fail="+strings.Join(g.names(g.keyspace), ","))
	case s.may:
		words = append(words, "may-fail="+t.name)
	}
	for _, shard := range g.shards.serving[g.keyspace] {
		g.add(Step{Verb: "direct", Words: append([]string{shard}, words...), SQL: strings.Split(g.filled(sql, t), separator)})
	}
}

// hides is called before a table is emptied by a statement that is not sent, explains before one that is sent, and that may be the reason
// why the table's identity changes. In one sync the second would be mistaken for the reason of the first as well.
func (g *generator) hides(t *table) {
	if t.explained && !g.may("truncate-masked") {
		g.judge()
	}
	t.emptied = true
}

func (g *generator) explains(t *table) {
	if t.emptied && !g.may("truncate-masked") {
		g.judge()
	}
	t.explained = true
}

// judge adds a quiet point.
func (g *generator) judge() {
	g.stop()
	g.add(Step{Verb: "judge"})
	for _, t := range g.tables {
		t.emptied, t.explained = false, false
	}
}

// filled puts names into the letters of a swap.
func (g *generator) filled(sql string, t *table) string {
	names := map[string]string{"T": t.name, "O": t.name + "_old", "N": t.name + "_new", "V": "vt_" + g.keyspace}
	return letter.ReplaceAllStringFunc(sql, func(l string) string { return names[l] })
}

var letter = regexp.MustCompile(`\b[TONV]\b`)

// reparent makes another server the primary, which has other IDs for its tables.
func (g *generator) reparent() {
	if g.errants {
		return
	}
	g.table()
	for _, t := range g.tables {
		if t.keyspace == g.keyspace {
			g.explains(t)
		}
	}
	g.add(Step{Verb: "reparent", Words: []string{g.shardName()}})
}

// fault kills a process of the cluster.
func (g *generator) fault() {
	if !g.shaky {
		return
	}
	kind := pick(g, []weighted{{"vtgate", 4}, {"edge", 2}, {"mysqld", 2}, {"vttablet", 1}}).name
	if kind == "mysqld" || kind == "vttablet" {
		kind += "-" + g.keyspace + "-" + g.shardName() + "-0"
	}
	g.add(Step{Verb: "fault", Words: []string{kind}})
}
