// Package script is the language of the end-to-end scripts: their commands, and what each run of the connector is held against.
package script

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/rogpeppe/go-internal/testscript"

	"source-planetscale/internal/destination"
)

// Run runs those scripts of a folder, or all of it: one behaviour of the connector each, on the sandbox. The caller's TestMain
// makes the command source-planetscale (testscript.Main); more adds to a script's surroundings.
func Run(t *testing.T, dir string, names []string, more func(*testscript.Env) error) {
	t.Helper()
	RequireSandbox(t)
	p := params(more)
	if names == nil {
		p.Dir = dir
	}
	for _, name := range names {
		p.Files = append(p.Files, filepath.Join(dir, name+".txtar"))
	}
	testscript.Run(t, p)
}

func params(more func(*testscript.Env) error) testscript.Params {
	return testscript.Params{
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			for _, v := range os.Environ() {
				if strings.HasPrefix(v, "SANDBOX_") {
					e.Vars = append(e.Vars, v)
				}
			}
			root, err := filepath.Abs("..") // tests run in their package's folder
			e.Setenv("ROOT", root)
			e.Values[warehouse{}] = &destination.Warehouse{}
			return errors.Join(err, more(e))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sql":         cmdSQL,
			"insert":      cmdInsert,
			"connector":   cmdConnector,
			"configure":   cmdConfigure,
			"setconfig":   cmdSetConfig,
			"legacystate": cmdFormerState(LegacyState),
			"formerstate": cmdFormerState(FormerState),
			"load":        cmdLoad,
			"equal":       cmdEqual,
			"counts":      cmdCounts,
			"valid":       cmdValid,
			"jq":          cmdJQ,
		},
	}
}

// NoSandbox says what the tests need, and how to get it; empty where there is one.
func NoSandbox() string {
	if os.Getenv("SANDBOX_CA") != "" {
		return ""
	}
	return "The end-to-end tests need a Vitess. `make test` starts one and runs all tests; for one of them: go run ./cmd/sandbox up; " +
		"set -a; eval \"$(go run ./cmd/sandbox env)\"; set +a; go test ./e2e -run NAME. With -short they are left out."
}

// RequireSandbox fails where no Vitess runs; with -short it skips.
func RequireSandbox(t *testing.T) {
	t.Helper()
	switch lacking := NoSandbox(); {
	case lacking == "":
	case testing.Short():
		t.Skip(lacking)
	default:
		t.Fatal(lacking)
	}
}

// warehouse is the key of a script's destination.Warehouse.
type warehouse struct{}

// openSQL opens the plain vtgate. OLAP lifts its limit on the rows of a select.
func openSQL(ts *testscript.TestScript, keyspace string) *sql.DB {
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.DBName = "tcp", ts.Getenv("SANDBOX_PLAIN_MYSQL"), "root", keyspace
	c.Params = map[string]string{"workload": "olap"}
	connector, err := mysql.NewConnector(c)
	ts.Check(err)
	db := sql.OpenDB(connector)
	ts.Defer(func() { db.Close() })
	return db
}

// sql KEYSPACE FILE runs the statements of a file through vtgate, each up to a semicolon at the end of a line.
func cmdSQL(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sql KEYSPACE FILE")
	}
	db := openSQL(ts, args[0])
	for statement := range strings.SplitSeq(ts.ReadFile(args[1]), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		_, err := db.Exec(statement)
		if err != nil && strings.Contains(err.Error(), "already defined on table") {
			err = nil // a vindex outlives its table
		}
		if err != nil {
			ts.Fatalf("%v: %s", err, statement)
		}
	}
}

// insert KEYSPACE FROM TO FILE inserts rows numbered FROM to TO. The file's first line is the statement up to `values`, its
// second a row, in which {n} stands for the number.
func cmdInsert(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: insert KEYSPACE FROM TO FILE")
	}
	from, err := strconv.Atoi(args[1])
	ts.Check(err)
	to, err := strconv.Atoi(args[2])
	ts.Check(err)
	head, row, _ := strings.Cut(strings.TrimSpace(ts.ReadFile(args[3])), "\n")
	db := openSQL(ts, args[0])
	for ; from <= to; from += 500 {
		var rows []string
		for n := from; n <= min(to, from+499); n++ {
			rows = append(rows, strings.ReplaceAll(row, "{n}", strconv.Itoa(n)))
		}
		if _, err := db.Exec(head + " " + strings.Join(rows, ",")); err != nil {
			ts.Fatalf("%v: %s", err, head)
		}
	}
}

// connector ARGS... runs the connector and keeps its stdout in the file out. The script's log shows what is no record.
func cmdConnector(ts *testscript.TestScript, neg bool, args []string) {
	cmd := exec.Command("source-planetscale", args...)
	cmd.Dir = ts.MkAbs(".")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	ts.Check(os.WriteFile(ts.MkAbs("out"), stdout.Bytes(), 0o600))
	for line := range bytes.Lines(stdout.Bytes()) {
		if !bytes.Contains(line, []byte(`"type":"RECORD"`)) {
			ts.Logf("%s", bytes.TrimSpace(line))
		}
	}
	if stderr.Len() > 0 {
		ts.Fatalf("the connector wrote to stderr: %s", stderr.Bytes())
	}
	if (err != nil) != neg {
		ts.Fatalf("the connector ended with %v", err)
	}
}

