package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const module = "source-planetscale"

// arrows are all imports between our packages; ARCHITECTURE.md draws them. A new arrow is a decision to be made here.
var arrows = map[string][]string{
	".":                {"internal/connector"},
	"bench":            {"internal/sandbox"},
	"cmd/demo":         {"internal/destination", "internal/sandbox"},
	"cmd/sandbox":      {"internal/sandbox", "internal/sandbox/edge"},
	"docs":             {}, // tests only, as in image
	"e2e":              {},
	"e2e/script":       {"internal/destination"},
	"image":            {},
	"internal/airbyte": {},
	"internal/config":  {"internal/dial", "internal/failure", "internal/gtid", "internal/lineage", "internal/row", "internal/vstream"},
	"internal/connector": {
		"internal/airbyte", "internal/config", "internal/crash", "internal/dial", "internal/engine", "internal/failure", "internal/gtid",
		"internal/quiet", "internal/record", "internal/row", "internal/schema", "internal/table", "internal/vstream",
	},
	"internal/crash":       {},
	"internal/destination": {},
	"internal/dial":        {"internal/failure"},
	"internal/engine": {
		"internal/airbyte", "internal/config", "internal/crash", "internal/failure", "internal/gtid", "internal/lineage", "internal/partition",
		"internal/plan", "internal/reader", "internal/record", "internal/schema", "internal/state", "internal/table", "internal/vstream",
	},
	"internal/failure":    {"internal/airbyte"},
	"internal/fakevtgate": {},
	"internal/gtid":       {},
	"internal/lineage":    {"internal/gtid", "internal/state"},
	"internal/partition": {
		"internal/airbyte", "internal/failure", "internal/gtid", "internal/lineage", "internal/record", "internal/row", "internal/state",
		"internal/table",
	},
	"internal/plan": {"internal/gtid", "internal/lineage", "internal/state"},
	"internal/reader": {
		"internal/airbyte", "internal/crash", "internal/failure", "internal/gtid", "internal/partition", "internal/plan", "internal/record", "internal/row",
		"internal/table", "internal/vstream", "internal/wire",
	},
	"internal/quiet":        {},
	"internal/record":       {"internal/airbyte", "internal/crash", "internal/failure", "internal/gtid", "internal/row", "internal/wire"},
	"internal/row":          {"internal/table", "internal/wire"},
	"internal/sandbox":      {"internal/sandbox/edge"},
	"internal/sandbox/edge": {},
	"internal/schema":       {"internal/crash", "internal/dial", "internal/failure", "internal/gtid", "internal/table"},
	"internal/state":        {"internal/airbyte", "internal/gtid", "internal/table"},
	"internal/table":        {},
	"internal/torture":      {"internal/destination"},
	"internal/vstream":      {"internal/crash", "internal/dial", "internal/failure", "internal/gtid", "internal/wire"},
	"internal/wire":         {},
}

// pure are the packages of the rules that keep rows right. They do no I/O, so that each rule can be tested in all its states.
var pure = []string{
	"internal/failure", "internal/gtid", "internal/lineage", "internal/partition", "internal/plan", "internal/record", "internal/row",
	"internal/state", "internal/table", "internal/wire",
}

// impure is what they must not import, directly or through another package of the program. What Vitess' packages import is not checked.
var impure = []string{"net", "net/", "google.golang.org/grpc", "database/sql", module + "/internal/dial"}

// largestShare is the largest share of the program that one package may have, in percent of the lines.
const largestShare = 18

const (
	fieldsOfAStruct  = 14
	methodsOfAStruct = 20
)

