package e2e

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// wanted is what a value is to come out as by a copy, or in another phase by replication.
func (r *typesRig) wanted(v typesForced, phase string) string {
	switch {
	case phase == "copy":
		return v.copied
	case r.vttablet < 24:
		return beforeVitess24(v.replicated)
	}
	return v.replicated
}

// beforeVitess24 is what is left of a value that vttablets before 24 replicate: they lose the 64th label of a SET, in
// silence, and cut the front off a JSON with bytes in it, which makes it none.
func beforeVitess24(replicated string) string {
	if strings.Contains(replicated, `"base64:type15:`) {
		return nulled
	}
	if rest, ok := strings.CutSuffix(replicated, `label 64"`); ok {
		return strings.TrimSuffix(rest, ",") + `"`
	}
	return replicated
}

// without21 leaves out of a table what a vtgate 21 crashes at when the table is made.
func without21(table typesTable) typesTable {
	table.columns = slices.DeleteFunc(slices.Clone(table.columns), func(c typesColumn) bool {
		return strings.HasPrefix(c.definition, "ENUM") && strings.Contains(c.definition, "CHARACTER SET binary")
	})
	return table
}

// majorVersion is the first number of the version in one of the sandbox's variables.
func majorVersion(t *testing.T, variable string) int {
	t.Helper()
	first, _, _ := strings.Cut(os.Getenv(variable), ".")
	n, err := strconv.Atoi(first)
	if err != nil {
		t.Fatalf("the sandbox has not told its version in %s: %v", variable, err)
	}
	return n
}
