package docs

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"source-planetscale/internal/failure"
)

// TestEveryMessageIsInTheManual finds the errors and warnings in the program's code, and compares them with the
// manual's tables of messages, whose first column has them in code spans. It fails for a message that the tables lack, and for
// one that the code no longer has.
func TestEveryMessageIsInTheManual(t *testing.T) {
	inCode, inManual := messagesInCode(t), messagesInManual(t)
	if len(inCode) < 100 {
		t.Fatalf("only %d messages were found in the code", len(inCode))
	}
	for message, place := range inCode {
		if !inManual[message] {
			t.Errorf("%s has a message that the manual lacks (docs/troubleshooting.md): %s", place, message)
		}
	}
	for message := range inManual {
		if inCode[message] == "" {
			t.Errorf("the manual has a message that the program no longer has: %s", message)
		}
	}
}

// TestEveryMessageHasCauseAndCure fails for rows that have a message without its cause and fix.
func TestEveryMessageHasCauseAndCure(t *testing.T) {
	empty := regexp.MustCompile(`^(Config error\. )?(As it says.*|See .*)?$`)
	for _, row := range messageRows(t) {
		if len(row) != 3 || empty.MatchString(row[1]) || empty.MatchString(row[2]) {
			t.Errorf("the manual names no cause or no fix in the row %q", row)
		}
	}
}

// TestTheFiveErrorsAreMessages compares the messages that the page quotes first with those in the code.
func TestTheFiveErrorsAreMessages(t *testing.T) {
	_, section, _ := strings.Cut(string(read(t, "docs/troubleshooting.md")), "## The five most common errors")
	section, _, _ = strings.Cut(section, "\n## ")
	errors := regexp.MustCompile(`\n\n\*\*.+\*\*`).FindAllString(section, -1)
	if len(errors) != 5 {
		t.Errorf("%d of five errors were found", len(errors))
	}
	inCode := messagesInCode(t)
	for _, e := range errors {
		for _, quote := range regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(e, -1) {
			words := strings.Trim(quote[1], "…. ")
			if !slices.ContainsFunc(slices.Collect(maps.Keys(inCode)), func(m string) bool { return strings.Contains(m, words) }) {
				t.Errorf("no message contains %q", words)
			}
		}
	}
}

// TestMessagesNameOptionsAsThePageDoes compares each failure.Option in the code with the specification, and rejects a text that names an
// option without it: nothing would notice when the settings page gets another title for it.
func TestMessagesNameOptionsAsThePageDoes(t *testing.T) {
	titles := titlesOfOptions(t)
	by := regexp.MustCompile(`\((?:\w+\.)?(\w+)\)`)
	found := 0
	for _, file := range filesOfTheProgram(t) {
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if calledName(n) != "Option" || len(n.Args) != 2 {
					return true
				}
				found++
				path := strings.Split(text(n.Args[1]), ".")
				if title := text(n.Args[0]); !slices.Contains(titles[path[len(path)-1]], title) && !slices.Contains(titles[path[0]], title) {
					t.Errorf("%s: no option %s is called %q on the settings page", set.Position(n.Pos()), text(n.Args[1]), title)
				}
			case *ast.BasicLit:
				for _, key := range by.FindAllStringSubmatch(text(n), -1) {
					if n.Kind == token.STRING && titles[key[1]] != nil {
						t.Errorf("%s: %s names the option %s without failure.Option", set.Position(n.Pos()), n.Value, key[1])
					}
				}
			}
			return true
		})
	}
	if found < 30 {
		t.Errorf("only %d names of options were found", found)
	}
}

// titlesOfOptions maps each key of the configuration to its titles: several alternatives may have the same key.
func titlesOfOptions(t *testing.T) map[string][]string {
	t.Helper()
	type option struct {
		Title      string
		Properties map[string]json.RawMessage
		OneOf      []struct{ Properties map[string]json.RawMessage }
	}
	titles := map[string][]string{}
	var collect func(properties map[string]json.RawMessage)
	collect = func(properties map[string]json.RawMessage) {
		for key, data := range properties {
			var o option
			if err := json.Unmarshal(data, &o); err != nil {
				t.Fatal(err)
			}
			titles[key] = append(titles[key], o.Title)
			collect(o.Properties)
			for _, alternative := range o.OneOf {
				collect(alternative.Properties)
			}
		}
	}
	var spec struct {
		Page option `json:"connectionSpecification"`
	}
	if err := json.Unmarshal(read(t, "internal/config/spec.json"), &spec); err != nil {
		t.Fatal(err)
	}
	collect(spec.Page.Properties)
	return titles
}

