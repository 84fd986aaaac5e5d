package table

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	vitess "vitess.io/vitess/go/vt/schema"
)

// Exclusion is a reason why base tables are not offered as streams: their names show that they belong to a schema change tool, or to
// Vitess.
type Exclusion struct {
	// Whose completes "Tables that are …".
	Whose string
	// Remedy is for a user's own table with such a name; empty if that is unlikely.
	Remedy string
	// Unsent is set if VStream sends nothing for such a table, whoever created it.
	Unsent bool

	matches func(name string, exists func(string) bool) bool
}

// exclusions is searched from the top: the first one that fits decides.
var exclusions = []Exclusion{
	{
		Whose:  "named like tables that pt-online-schema-change leaves behind (_…_old)",
		Remedy: "Vitess sends no changes of tables with such names; to sync one of your own, rename it.", Unsent: true,
		matches: func(name string, _ func(string) bool) bool {
			return strings.HasPrefix(name, "_") && strings.HasSuffix(name, "_old") && vitess.IsInternalOperationTableName(name)
		},
	},
	{
		Whose: "internal to Vitess", Unsent: true,
		matches: func(name string, _ func(string) bool) bool { return vitess.IsInternalOperationTableName(name) },
	},
	{
		Whose:   "internal to an older Vitess",
		matches: func(name string, _ func(string) bool) bool { return olderVitess.MatchString(name) },
	},
	{
		Whose: "gh-ost's working tables (_…_gho, _…_ghc, _…_del)",
		matches: func(name string, exists func(string) bool) bool {
			return isBeside(name, exists, "_gho", "_ghc", "_del")
		},
	},
	{
		Whose:   "pt-online-schema-change's working tables (_…_new)",
		matches: func(name string, exists func(string) bool) bool { return isBeside(name, exists, "_new") },
	},
}

// olderVitess are names that Vitess gave its tables up to release 19: those that wait to be dropped, and copies that an online DDL fills.
var olderVitess = regexp.MustCompile(`^_vt_(HOLD|PURGE|EVAC|DROP)_[0-9a-f]{32}_[0-9]{14}$|^_.+_vrepl$`)

// isBeside reports whether a table is named after another one that exists, with underscores in front and one of the suffixes.
// Without the other one it is an ordinary table.
func isBeside(name string, exists func(string) bool, suffixes ...string) bool {
	return slices.ContainsFunc(suffixes, func(suffix string) bool {
		base, ok := strings.CutSuffix(name, suffix)
		// pt-online-schema-change adds underscores if a name is in use.
		for ok && strings.HasPrefix(base, "_") {
			if base = base[1:]; base != "" && exists(base) {
				return true
			}
		}
		return false
	})
}

// Excluded returns why a base table is not offered as a stream, nil for one that is. exists reports whether the keyspace has a
// base table of a name.
func Excluded(name string, exists func(string) bool) *Exclusion {
	for i := range exclusions {
		if exclusions[i].matches(name, exists) {
			return &exclusions[i]
		}
	}
	return nil
}

// ExcludedNames are names of base tables that are not offered as streams for the same reason.
type ExcludedNames struct {
	*Exclusion
	Names []string
}

// GroupExcluded groups excluded tables, given by name, by their reasons.
func GroupExcluded(excluded map[string]*Exclusion) []ExcludedNames {
	var groups []ExcludedNames
	for i := range exclusions {
		group := ExcludedNames{Exclusion: &exclusions[i]}
		for _, name := range slices.Sorted(maps.Keys(excluded)) {
			if excluded[name] == group.Exclusion {
				group.Names = append(group.Names, name)
			}
		}
		if group.Names != nil {
			groups = append(groups, group)
		}
	}
	return groups
}