// configure MODE FILE STREAM... makes a configured catalog of out, which discover printed.
func cmdConfigure(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: configure MODE FILE STREAM...")
	}
	out := parse(ts, "out")
	catalog, err := destination.Configure(out.Catalog, args[0], args[2:]...)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), catalog, 0o600))
}

// setconfig FROM TO KEY=JSON... writes a configuration with other values; @FILE stands for the JSON in a file, and nothing
// for the key's absence.
func cmdSetConfig(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: setconfig FROM TO KEY=JSON...")
	}
	var config map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &config))
	for _, pair := range args[2:] {
		key, value, _ := strings.Cut(pair, "=")
		if value == "" {
			delete(config, key)
			continue
		}
		if file, ok := strings.CutPrefix(value, "@"); ok {
			value = ts.ReadFile(file)
		}
		var v any
		if err := json.Unmarshal([]byte(value), &v); err != nil {
			ts.Fatalf("%s: %v", pair, err)
		}
		config[key] = v
	}
	data, err := json.Marshal(config)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o600))
}

// legacystate POSITIONS STREAM FILE [copying] writes the state that earlier releases of planetscale/airbyte-source leave for a stream at
// the positions that position printed, after a copy or in the middle of one; formerstate writes that of its later releases.
func cmdFormerState(state func([]byte, []string, ...string) ([]byte, error)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < 3 {
			ts.Fatalf("usage: legacystate or formerstate POSITIONS STREAM FILE [copying]")
		}
		data, err := state([]byte(ts.ReadFile(args[0])), args[1:2], args[3:]...)
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(args[2]), data, 0o600))
	}
}

// load CATALOG [OUTPUT] delivers what out has, and writes state.json for the next run.
func cmdLoad(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: load CATALOG [OUTPUT]")
	}
	file := "out"
	if len(args) > 1 {
		file = args[1]
	}
	w := ts.Value(warehouse{}).(*destination.Warehouse)
	ts.Check(w.Configure([]byte(ts.ReadFile(args[0]))))
	out := parse(ts, file)
	ts.Check(w.Deliver(out.Records, out.States))
	state, err := w.State()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("state.json"), state, 0o600))
}

// equal KEYSPACE STREAM CATALOG holds what was loaded against the source.
func cmdEqual(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: equal KEYSPACE STREAM CATALOG")
	}
	w := ts.Value(warehouse{}).(*destination.Warehouse)
	stream := destination.Stream{Name: args[1], Namespace: args[0]}
	if w.Tables[stream] == nil {
		ts.Fatalf("nothing was loaded into %s", stream)
	}
	ts.Check(w.Configure([]byte(ts.ReadFile(args[2]))))
	d, err := w.Compare(context.Background(), openSQL(ts, args[0]), stream, "*")
	ts.Check(err)
	if (len(d) > 0) != neg {
		ts.Fatalf("%d rows of %s; differences from the source: %s", len(w.Tables[stream].Rows), stream, strings.Join(d, "\n"))
	}
}

// counts NAME=N... holds the messages of out, by type, against the expectation.
func cmdCounts(ts *testscript.TestScript, neg bool, args []string) {
	out := parse(ts, "out")
	for _, pair := range args {
		kind, want, _ := strings.Cut(pair, "=")
		n, err := strconv.Atoi(want)
		ts.Check(err)
		if (out.Kinds[kind] == n) == neg {
			ts.Fatalf("%d messages of type %s, expected %s%d; errors: %v", out.Kinds[kind], kind, map[bool]string{true: "not "}[neg], n, out.Errors)
		}
	}
}

// valid holds out against the protocol: each STATE counts the records since the last one, no record comes
// after its stream's end, every stream is COMPLETE, and each record has only its schema's columns.
func cmdValid(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: valid CATALOG")
	}
	if err := Validate(ts.ReadFile("out"), ts.ReadFile(args[0])); err != nil {
		ts.Fatalf("%v", err)
	}
}

// jq FILTER runs jq on out, for a look at a few values.
func cmdJQ(ts *testscript.TestScript, neg bool, args []string) {
	cmd := exec.Command("jq", slices.Concat([]string{"-c", "-r"}, args)...)
	cmd.Stdin = strings.NewReader(ts.ReadFile("out"))
	out, err := cmd.CombinedOutput()
	if (err != nil) != neg {
		ts.Fatalf("jq: %v: %s", err, out)
	}
	ts.Check(os.WriteFile(filepath.Join(ts.Getenv("WORK"), "jq.out"), out, 0o600))
}

func parse(ts *testscript.TestScript, file string) *destination.Output {
	out, err := destination.Parse(bytes.NewReader([]byte(ts.ReadFile(file))))
	if err != nil {
		ts.Fatalf("%v", err)
	}
	return out
}
