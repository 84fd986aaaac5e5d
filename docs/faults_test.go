package docs

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	namedTest   = regexp.MustCompile("`(Test[A-Za-z0-9]+)(?:/([^`]+))?`")
	namedScript = regexp.MustCompile("scripts? (?:`[a-z_]+`(?:, | and )?)+")
	quotedName  = regexp.MustCompile("`([a-z_]+)`")
)

// Each bound has a test and a row of its own.
func TestBoundsPageNamesTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("docs/bounds.md")
	if err != nil {
		t.Fatal(err)
	}
	findTests(t, page)
	for _, row := range regexp.MustCompile(`(?m)^\| .*$`).FindAll(bytes.Split(page, []byte("| What | Why"))[0], -1)[1:] {
		if !namedTest.Match(row) {
			t.Errorf("no test shows %s", row)
		}
	}
}

// TestFaultsPageNamesTestsThatExist checks that each test named in docs/faults.md exists.
func TestFaultsPageNamesTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	findTests(t, page)
	for _, list := range namedScript.FindAll(page, -1) {
		for _, m := range quotedName.FindAllSubmatch(list, -1) {
			if _, err := os.Stat(filepath.Join("e2e", "testdata", "script", string(m[1])+".txtar")); err != nil {
				t.Errorf("there is no script %s: %v", m[1], err)
			}
		}
	}
	if rows := regexp.MustCompile(`(?m)^\| \d+ \|`).FindAll(page, -1); len(rows) != 33 {
		t.Errorf("the page has %d of 33 traps", len(rows))
	}
}

// findTests searches for the tests that a page names.
func findTests(t *testing.T, page []byte) {
	t.Helper()
	tests := allTests(t)
	for _, m := range namedTest.FindAllSubmatch(page, -1) {
		name, sub := string(m[1]), string(m[2])
		if !bytes.Contains(tests, []byte("\nfunc "+name+"(t *testing.T)")) {
			t.Errorf("there is no test %s", name)
		}
		if sub != "" && !bytes.Contains(tests, []byte(`"`+sub+`"`)) {
			t.Errorf("%s has no test %q", name, sub)
		}
	}
}

// allTests returns the text of all files with tests.
func allTests(t *testing.T) []byte {
	t.Helper()
	var all []byte
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != ".":
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		data, err := os.ReadFile(path)
		all = append(all, data...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
