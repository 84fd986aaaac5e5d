package sandbox

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// flagsSuffix ends the name of the file beside a program of Vitess that lists
// its flags, one a line.
const flagsSuffix = ".flags"

var flagPattern = regexp.MustCompile(`(?m)^\s+(?:-\w, )?--([a-zA-Z0-9][a-zA-Z0-9_.-]*)`)

// flagNames parses the names of a program's flags from its --help output.
func flagNames(help string) []string {
	var names []string
	for _, match := range flagPattern.FindAllStringSubmatch(help, -1) {
		names = append(names, match[1])
	}
	return names
}

// spell writes a command line of Vitess 24 as its program knows it: older ones
// have underscores in the names of flags. What it has under neither name stays,
// for the program to complain about.
func spell(args []string) ([]string, error) {
	list, err := os.ReadFile(args[0] + flagsSuffix)
	if err != nil {
		return nil, fmt.Errorf("the flags of %s are not known: %w", args[0], err)
	}
	known := map[string]bool{}
	for name := range strings.FieldsSeq(string(list)) {
		known[name] = true
	}
	spelled := make([]string, len(args))
	for i, arg := range args {
		spelled[i] = arg
		flag, isFlag := strings.CutPrefix(arg, "--")
		name, value, hasValue := strings.Cut(flag, "=")
		old := strings.ReplaceAll(name, "-", "_")
		if !isFlag || known[name] || !known[old] {
			continue
		}
		spelled[i] = "--" + old
		if hasValue {
			spelled[i] += "=" + value
		}
	}
	return spelled, nil
}
