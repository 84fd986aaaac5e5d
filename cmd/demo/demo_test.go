package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDemo runs the whole demo in the sandbox's folder and leaves its tables there, as the demo does.
func TestDemo(t *testing.T) {
	dir := sandboxDir(t)
	var out bytes.Buffer
	if err := run(t.Context(), dir, &screen{out: &out, width: plainWidth}, t.Output()); err != nil {
		t.Fatalf("%v; its output:\n%s", err, out.String())
	}
	said := out.String()
	for _, want := range []string{"✓ 70,504 rows in 8 tables", "FAILED: The server refused the username or password", "rows in 8 tables of 2 keyspaces"} {
		if !strings.Contains(said, want) {
			t.Errorf("the output lacks %q", want)
		}
	}
	if strings.Contains(said, "\x1b") {
		t.Error("the output has colors, although it is not a terminal")
	}
	if d := cmp.Diff(madeChanges(said), shownChanges(said)); d != "" {
		t.Errorf("changes (-made +shown):\n%s", d)
	}
	runAsPrinted(t, said, " discover ")
	if t.Failed() {
		t.Log(said)
	}
}

// sandboxDir is the folder of the sandbox that the tests run in. Without one the test is skipped; in CI that is a failure.
func sandboxDir(t *testing.T) string {
	t.Helper()
	switch {
	case os.Getenv("SANDBOX_PLAIN_MYSQL") != "":
	case os.Getenv("CI") != "":
		t.Fatal("no sandbox: run the tests with `make test`, which starts one")
	default:
		t.Skip("no sandbox: run the tests with `make test`, which starts one")
	}
	return filepath.Dir(os.Getenv("SANDBOX_CONFIG_PLAIN"))
}

// changed are the printed numbers of rows inserted, updated and deleted in a table.
type changed [3]string

var (
	madeLine  = regexp.MustCompile(`(?s)(insert into|update|delete from) (demo_\w+) [^;]*;  -- rows: ([\d,]+)`)
	shownLine = regexp.MustCompile(`\.(demo_\w+) +([\d,]+) +([\d,]+) +([\d,]+)  COMPLETE`)
)

// madeChanges are the rows that the server reported for each statement; the one on demo_order_lines changes a key.
func madeChanges(said string) map[string]changed {
	made := map[string]changed{"demo_order_lines": {"1", "0", "1"}, "demo_warehouses": {"0", "0", "0"}}
	for _, m := range madeLine.FindAllStringSubmatch(said, -1) {
		if m[2] == "demo_order_lines" {
			continue
		}
		c, ok := made[m[2]]
		if !ok {
			c = changed{"0", "0", "0"}
		}
		c[map[string]int{"insert into": 0, "update": 1, "delete from": 2}[m[1]]] = m[3]
		made[m[2]] = c
	}
	return made
}

// shownChanges are the changes that the demo reports as received from the connector.
func shownChanges(said string) map[string]changed {
	_, said, _ = strings.Cut(said, "since the state of the first")
	shown := map[string]changed{}
	for _, m := range shownLine.FindAllStringSubmatch(said, -1) {
		shown[m[1]] = changed{m[2], m[3], m[4]}
	}
	return shown
}

// runAsPrinted runs the first printed command line that contains the word, as a user who copies it would.
func runAsPrinted(t *testing.T, said, word string) {
	t.Helper()
	for line := range strings.Lines(said) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
		if ok && strings.Contains(command, word) {
			if out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", command, err, out)
			}
			return
		}
	}
	t.Errorf("no command line with the word%s was printed", word)
}
