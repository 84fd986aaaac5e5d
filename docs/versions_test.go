package docs

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// asked matches the parts of a statement that an older server may not know.
var asked = regexp.MustCompile(`@@(?:global\.)?[a-z_]+|gtid_subset\(|information_schema\.[a-z_]+|_vt\.[a-z_]+|"(?:show [a-z]+(?: [a-z_]+)?|vexplain plan)|variables like '[a-z_]+'`)

// The page lists what the connector queries from servers, with the release that introduced it, so that each new one is considered.
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
				t.Errorf("%s queries %s, and docs/versions.md does not say since which release it exists", file, name)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d of them were found in the code", found)
	}
}
