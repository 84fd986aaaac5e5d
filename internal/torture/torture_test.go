package torture

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/destination"
)

func TestAHistoryFollowsFromItsSeed(t *testing.T) {
	for seed := range uint64(300) {
		h := Generate(seed, 30, nil)
		text := h.String()
		if again := Generate(seed, 30, nil).String(); again != text {
			t.Fatalf("seed %d generates different histories", seed)
		}
		parsed, err := Parse(text)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if parsed.String() != text {
			t.Fatalf("seed %d: the parsed history differs from the printed one:\n%s\n%s", seed, text, parsed)
		}
	}
}

// TestAHalfOpenConnectionShiftsNothing checks that seeds which were kept before such steps existed still generate the same other steps.
func TestAHalfOpenConnectionShiftsNothing(t *testing.T) {
	some := 0
	for seed := range uint64(300) {
		without := Generate(seed, 30, map[string]bool{"half-open": true}).String()
		with := Generate(seed, 30, nil)
		rest := slices.DeleteFunc(slices.Clone(with), func(s Step) bool { return s.Verb == "half-open" })
		some += len(with) - len(rest)
		if rest.String() != without {
			t.Fatalf("seed %d has other steps:\n%s\n%s", seed, rest, without)
		}
	}
	if some == 0 {
		t.Error("no history has such a step")
	}
}

func TestNothingIsGeneratedThatIsLeftOut(t *testing.T) {
	without := map[string]bool{"idle": true, "key:bool": true, "swap-rename": true}
	for seed := range uint64(300) {
		for _, s := range Generate(seed, 60, without) {
			text := s.String()
			if s.Verb == "idle" || strings.Contains(text, "rename table") {
				t.Fatalf("seed %d: %s", seed, text)
			}
			if s.Verb == "table" && strings.Contains(text, "k0 tinyint(1)") {
				t.Fatalf("seed %d: %s", seed, text)
			}
		}
	}
}

// TestAReferenceTableIsTheSameInAllShards: no statement about one goes to a shard alone, and nothing shards it.
func TestAReferenceTableIsTheSameInAllShards(t *testing.T) {
	tables, altered := 0, 0
	for seed := range uint64(300) {
		references, keyspace := map[string]bool{}, ""
		for _, s := range Generate(seed, 60, nil) {
			text := s.String()
			switch name := s.Word(0); {
			case s.Verb == "keyspace":
				keyspace = name
			case s.Verb == "table" && s.Has("reference"):
				references[name] = true
				tables++
				if keyspace != "customer" || strings.Contains(text, "vindex") {
					t.Errorf("seed %d, in %s: %s", seed, keyspace, text)
				}
			case s.Verb == "ddl" && references[name]:
				altered++
				if s.Option("in") != "" {
					t.Errorf("seed %d: %s", seed, text)
				}
			case s.Verb == "direct":
				for name := range references {
					if s.Option("may-fail") == name || strings.Contains(strings.Join(s.SQL, separator), name) {
						t.Errorf("seed %d: %s", seed, text)
					}
				}
			}
		}
	}
	if tables == 0 || altered == 0 {
		t.Errorf("%d reference tables, altered %d times", tables, altered)
	}
	for seed := range uint64(100) {
		if text := Generate(seed, 30, map[string]bool{"reference": true}).String(); strings.Contains(text, " reference |") {
			t.Errorf("seed %d: %s", seed, text)
		}
	}
}