// messagesInManual returns the code spans in the first column of the tables of messages.
func messagesInManual(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, row := range messageRows(t) {
		for _, span := range codeSpan.FindAllStringSubmatch(row[0], -1) {
			found[span[1]] = true
		}
	}
	return found
}

// messageRows returns the rows of the tables of messages.
func messageRows(t *testing.T) [][]string {
	t.Helper()
	return manualRows(t, "| Message")
}

// messagesInCode maps each message to its place. Values that the program fills in are "…".
func messagesInCode(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, file := range filesOfTheProgram(t) {
		messagesOf(t, file, found)
	}
	return found
}

func filesOfTheProgram(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, folder := range foldersOfTheProgram(t) {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				list = append(list, file)
			}
		}
	}
	return list
}

// foldersOfTheProgram returns the folders of our packages that are linked into the program.
func foldersOfTheProgram(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if .Main}}{{$.Dir}}{{end}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// messageFunctions are the functions whose first string argument is a message: an error, or a warning in the log.
var messageFunctions = []string{"New", "Errorf", "fault", "misfit", "Warn", "warn", "Lost"}

// verdictFunctions are the functions of package failure that take what happened and what to do.
var verdictFunctions = []string{"Config", "Transient", "System"}

// verdict returns the message that a call of one of them makes, "" for another call.
func verdict(call *ast.CallExpr) string {
	name, ok := strings.CutPrefix(types.ExprString(call.Fun), "failure.")
	if !slices.Contains(verdictFunctions, name) || !ok && len(call.Args) < 2 {
		return ""
	}
	if remedy := normal(text(call.Args[0])); remedy != "" {
		return normal(text(call.Args[1])) + "; " + remedy + "."
	}
	return normal(text(call.Args[1])) + "."
}

func messagesOf(t *testing.T, file string, found map[string]string) {
	t.Helper()
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		var candidates []ast.Expr
		switch n := n.(type) {
		case *ast.CallExpr:
			if message := verdict(n); message != "" && isSentence(message) {
				found[message] = set.Position(n.Pos()).String()
				return true
			}
			// Some warnings are collected first, or returned.
			collected := calledName(n) == "append" && strings.HasSuffix(types.ExprString(n.Args[0]), ".Warnings")
			returned := calledName(n) == "Sprintf" && filepath.Base(file) == "warning.go"
			if slices.Contains(messageFunctions, calledName(n)) || collected || returned {
				candidates = n.Args
			}
		}
		for _, c := range candidates {
			if message := normal(text(c)); isSentence(message) {
				found[message] = set.Position(n.Pos()).String()
				break
			}
		}
		return true
	})
}

func calledName(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// text returns the constant text of an expression; parts that are not constant are "%s".
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return s
		}
	case *ast.BinaryExpr:
		return text(e.X) + text(e.Y)
	case *ast.CallExpr:
		switch name := calledName(e); {
		case name == "Sprintf":
			return text(e.Args[0])
		case name == "Option" && len(e.Args) == 2:
			return failure.Option(text(e.Args[0]), text(e.Args[1]))
		}
	case *ast.Ident:
		if e.Obj != nil { // a constant of the file
			if spec, ok := e.Obj.Decl.(*ast.ValueSpec); ok && e.Obj.Kind == ast.Con && len(spec.Values) == 1 {
				return text(spec.Values[0])
			}
		}
	}
	return "%s"
}

var verb = regexp.MustCompile(`%[+#]?[a-zA-Z]`)

func normal(format string) string {
	return strings.ReplaceAll(verb.ReplaceAllString(format, "…"), "%%", "%")
}

// isSentence excludes texts that only combine other errors.
func isSentence(message string) bool {
	return len(regexp.MustCompile(`\pL{2,}`).FindAllString(message, -1)) >= 3
}

func TestMessagesAreFoundInCode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.go")
	source := `package x
func f() {
	fmt.Errorf("shard %s: %w")
	failure.Config("do "+x+" two things", "something of %d happened", 1)
	_ = failure.System("", "some text of %q", y).Because(err)
	log.Warn(fmt.Sprintf("said in %v words", z))
}`
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	messagesOf(t, file, found)
	for _, want := range []string{"something of … happened; do … two things.", "some text of ….", "said in … words"} {
		if found[want] == "" {
			t.Errorf("%q is not found", want)
		}
		delete(found, want)
	}
	if len(found) > 0 {
		t.Errorf("found too much: %v", found)
	}
}
