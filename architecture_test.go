package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "source-planetscale"

// arrows are all imports between our packages; ARCHITECTURE.md draws them. An arrow that is not here is a decision to make.
var arrows = map[string][]string{
	".":                     {"internal/source"},
	"bench":                 {"internal/sandbox"},
	"cmd/demo":              {"internal/destination", "internal/sandbox"},
	"cmd/sandbox":           {"internal/sandbox", "internal/sandbox/edge"},
	"docs":                  {}, // its tests alone, as image's
	"e2e":                   {},
	"e2e/script":            {"internal/destination"},
	"image":                 {},
	"internal/airbyte":      {},
	"internal/destination":  {},
	"internal/dial":         {},
	"internal/fakevtgate":   {},
	"internal/gtid":         {},
	"internal/row":          {"internal/table", "internal/wire"},
	"internal/sandbox":      {"internal/sandbox/edge"},
	"internal/sandbox/edge": {},
	"internal/schema":       {"internal/dial", "internal/table"},
	"internal/source":       {"internal/airbyte", "internal/dial", "internal/gtid", "internal/row", "internal/schema", "internal/state", "internal/table", "internal/vstream", "internal/wire"},
	"internal/state":        {"internal/gtid", "internal/table"},
	"internal/table":        {},
	"internal/vstream":      {"internal/dial", "internal/gtid", "internal/wire"},
	"internal/wire":         {},
}

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t, "./...") {
		name := local(p.ImportPath)
		want, ok := arrows[name]
		if !ok {
			t.Errorf("package %s has no place in the architecture", name)
			continue
		}
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, module+"/") && !slices.Contains(want, local(imported)) {
				t.Errorf("%s imports %s, an arrow that is not in the architecture", name, local(imported))
			}
		}
	}
}

// What users run holds nothing that is only for tests.
func TestProgramHoldsNoTestCode(t *testing.T) {
	for _, p := range packages(t, ".") {
		for _, dep := range p.Deps {
			for _, not := range []string{"/internal/sandbox", "/internal/destination", "/internal/fakevtgate", "/e2e"} {
				if strings.HasPrefix(dep, module+not) {
					t.Errorf("the program depends on %s", dep)
				}
			}
		}
	}
}

func local(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

func packages(t *testing.T, pattern string) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", pattern).Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}
