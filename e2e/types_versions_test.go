package e2e

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// wanted returns what a value must become in a copy or, in other phases, in replication.
func (r *typesRig) wanted(v typesForced, phase string) string {
	switch {
	case phase == "copy":
		return v.copied
	case r.vttablet < 24:
		return beforeVitess24(v.replicated)
	}
	return v.replicated
}

// beforeVitess24 returns what remains of a value that vttablets before 24 replicate: they lose the 64th label of a SET
// silently, and cut off the start of a JSON with bytes in it, so that it is no longer JSON.
func beforeVitess24(replicated string) string {
	if strings.Contains(replicated, `"base64:type15:`) {
		return nulled
	}
	if rest, ok := strings.CutSuffix(replicated, `label 64"`); ok {
		return strings.TrimSuffix(rest, ",") + `"`
	}
	return replicated
}

// without21 removes from a table what makes a vtgate 21 crash when the table is created.
func without21(table typesTable) typesTable {
	table.columns = slices.DeleteFunc(slices.Clone(table.columns), func(c typesColumn) bool {
		return strings.HasPrefix(c.definition, "ENUM") && strings.Contains(c.definition, "CHARACTER SET binary")
	})
	return table
}

// majorVersion returns the first number of the version in one of the sandbox's variables.
func majorVersion(t *testing.T, variable string) int {
	t.Helper()
	first, _, _ := strings.Cut(os.Getenv(variable), ".")
	n, err := strconv.Atoi(first)
	if err != nil {
		t.Fatalf("the sandbox has not set its version in %s: %v", variable, err)
	}
	return n
}