// TestSessionsKeepRowsInTheirShard: what a session of a shard's own MySQL writes must belong to that shard.
func TestSessionsKeepRowsInTheirShard(t *testing.T) {
	statements := 0
	for seed := range uint64(300) {
		h, keyspace, vindexes := Generate(seed, 60, nil), "", map[string][]string{}
		for _, s := range h {
			switch {
			case s.Verb == "keyspace":
				keyspace = s.Word(0)
			case s.Verb == "table" && len(s.SQL) > 1:
				_, columns, _ := strings.Cut(s.SQL[1], " add vindex ")
				_, columns, _ = strings.Cut(strings.TrimSuffix(columns, ")"), "(")
				vindexes[s.Word(0)] = strings.Split(columns, ", ")
			case s.Verb == "direct" && s.SQL[0] == "begin" && keyspace == sharded:
				for _, sql := range s.SQL {
					statements++
					if strings.HasPrefix(sql, "insert") {
						t.Errorf("seed %d: %s", seed, sql)
					}
					words := strings.Fields(sql)
					for _, column := range vindexes[words[min(1, len(words)-1)]] {
						if words[0] == "update" && (strings.Contains(sql, "set "+column+" = ") || strings.Contains(sql, ", "+column+" = ")) {
							t.Errorf("seed %d: %s, sharded by %s", seed, sql, column)
						}
					}
				}
			}
		}
	}
	if statements == 0 {
		t.Error("no session writes to a shard")
	}
}

