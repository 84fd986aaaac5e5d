package connector

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"source-planetscale/internal/destination"
)

var update = flag.Bool("update", false, "rewrite testdata/bad.txt")

// files are the default input of a read. Nothing listens on the configured address.
var files = map[string]string{
	"config":  `{"host":"127.0.0.1","mysql_port":1,"database":"shop","username":"u","password":"p"}`,
	"catalog": `{"streams":[{"stream":{"name":"a","json_schema":{}},"sync_mode":"incremental","destination_sync_mode":"append"}]}`,
	"state":   `[]`,
}

// TestBadInputs runs the program with invalid input, each line of testdata/bad.txt, and compares its exit code and message with the
// lines below it: those of read, which exits with 1 and a TRACE, and of check, which reports a failed check and exits with 0. A line is
// the name of an input file of read, or "arguments", and its content. "+ {…}" are keys that are added to the default configuration. No
// secret is printed.
func TestBadInputs(t *testing.T) {
	const table = "testdata/bad.txt"
	old, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	var now strings.Builder
	count := 0
	for line := range strings.Lines(string(old)) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "    ") {
			continue // the result of the line before
		}
		now.WriteString(line + "\n")
		kind, input, found := strings.Cut(line, " ")
		if !found || kind == "#" {
			continue
		}
		count++
		for _, command := range commands(kind) {
			fmt.Fprintf(&now, "    %s\n", run(t, command, kind, unescaped(t, input)))
		}
	}
	if count < 80 {
		t.Errorf("only %d inputs", count)
	}
	if *update {
		if err := os.WriteFile(table, []byte(now.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(old), now.String()); diff != "" {
		t.Errorf("%s is outdated (run the test with -update to write it): %s", table, diff)
	}
}

// unescaped expands a line of the table: \xNN is a byte, and {…*N} is … repeated N times.
func unescaped(t *testing.T, input string) string {
	t.Helper()
	if before, repeat, found := strings.Cut(input, "{{"); found {
		inside, after, _ := strings.Cut(repeat, "}}")
		part, times, _ := strings.Cut(inside, "*")
		var n int
		if _, err := fmt.Sscan(times, &n); err != nil {
			t.Fatal(err)
		}
		input = before + strings.Repeat(part, n) + after
	}
	return strings.ReplaceAll(input, `\xFF`, "\xff")
}

// commands are those that accept this kind of input.
func commands(kind string) []string {
	switch kind {
	case "config":
		return []string{"check", "read"}
	case "arguments":
		return []string{""}
	}
	return []string{"read"}
}

// run runs a command with the input, and returns its exit code and its messages.
func run(t *testing.T, command, kind, input string) string {
	t.Helper()
	args := strings.Fields(input)
	if command != "" {
		args = []string{command}
		for name, text := range files {
			if command == "check" && name != "config" {
				continue
			}
			if name == kind {
				text = with(t, input)
			}
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, "--"+name, path)
		}
	}
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	code := Run(ctx, args, &stdout, &stderr)
	if strings.Contains(stdout.String(), "s3cr3t") {
		t.Errorf("%s %s: the output has the secret: %s", kind, input, stdout.String())
	}
	out, err := destination.Parse(&stdout)
	switch {
	case err != nil:
		t.Fatalf("%s %s: %v", kind, input, err)
	case stderr.Len() > 0:
		t.Errorf("%s %s: stderr has %s", kind, input, stderr.String())
	case out.Check != nil:
		return fmt.Sprintf("%d %s: %s", code, out.Check.Status, out.Check.Message)
	case len(out.Errors) == 1:
		return fmt.Sprintf("%d %s: %s", code, out.Errors[0].FailureType, out.Errors[0].Message)
	}
	t.Errorf("%s %s: exit code %d, and %d traces", kind, input, code, len(out.Errors))
	return "nothing"
}

// with adds the keys after a plus to the default configuration.
func with(t *testing.T, input string) string {
	t.Helper()
	keys, isMore := strings.CutPrefix(input, "+ ")
	if !isMore {
		return input
	}
	config := map[string]any{}
	for _, text := range []string{files["config"], keys} {
		if err := json.Unmarshal([]byte(text), &config); err != nil {
			t.Fatalf("%s: %v", input, err)
		}
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
