package schema

import (
	"cmp"
	"context"
)

// References returns those of the tables that have all their rows in each shard: reference tables of a sharded keyspace. They appear in
// vtgate's plan of a query, which reaches no tablet. (In a query on several tables, vtgate merges them with others.) A table for which
// vtgate cannot plan a query is not among them.
func (db *DB) References(ctx context.Context, tables []string) (map[string]bool, error) {
	sharded, err := db.sharded(ctx)
	if err != nil || !sharded || len(tables) == 0 {
		return nil, err
	}
	conn, err := db.connTo(ctx, db.primary())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	statements := make([]string, len(tables))
	for i, table := range tables {
		statements[i] = "vexplain plan select 1 from " + quoted(db.keyspace) + "." + quoted(table)
	}
	references := map[string]bool{}
	var refused error
	err = db.askEach(ctx, conn, statements, func(i int, rows []map[string]string, refusal error) error {
		if refused = cmp.Or(refused, refusal); refusal != nil {
			return nil //nolint:nilerr // of one table: below it is seen whether all are refused
		}
		plan, err := parsePlan(rows)
		if plan.Variant == "Reference" {
			references[tables[i]] = true
		}
		return err
	})
	if err == nil && refused != nil {
		// A server that does not know VEXPLAIN, or does not allow it, has said nothing.
		_, err = db.plannedElsewhere(ctx, conn, "select 1 from dual")
	}
	if err != nil {
		return nil, failed("asking which tables of "+db.keyspace+" are reference tables", err)
	}
	return references, nil
}