func TestEveryMoveAlterAndSwapIsMade(t *testing.T) {
	var all strings.Builder
	for seed := range uint64(600) {
		all.WriteString(Generate(seed, 60, nil).String())
	}
	text := all.String()
	for _, part := range []string{
		"\nfill ", "\nreplay ", "\npurge ", "\nidle ", "\nfault ", "\nclear ", "\nhold - ", "\nhold 80- ", "\nerrant -\n", "\nreparent -\n", "\nreparent -80\n", "checkpoint_interval_seconds=3600", "savepoint s", "rollback\n", "\nhalf-open grpc\n", "\nhalf-open mysql\n", "\nhalf-open grpc,mysql 25000\n", "\nhalf-open grpc 4000\n", "\nclock -3600\n", "\nclock 21600\n", "\nerrant 80-\n", "use_replica", "\nbare", "\nterm", "\nkill", "\npause ", "\nstate", " in=-80 ",
		"mode=full_refresh", "dest=append", "without=", "binlog_format", "rename column", "drop column", " first", "add index",
		"\nreshard -80 to -40,40-80\n", "\nreshard -80,80- to -\n", "\nreshard - to ", "\nswitch\n", "\nswitch held=", "\ncomplete\n", "\ndirect 40-80 ", "idle 40-80",
		" set default (", " default character set ", "partition by key", "add partition", " may-fail copied | alter table ",
		"truncate table", "rename table", "use mysql", "temporary", "xa start", "optimize", "virtual invisible", "unique key",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("no history has %q", part)
		}
	}
	for _, k := range columnKinds {
		if !strings.Contains(text, " "+k.decl+" ") {
			t.Errorf("no table has a column of type %s", k.decl)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	if _, err := Parse("# a note\n\nsql | select 1\njump\n"); err == nil || !strings.Contains(err.Error(), `line 4: there is no step "jump"`) {
		t.Errorf("got %v", err)
	}
}

func TestATruncateIsKnown(t *testing.T) {
	for line, want := range map[string]bool{
		"ddl tt_a may-fail | truncate table tt_a": true, "ddl tt_a | alter table tt_a add truncate int": false, "ddl tt_a": false,
	} {
		if h, err := Parse(line); err != nil || h[0].Truncates() != want {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestShrinkKeepsWhatIsNeeded(t *testing.T) {
	var h History
	for i := range 40 {
		h = append(h, Step{Verb: "sql", SQL: []string{fmt.Sprintf("insert into t (a) values (%d), (1), (2), (3)", i), "update t set a = 1"}})
	}
	tries := 0
	fails := func(h History) bool {
		tries++
		text := h.String()
		first, second := strings.Index(text, "(7), (1)"), strings.LastIndex(text, "(31)")
		return first >= 0 && second > first && strings.Contains(text, "update")
	}
	got := Shrink(h, fails, func() bool { return true }).String()
	want := "sql | insert into t (a) values (7), (1), (3)\nsql | insert into t (a) values (31), (3) ;; update t set a = 1\n"
	if got != want {
		t.Errorf("got\n%safter %d tries, want\n%s", got, tries, want)
	}
	tries = 0
	Shrink(h, fails, func() bool { return tries < 5 })
	if tries != 5 {
		t.Errorf("%d tries were made, though time was up after 5", tries)
	}
}

const testCatalog = `{"streams":[{"name":"t","namespace":"ks","json_schema":{"properties":{"id":{"type":"number"},"v":{"type":["null","string"]},` +
	`"_ab_cdc_cursor":{},"_ab_cdc_deleted_at":{}}},"source_defined_primary_key":[["id"]],"default_cursor_field":["_ab_cdc_cursor"]}]}`

var testColumns = []Column{{"id", "int", "int"}, {"v", "varchar", "varchar(40)"}}

func record(id, v string, cursor int) string {
	return fmt.Sprintf(`{"type":"RECORD","record":{"stream":"t","namespace":"ks","data":{"id":%s,"v":%s,"_ab_cdc_cursor":%d}}}`, id, v, cursor)
}

func state(count int) string {
	return fmt.Sprintf(`{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"t","namespace":"ks"},"stream_state":{}},"sourceStats":{"recordCount":%d.0}}}`, count)
}

func rows(pairs ...string) *Table {
	t := &Table{Columns: testColumns}
	for i := 0; i < len(pairs); i += 2 {
		t.Rows = append(t.Rows, map[string][]byte{"id": []byte(pairs[i]), "v": []byte(pairs[i+1])})
	}
	return t
}

func testPlatform(t *testing.T) *Platform {
	t.Helper()
	p := NewPlatform()
	if err := p.Configure(json.RawMessage(testCatalog), map[string]Choice{"t": {}}, map[string][]Column{"t": testColumns}); err != nil {
		t.Fatal(err)
	}
	p.BeginJob()
	p.BeginRun()
	return p
}

func parse(t *testing.T, lines ...string) *destination.Output {
	t.Helper()
	out, err := destination.Parse(strings.NewReader(strings.Join(lines, "\n") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestTheJudgeObjects breaks a correct output in each of the ways that must be found.
func TestTheJudgeObjects(t *testing.T) {
	a, b := record("1", `"x"`, 10), record("2", `"y"`, 11)
	source := rows("1", "x", "2", "y")
	for _, c := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"right", []string{a, b, state(2)}, ""},
		{"a row is missing", []string{a, state(1)}, Differs},
		{"a row too many", []string{a, b, record("3", `"z"`, 12), state(3)}, Differs},
		{"columns are swapped", []string{a, record("2", `"x"`, 11), state(2)}, Differs},
		{"a cursor repeats", []string{a, record("2", `"y"`, 10), state(2)}, Cursor},
		{"a cursor falls", []string{a, record("2", `"y"`, 9), state(2)}, Cursor},
		{"a state before its records", []string{state(2), a, b}, Protocol},
		{"a key is missing", []string{a, record("null", `"y"`, 11), state(2)}, KeyMissing},
		{"another stream", []string{strings.ReplaceAll(a, `"t"`, `"u"`)}, Protocol},
		{"a column that is not in the catalog", []string{strings.ReplaceAll(a, `"v"`, `"w"`)}, Protocol},
		{"a number for a text", []string{record("1", "1", 10), b, state(2)}, Differs},
		{"no cursor", []string{a, strings.Replace(b, "11}", "null}", 1), state(2)}, Protocol},
		{"null for a value", []string{record("1", "null", 10), b, state(2)}, Differs},
	} {
		p := testPlatform(t)
		f := p.Deliver(parse(t, c.lines...), true)
		if f == nil {
			f = p.Streams["t"].Compare(source, nil)
		}
		if got := kind(f); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func kind(f *Finding) string {
	if f == nil {
		return ""
	}
	return f.Kind
}

func TestARecordThatComesAgain(t *testing.T) {
	p := testPlatform(t)
	if f := p.Deliver(parse(t, record("1", `"x"`, 10), state(1)), true); f != nil {
		t.Fatal(f)
	}
	p.Streams["t"].End(true, false)
	before := p.Clone()
	p.BeginRun()
	if f := p.Deliver(parse(t, record("1", `"x"`, 11), state(1)), true); kind(f) != Repeated {
		t.Errorf("got %v", f)
	}
	before.BeginRun()
	outdated := before.Clone()
	if f := before.Deliver(parse(t, record("1", `"x"`, 11), state(1)), false); f != nil {
		t.Errorf("after a fault a record may come again: %v", f)
	}
	outdated.Streams["t"].Outdated = true
	if f := outdated.Deliver(parse(t, record("1", `"x"`, 11), state(1)), true); f != nil {
		t.Errorf("what was changed may be in a column that the catalog does not have: %v", f)
	}
}

// After which runs a record must not come again: the last one is no proof if replicas are read.
func TestWhenARecordMayComeAgain(t *testing.T) {
	type run struct{ completed, replicas bool }
	for _, c := range []struct {
		name string
		runs []run
		want string
	}{
		{"complete", []run{{true, false}}, Repeated},
		{"broken", []run{{false, false}}, ""},
		{"complete, broken", []run{{true, false}, {false, false}}, ""},
		{"broken, complete", []run{{false, false}, {true, false}}, ""},
		{"broken, twice complete", []run{{false, false}, {true, false}, {true, false}}, Repeated},
		{"complete from a replica", []run{{true, true}}, ""},
		{"twice complete from a replica", []run{{true, true}, {true, true}}, Repeated},
		{"complete, broken, complete from a replica", []run{{true, true}, {false, true}, {true, true}}, ""},
		{"complete from a replica, then from the primary", []run{{true, true}, {true, false}}, Repeated},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := testPlatform(t)
			if f := p.Deliver(parse(t, record("1", `"x"`, 10), state(1)), true); f != nil {
				t.Fatal(f)
			}
			for _, r := range c.runs {
				p.Streams["t"].End(r.completed, r.replicas)
			}
			p.BeginRun()
			if f := p.Deliver(parse(t, record("1", `"x"`, 11), state(1)), true); kind(f) != c.want {
				t.Errorf("got %v", f)
			}
		})
	}
}

// A document that is null, and none, are the same in JSON.
func TestAChangeBetweenNulls(t *testing.T) {
	p := testPlatform(t)
	p.Streams["t"].Types["v"] = "json"
	if f := p.Deliver(parse(t, record("1", "null", 10), state(1)), true); f != nil {
		t.Fatal(f)
	}
	p.Streams["t"].End(true, false)
	p.BeginRun()
	if f := p.Deliver(parse(t, record("1", "null", 11), state(1)), true); f != nil {
		t.Errorf("got %v", f)
	}
}

func TestAnAlterLeavesRowsAsTheyWere(t *testing.T) {
	p := testPlatform(t)
	s := p.Streams["t"]
	if f := p.Deliver(parse(t, record("1", `"x"`, 10), record("2", `"y"`, 11), state(2)), true); f != nil {
		t.Fatal(f)
	}
	var altered *Altered
	altered = altered.Note(s, rows("1", "x", "2", "y"), rows("1", "X", "2", "Y"), true)
	if f := s.Compare(rows("1", "X", "2", "Y"), altered); f != nil {
		t.Errorf("an ALTER emits no row events, so rows may keep their old values: %v", f)
	}
	if f := s.Compare(rows("1", "X", "2", "YY"), altered); kind(f) != Differs {
		t.Error("a row that was changed after the ALTER may not keep its old values")
	}
	if f := s.Compare(rows("1", "X", "2", "Y"), nil); kind(f) != Differs {
		t.Error("without an ALTER no row may keep old values")
	}
	altered = (*Altered)(nil).Note(s, rows("1", "x"), rows("1", "X"), false).Note(s, rows("2", "y"), rows("2", "Y"), false)
	if f := s.Compare(rows("1", "X", "2", "Y"), altered); f != nil {
		t.Errorf("two shards were altered one after the other: %v", f)
	}
	if f := s.Compare(rows("1", "X", "2", "Y"), altered.Note(s, rows("2", "Y"), rows("1", "X", "2", "Y"), false)); kind(f) != Differs {
		t.Error("a row that came between two ALTERs of a shard may not keep what another had")
	}
	altered = altered.Note(s, rows("2", "Y"), rows("2", "Y"), true)
	if f := s.Compare(rows("1", "X", "2", "Y"), altered); kind(f) != Differs {
		t.Error("a row that did not exist at the last ALTER may not keep its old values")
	}
}

func TestAColumnThatTheCatalogGotLater(t *testing.T) {
	p := NewPlatform()
	choices := map[string]Choice{"t": {Without: []string{"v"}}}
	configure := func() {
		if err := p.Configure(json.RawMessage(testCatalog), choices, map[string][]Column{"t": testColumns}); err != nil {
			t.Fatal(err)
		}
		p.BeginRun()
	}
	configure()
	if f := p.Deliver(parse(t, strings.Replace(record("1", `"x"`, 10), `"v":"x",`, "", 1), state(1)), true); f != nil {
		t.Fatal(f)
	}
	choices["t"] = Choice{}
	configure()
	if f := p.Streams["t"].Compare(rows("1", "x"), nil); f != nil {
		t.Errorf("the record was emitted before the catalog had the column: %v", f)
	}
	if f := p.Deliver(parse(t, record("1", "null", 11), state(1)), true); f != nil {
		t.Fatal(f)
	}
	if f := p.Streams["t"].Compare(rows("1", "x"), nil); kind(f) != Differs {
		t.Error("a record emitted later must have the column")
	}
}

func TestRowsWithoutAKeyAreCounted(t *testing.T) {
	s := &Stream{Name: "t", Columns: map[string]Property{"v": {}}}
	s.empty()
	for _, v := range []string{"x", "x", "y"} {
		s.fold(&destination.Record{Data: map[string]any{"v": v}}, 0, false)
	}
	table := &Table{Columns: testColumns[1:]}
	for _, v := range []string{"x", "x", "y"} {
		table.Rows = append(table.Rows, map[string][]byte{"v": []byte(v)})
	}
	if f := s.Compare(table, nil); f != nil {
		t.Error(f)
	}
	table.Rows = table.Rows[1:]
	if f := s.Compare(table, nil); kind(f) != Differs {
		t.Error("a row that was emitted too often was accepted")
	}
	s.Repeats = true
	if f := s.Compare(table, nil); f != nil {
		t.Errorf("after a kill rows may be emitted again: %v", f)
	}
	table.Rows = append(table.Rows, table.Rows[0], table.Rows[0])
	if f := s.Compare(table, nil); kind(f) != Differs {
		t.Error("a missing row was accepted")
	}
}

func TestVerdict(t *testing.T) {
	const complete = `{"type":"TRACE","trace":{"type":"STREAM_STATUS","stream_status":{"stream_descriptor":{"name":"t","namespace":"ks"},"status":"COMPLETE"}}}`
	incomplete := strings.ReplaceAll(complete, "COMPLETE", "INCOMPLETE")
	failure := func(kind, stream string) string {
		descriptor := ""
		if stream != "" {
			descriptor = `,"stream_descriptor":{"name":"` + stream + `","namespace":"ks"}`
		}
		return `{"type":"TRACE","trace":{"type":"ERROR","error":{"message":"m","failure_type":"` + kind + `"` + descriptor + `}}}`
	}
	bad := fmt.Errorf("exit status 1")
	for _, c := range []struct {
		name         string
		end          error
		may, shaken  bool
		want         string
		lines        []string
		wantFailures int
	}{
		{name: "success", lines: []string{complete}},
		{name: "exit code 0, but incomplete", lines: []string{incomplete}, want: Silent},
		{name: "exit code 0, no status", want: Silent},
		{name: "exit code 0 with an error", lines: []string{complete, failure("config_error", "t")}, want: Silent},
		{name: "exit code 1 without an error", end: bad, lines: []string{complete}, want: Silent},
		{name: "an allowed failure", end: bad, may: true, lines: []string{incomplete, failure("config_error", "t")}, wantFailures: 1},
		{name: "a failure that is not allowed", end: bad, lines: []string{incomplete, failure("config_error", "t")}, want: Undeserved},
		{name: "a system error", end: bad, may: true, lines: []string{incomplete, failure("system_error", "t")}, want: Undeserved},
		{name: "transient after a fault", end: bad, shaken: true, lines: []string{incomplete, failure("transient_error", "")}, wantFailures: 1},
		{name: "transient without a fault", end: bad, lines: []string{incomplete, failure("transient_error", "")}, want: Undeserved},
		{name: "another stream is named", end: bad, may: true, lines: []string{incomplete, failure("config_error", "u")}, want: Silent},
	} {
		p := testPlatform(t)
		out := parse(t, append(c.lines, `{"type":"LOG","log":{"level":"INFO","message":"m"}}`)...)
		if f := p.Deliver(out, true); f != nil {
			t.Fatal(f)
		}
		failures, f := Verdict(out, c.end, p, func(string) bool { return c.may }, c.shaken)
		if kind(f) != c.want || len(failures) != c.wantFailures {
			t.Errorf("%s: %v, %d failures", c.name, f, len(failures))
		}
	}
}

func TestStopped(t *testing.T) {
	for failure, want := range map[string]string{"transient_error": "", "config_error": Undeserved, "system_error": Undeserved} {
		out := parse(t, `{"type":"TRACE","trace":{"type":"ERROR","error":{"message":"m","failure_type":"`+failure+`","stream_descriptor":{"name":"t"}}}}`)
		if f := Stopped(out, func(string) bool { return false }); kind(f) != want {
			t.Errorf("%s: %v", failure, f)
		}
		if f := Stopped(out, func(string) bool { return true }); (f != nil) != (failure == "system_error") {
			t.Errorf("%s, with a reason: %v", failure, f)
		}
	}
}

func TestWarned(t *testing.T) {
	warning := func(message string) string {
		return `{"type":"LOG","log":{"level":"WARN","message":"` + message + `"}}`
	}
	for _, c := range []struct {
		line, want string
		may        bool
		warned     int
	}{
		{line: warning("Table k.t in shard - is another one; refresh the stream."), may: true, warned: 1},
		{line: warning("Table k.t in shard - is another one; refresh the stream."), want: Undeserved},
		{line: warning("Table k.t2 in shard - is another one; refresh the stream."), may: true, want: NoRemedy},
		{line: warning("Table k.t in shard - is slow."), may: true},
	} {
		names, f := Warned(parse(t, c.line), testPlatform(t), func(string) bool { return c.may })
		if kind(f) != c.want || len(names) != c.warned {
			t.Errorf("%s: %v, %v", c.line, names, f)
		}
	}
}

func TestLeaks(t *testing.T) {
	p := testPlatform(t)
	p.Streams["t"].Key = nil
	log := `{"type":"LOG","log":{"level":"INFO","message":"row zqx1"}}`
	key := strings.Replace(state(0), `"stream_state":{}`, `"stream_state":{"last_pk":"AAEEenF4MQ=="}`, 1)
	for _, c := range []struct {
		line string
		want string
	}{{log, Leak}, {key, Leak}, {state(0), ""}, {strings.ReplaceAll(log, "zqx1", "x"), ""}} {
		if f := Leaks(parse(t, c.line), p); kind(f) != c.want {
			t.Errorf("%s: %v", c.line, f)
		}
	}
	p.Streams["t"].Key = []string{"id"}
	if f := Leaks(parse(t, key), p); f != nil {
		t.Errorf("a key may be in a state: %v", f)
	}
}

func TestValuesAreComparedByTheirMeaning(t *testing.T) {
	for _, c := range []struct {
		dataType, record string
		source           []byte
		asBool, equal    bool
	}{
		{"int", "42", []byte("00000042"), false, true},
		{"bigint", "18446744073709551615", []byte("18446744073709551615"), false, true},
		{"bigint", "18446744073709551614", []byte("18446744073709551615"), false, false},
		{"decimal", "0.5", []byte("0.50"), false, true},
		{"tinyint(1)", "true", []byte("2"), true, true},
		{"decimal(12,0)", "2", []byte("2"), true, true},
		{"tinyint", "2", []byte("2"), false, true},
		{"tinyint(1)", "false", []byte("0"), true, true},
		{"float", "16777216", []byte("16777200"), false, true},
		{"float", "1.2", []byte("1.1"), false, false},
		{"double", "1e+300", []byte("1e300"), false, true},
		{"double", "16777216", []byte("16777200"), false, false},
		{"bit(1)", "true", []byte{1}, false, true},
		{"bit(10)", `"A/8="`, []byte{3, 255}, false, true},
		{"date", "null", []byte("0000-00-00"), false, true},
		{"date", "null", []byte("2026-02-30"), false, true},
		{"date", `"2026-02-28"`, []byte("2026-02-28"), false, true},
		{"datetime", `"2026-02-28T01:02:03.5"`, []byte("2026-02-28 01:02:03.5"), false, true},
		{"timestamp", `"2026-02-28T01:02:03Z"`, []byte("2026-02-28 01:02:03"), false, true},
		{"timestamp", `"2026-02-28T01:02:03"`, []byte("2026-02-28 01:02:03"), false, false},
		{"time", "null", []byte("24:00:00"), false, true},
		{"time", `"23:59:59.5"`, []byte("23:59:59.5"), false, true},
		{"varchar", `"null"`, nil, false, false},
		{"varchar", `""`, nil, false, false},
		{"varchar", `"é"`, []byte("é"), false, true},
		{"json", `{"b":1,"a":[2.50,null]}`, []byte(`{"a": [2.5, null], "b": 1}`), false, true},
		{"json", `{"b":"1"}`, []byte(`{"b": 1}`), false, false},
		{"json", "null", []byte("null"), false, true},
		{"blob", `"AP8="`, []byte{0, 255}, false, true},
		{"point", `"AP8="`, []byte{0, 254}, false, false},
	} {
		dataType, _, _ := strings.Cut(c.dataType, "(")
		column := Column{Name: "c", DataType: dataType, ColumnType: c.dataType}
		var v any
		decode(c.record, &v)
		if got, want := column.fromRecord(v), column.fromSource(c.source, c.asBool); (got == want) != c.equal {
			t.Errorf("%s: %s is %q, %q is %q", c.dataType, c.record, got, c.source, want)
		}
	}
}

func TestValuesLookAlikeAfterAChangeOfType(t *testing.T) {
	s := &Stream{Types: map[string]string{"c": "tinyint(1)"}}
	for _, c := range []struct {
		columnType, want, given string
		alike                   bool
	}{
		{"tinyint(1)", "1", "true", false},
		{"int", "7", "true", true},
		{"int", "0", "false", true},
		{"int", "0", "true", false},
		{"int", "true", "1", true},
		{"bit(1)", "false", "true", false},
		{"decimal(10,2)", "7.00", "7", true},
		{"decimal(10,2)", "7.00", "8", false},
		{"int", "12", "1200", false},
		{"int", "1", "10", false},
		{"decimal(10,2)", "25/2", "12.50", true},
		{"datetime", "2026-01-01T00:00:00", "2026-01-01T00:00:00.000000", true},
		{"datetime", "2026-01-01T00:00:10", "2026-01-01T00:00:1", false},
	} {
		if s.looselyEqual(Column{Name: "c", ColumnType: c.columnType}, c.want, c.given) != c.alike {
			t.Errorf("%s: %s and %s: want %v", c.columnType, c.want, c.given, c.alike)
		}
	}
}

// An ALTER changed a key's values without events: where all records are kept, rows stay under their former keys until they change.
func TestRowsUnderFormerKeys(t *testing.T) {
	column := []Column{{Name: "k", DataType: "varchar", ColumnType: "varchar(9)"}}
	rows := func(keys ...string) *Table {
		table := &Table{Columns: column}
		for _, k := range keys {
			table.Rows = append(table.Rows, map[string][]byte{"k": []byte(k)})
		}
		return table
	}
	for _, dest := range []string{"append", "append_dedup"} {
		s := &Stream{Name: "t", Dest: dest, Key: []string{"k"}, Columns: map[string]Property{"k": {}}, Rows: map[string]Row{
			"1": {Data: map[string]any{"k": "é"}}, "2": {Data: map[string]any{"k": "a"}},
		}}
		before, after := rows("é", "a"), rows("?", "a")
		altered := (*Altered)(nil).Note(s, before, after, true)
		if f := s.Compare(after, altered); (f == nil) != (dest == "append") {
			t.Errorf("%s: %v", dest, f)
		}
		for name, now := range map[string]*Table{"a new row is missing": rows("?", "a", "b"), "a deleted row is there": rows("?")} {
			if f := s.Compare(now, altered); f == nil {
				t.Errorf("%s: %s", dest, name)
			}
		}
		_ = s.Compare(rows("?", "a", "é"), altered)
		if f := s.Compare(rows("?", "a"), altered); f == nil {
			t.Errorf("%s: a row that was there again, and then deleted, is there", dest)
		}
	}
}

func TestStatesGoWithoutNamespaceWhenBare(t *testing.T) {
	p := testPlatform(t)
	if f := p.Deliver(parse(t, state(0)), true); f != nil {
		t.Fatal(f)
	}
	for _, text := range []string{string(p.States()), string(p.Catalog())} {
		if !strings.Contains(text, `"namespace":"ks"`) {
			t.Error(text)
		}
	}
	p.BareStates, p.BareCatalog = true, true
	for _, text := range []string{string(p.States()), string(p.Catalog())} {
		if strings.Contains(text, "namespace") {
			t.Error(text)
		}
	}
	if !slices.Equal(p.Names(), []string{"t"}) {
		t.Error(p.Names())
	}
}

func TestDiscoverHasEverything(t *testing.T) {
	for name, c := range map[string]struct {
		table, home string
		columns     []Column
		lacks       bool
	}{
		"all":              {table: "t", home: "ks", columns: testColumns},
		"fewer":            {table: "t", home: "ks", columns: testColumns[:1]},
		"another column":   {table: "t", home: "ks", columns: []Column{{Name: "w"}}, lacks: true},
		"another table":    {table: "u", home: "ks", columns: testColumns, lacks: true},
		"another keyspace": {table: "t", home: "other", columns: testColumns, lacks: true},
	} {
		f := Lacks(json.RawMessage(testCatalog), map[string][]Column{c.table: c.columns}, map[string]string{c.table: c.home})
		if (f != nil) != c.lacks {
			t.Errorf("%s: %v", name, f)
		}
	}
}

// TestAnXATransactionIsNoReasonElsewhere: it ends what Vitess reads of one keyspace.
func TestAnXATransactionIsNoReasonElsewhere(t *testing.T) {
	some := 0
	for seed := range uint64(600) {
		keyspace, homes := "", map[string]string{}
		for _, s := range Generate(seed, 60, nil) {
			switch {
			case s.Verb == "keyspace":
				keyspace = s.Word(0)
			case s.Verb == "table":
				homes[s.Word(0)] = keyspace
			case strings.Contains(s.String(), "xa start"):
				some++
				for name := range strings.SplitSeq(s.Option("may-fail"), ",") {
					if homes[name] != keyspace {
						t.Errorf("seed %d, in %s: %s", seed, keyspace, s)
					}
				}
			}
		}
	}
	if some == 0 {
		t.Error("no history has one")
	}
}

// TestAFillLeaksVisibly: what a state must not have is recognized in rows of a copy, too.
func TestAFillLeaksVisibly(t *testing.T) {
	for seed := range uint64(100) {
		for _, s := range Generate(seed, 30, nil) {
			if s.Verb == "fill" && !strings.Contains(s.String(), Mark) {
				t.Errorf("seed %d: %s", seed, s)
			}
		}
	}
}

// Rows that are read while a column of their key changes its place may come under wrong keys.
func TestAKeyThatMoves(t *testing.T) {
	columns := func(names string) *Table {
		t := &Table{}
		for _, name := range strings.Fields(names) {
			t.Columns = append(t.Columns, Column{Name: name})
		}
		return t
	}
	for later, want := range map[string]bool{"a k b": false, "a k": false, "a k b c": false, "k b": true, "b a k": true, "a b": true} {
		if got := columns("a k b").Moves(columns(later), []string{"k"}); got != want {
			t.Errorf("%s: %v", later, got)
		}
	}
}
