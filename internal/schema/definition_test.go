package schema

import (
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/table"
)

// A table and its copy change places once for an online DDL, and once more for each revert.
func TestMigration(t *testing.T) {
	const alter = "alter table t add column c int"
	made := []string{"-", "u_0", "", "complete", "", alter}
	for name, c := range map[string]struct {
		rows [][]string
		want table.OnlineDDL
	}{
		"forgotten":           {nil, table.OnlineDDL{}},
		"made":                {[][]string{made}, table.OnlineDDL{Statement: alter, Swaps: 1}},
		"reverted":            {[][]string{{"-", "u_1", "u_0", "complete", "", ""}, made}, table.OnlineDDL{Statement: alter, Swaps: 2}},
		"being reverted":      {[][]string{made, {"-", "u_1", "u_0", "running", "re-enabling writes", ""}}, table.OnlineDDL{Statement: alter, Swaps: 2}},
		"a revert made ready": {[][]string{made, {"-", "u_1", "u_0", "running", "post-sentry pos reached", ""}}, table.OnlineDDL{Statement: alter, Swaps: 1}},
		"not reverted":        {[][]string{made, {"-", "u_1", "u_0", "failed", "cut-over complete", ""}, {"-", "u_2", "u_9", "complete", "", ""}}, table.OnlineDDL{Statement: alter, Swaps: 1}},
		"the revert reverted": {[][]string{made, {"-", "u_2", "u_1", "complete", "", ""}, {"-", "u_1", "u_0", "complete", "", ""}}, table.OnlineDDL{Statement: alter, Swaps: 3}},
		"reverted elsewhere":  {[][]string{{"80-", "u_0", "", "complete", "", alter}, {"80-", "u_1", "u_0", "complete", "", ""}, made}, table.OnlineDDL{Statement: alter, Swaps: 1}},
		"reverted here":       {[][]string{{"-80", "u_0", "", "complete", "", alter}, made, {"-", "u_1", "u_0", "complete", "", ""}, {"80-", "u_0", "", "complete", "", alter}}, table.OnlineDDL{Statement: alter, Swaps: 2}},
		"in shards that were": {[][]string{{"-80", "u_0", "", "complete", "", alter}, {"80-", "u_0", "", "complete", "", alter}, {"-80", "u_1", "u_0", "complete", "", ""}}, table.OnlineDDL{Statement: alter, Swaps: 2}},
		"by itself":           {[][]string{{"-", "u_0", "u_0", "complete", "", alter}}, table.OnlineDDL{Statement: alter, Swaps: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			db := scripted(func(statement string) ([][]string, error) {
				if !strings.HasPrefix(statement, "show ") {
					return nil, nil
				}
				if statement != "show vitess_migrations where migration_uuid = 'u_0' or reverted_uuid != ''" {
					t.Errorf("asked %q", statement)
				}
				return slices.Concat([][]string{{"shard", "migration_uuid", "reverted_uuid", "migration_status", "stage", "migration_statement"}}, c.rows), nil
			}).open(t)
			if got, err := db.Migration(t.Context(), "-", "u_0"); err != nil || got != c.want {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}
