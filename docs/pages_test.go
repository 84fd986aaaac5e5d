// Package docs checks the pages against the program and the tests.
package docs

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestMain lets the tests use file names relative to the repository's root.
func TestMain(m *testing.M) {
	if err := os.Chdir(".."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

var codeSpan = regexp.MustCompile("`([^`]+)`")

// TestManualHasTheTypes compares the manual's short table of types with TYPES.md, which is generated from the program's.
func TestManualHasTheTypes(t *testing.T) {
	full, short := map[string]string{}, map[string]string{}
	for _, row := range tableRows(t, "TYPES.md", "| MySQL") {
		for _, span := range codeSpan.FindAllStringSubmatch(row[0], -1) {
			full[span[1]] = airbyteType(t, strings.Trim(row[1], "`"))
		}
	}
	for _, row := range manualRows(t, "| MySQL") {
		for _, span := range codeSpan.FindAllStringSubmatch(row[0], -1) {
			short[span[1]] = row[1]
		}
	}
	for name, want := range full {
		if short[name] != want {
			t.Errorf("the manual says that %s becomes %q, TYPES.md %q", name, short[name], want)
		}
	}
	for name := range short {
		if full[name] == "" {
			t.Errorf("the manual has %s, which TYPES.md lacks", name)
		}
	}
}

// airbyteType names a schema as Airbyte's pages do.
func airbyteType(t *testing.T, schema string) string {
	t.Helper()
	var s struct {
		Type            any
		Format          string
		AirbyteType     string `json:"airbyte_type"`
		ContentEncoding string
	}
	if err := json.Unmarshal([]byte(schema), &s); err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	if list, ok := s.Type.([]any); ok {
		s.Type = list[len(list)-1] // the first is null
	}
	name, _ := s.Type.(string)
	switch {
	case s.AirbyteType != "":
		return strings.ReplaceAll(s.AirbyteType, "_", " ")
	case s.ContentEncoding != "":
		return name + " (" + s.ContentEncoding + ")"
	case s.Format != "":
		return s.Format
	}
	return name
}

// TestManualHasTheOptions compares the manual's table of options with the specification: section, title, key and default.
func TestManualHasTheOptions(t *testing.T) {
	type option struct {
		Title, Group string
		Hidden       bool `json:"airbyte_hidden"`
		Default      any
		OneOf        []struct {
			Title      string
			Properties map[string]struct{ Const any }
		}
	}
	var spec struct {
		Page struct {
			Groups     []struct{ ID, Title string }
			Properties map[string]option
			Required   []string
		} `json:"connectionSpecification"`
	}
	if err := json.Unmarshal(read(t, "internal/config/spec.json"), &spec); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, group := range spec.Page.Groups {
		for name, o := range spec.Page.Properties {
			if o.Group != group.ID || o.Hidden {
				continue
			}
			standard := ""
			switch {
			case slices.Contains(spec.Page.Required, name):
				standard = "required"
			case o.Default != nil:
				standard = fmt.Sprint(o.Default)
			}
			for _, branch := range o.OneOf {
				for _, p := range branch.Properties {
					if p.Const != nil && p.Const == o.Default {
						standard = branch.Title
					}
				}
			}
			want[group.Title+": "+o.Title+" (`"+name+"`)"] = standard
		}
	}
	for _, row := range manualRows(t, "| section") {
		option := row[0] + ": " + row[1]
		standard, known := want[option]
		if !known {
			t.Errorf("the manual has the option %s, which the settings page does not have", option)
		}
		if !strings.HasPrefix(row[3], standard) {
			t.Errorf("the manual says that the default of %s is %q; it is %q", option, row[3], standard)
		}
		delete(want, option)
	}
	for option := range want {
		t.Errorf("the manual lacks the option %s", option)
	}
}

// manual returns the manual's pages. A table may be on any of them.
func manual(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// manualRows returns the rows of the manual's tables whose header starts with head.
func manualRows(t *testing.T, head string) [][]string {
	t.Helper()
	var rows [][]string
	for _, page := range manual(t) {
		rows = append(rows, tableRows(t, page, head)...)
	}
	return rows
}

// TestManualLeadsToEachPage checks that the page to which the platform links has links to all the others.
func TestManualLeadsToEachPage(t *testing.T) {
	index := string(read(t, "docs/planetscale.md"))
	for _, page := range manual(t) {
		if name := filepath.Base(page); name != "planetscale.md" && !strings.Contains(index, "]("+name+")") {
			t.Errorf("docs/planetscale.md has no link to %s", page)
		}
	}
}

// tableRows returns the rows of cells of each table whose header starts with head.
func tableRows(t *testing.T, file, head string) [][]string {
	t.Helper()
	var rows [][]string
	within := false
	for line := range strings.Lines(string(read(t, file))) {
		switch {
		case !strings.HasPrefix(line, "|"):
			within = false
		case strings.HasPrefix(line, head+" |"):
			within = true
		case within && !strings.HasPrefix(line, "|---"):
			rows = append(rows, strings.Split(strings.Trim(line, "| \n"), " | "))
		}
	}
	return rows
}

// TestLinksLeadSomewhere follows the links between the pages, to the heading. Links to bench/ include files that `make bench` writes.
func TestLinksLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"docs/*.md", "docs/adr/*.md"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, more...)
	}
	for _, page := range pages {
		for _, link := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(string(read(t, page)), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			file, heading, _ := strings.Cut(link[1], "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", page, link[1], err)
			} else if heading != "" && !slices.Contains(headings(t, target), heading) {
				t.Errorf("%s links to %s, a heading that %s does not have", page, link[1], target)
			}
		}
	}
}

// headings returns a page's headings, as they are written in links.
func headings(t *testing.T, page string) []string {
	t.Helper()
	var list []string
	for _, h := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(read(t, page)), -1) {
		text := regexp.MustCompile(`[^\pL\pN _-]`).ReplaceAllString(strings.ToLower(h[1]), "")
		list = append(list, strings.ReplaceAll(text, " ", "-"))
	}
	return list
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
