package docs

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// asked are the things in a statement that a server may be too old for.
var asked = regexp.MustCompile(`@@(?:global\.)?[a-z_]+|gtid_subset\(|information_schema\.[a-z_]+|_vt\.[a-z_]+|"(?:show [a-z]+(?: [a-z_]+)?|vexplain plan)|variables like '[a-z_]+'`)

// The page has what the connector asks of servers, with the release that knows it: what is not there was not thought about.
func TestVersionsPageHasWhatIsAsked(t *testing.T) {
	page, err := os.ReadFile("docs/versions.md")
	if err != nil {
		t.Fatal(err)
	}
	findTests(t, page)
	known := strings.ToLower(strings.Join(strings.Fields(string(page)), " "))
	files, err := filepath.Glob("internal/schema/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code = regexp.MustCompile(`(?m)^\s*//.*$`).ReplaceAll(code, nil)
		for _, thing := range asked.FindAll(code, -1) {
			found++
			name := string(bytes.Trim(thing, `" `))
			if _, variable, isOne := strings.Cut(name, "like "); isOne {
				name = strings.Trim(variable, "'")
			}
			if _, table, isOne := strings.Cut(name, "information_schema."); isOne {
				name = table
			}
			if name != "show global variables" && !strings.Contains(known, name) {
				t.Errorf("%s asks for %s, of which docs/versions.md does not say which release knows it", file, name)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d such things were found in the code", found)
	}
}