// core are the packages whose structs must stay small. Structs of the others describe external things: configurations, messages.
var core = []string{
	"internal/engine", "internal/failure", "internal/gtid", "internal/lineage", "internal/partition", "internal/plan", "internal/reader",
	"internal/record", "internal/table",
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

func TestPurePackagesDoNoIO(t *testing.T) {
	imports := map[string][]string{}
	for _, p := range packages(t, "./...") {
		imports[p.ImportPath] = p.Imports
	}
	for _, name := range pure {
		seen := map[string]bool{}
		for todo := []string{module + "/" + name}; len(todo) > 0; todo = todo[1:] {
			for _, imported := range imports[todo[0]] {
				if slices.ContainsFunc(impure, func(bad string) bool {
					return imported == bad || strings.HasPrefix(imported, strings.TrimSuffix(bad, "/")+"/")
				}) {
					t.Errorf("%s imports %s, by %s", name, imported, todo[0])
				}
				if strings.HasPrefix(imported, module+"/") && !seen[imported] {
					seen[imported] = true
					todo = append(todo, imported)
				}
			}
		}
	}
}

func TestNoPackageIsLargerThanItsShare(t *testing.T) {
	lines, all := map[string]int{}, 0
	for _, p := range packages(t, ".") {
		for _, dep := range p.Deps {
			if !strings.HasPrefix(dep, module+"/") {
				continue
			}
			for _, file := range sources(t, local(dep)) {
				data, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				lines[dep] += bytes.Count(data, []byte("\n"))
			}
			all += lines[dep]
		}
	}
	if len(lines) < 10 {
		t.Fatalf("only %d packages were found", len(lines))
	}
	for name, n := range lines {
		if 100*n > largestShare*all {
			t.Errorf("%s has %d lines of %d, more than %d %%", name, n, all, largestShare)
		}
	}
}

func TestStructsOfTheCoreAreSmall(t *testing.T) {
	for _, pkg := range core {
		fields, methods := map[string]int{}, map[string]int{}
		for _, file := range sources(t, pkg) {
			tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range tree.Decls {
				count(d, fields, methods)
			}
		}
		for name, n := range fields {
			if n > fieldsOfAStruct || methods[name] > methodsOfAStruct {
				t.Errorf("%s.%s has %d fields and %d methods", pkg, name, n, methods[name])
			}
		}
	}
}

// count counts the fields of a declared struct, or a method for its receiver.
func count(d ast.Decl, fields, methods map[string]int) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv != nil {
			methods[strings.TrimPrefix(types.ExprString(d.Recv.List[0].Type), "*")]++
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			named, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			if s, ok := named.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					fields[named.Name.Name] += max(1, len(f.Names))
				}
			}
		}
	}
}

// columns is the maximum length of a line of code or comment. String literals are not counted: some must stay readable in one piece.
const columns = 140

func TestLinesFit(t *testing.T) {
	files, err := exec.CommandContext(t.Context(), "git", "ls-files", "*.go").Output()
	if err != nil {
		t.Skipf("not a checkout: %v", err)
	}
	for _, file := range strings.Fields(string(files)) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range lengths(data) {
			if n > columns {
				t.Errorf("%s:%d has %d columns", file, i+1, n)
			}
		}
	}
}

// lengths returns the lengths of a file's lines, without the string literals in them.
func lengths(data []byte) []int {
	var list []int
	for line := range bytes.Lines(data) {
		list = append(list, utf8.RuneCount(bytes.TrimRight(line, "\n")))
	}
	set := token.NewFileSet()
	file := set.AddFile("", set.Base(), len(data))
	var s scanner.Scanner
	for s.Init(file, data, nil, 0); ; {
		at, kind, text := s.Scan()
		if kind == token.EOF {
			return list
		}
		if kind != token.STRING {
			continue
		}
		first := file.Line(at) - 1
		list[first] -= utf8.RuneCountInString(strings.SplitN(text, "\n", 2)[0])
		for more := strings.Count(text, "\n"); more > 0; more-- {
			list[first+more] = 0
		}
	}
}

// sources are the Go files of a folder that are not tests.
func sources(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") })
}

// The program that users run contains no code that is only for tests.
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
