package schema

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// cascadesQuery reads the foreign keys through which a statement on the parent changes or deletes rows of the child.
const cascadesQuery = `select c.table_name, c.referenced_table_name, c.delete_rule, c.update_rule, k.referenced_column_name
	from information_schema.referential_constraints c join information_schema.key_column_usage k
	on k.constraint_schema = c.constraint_schema and k.constraint_name = c.constraint_name and k.table_name = c.table_name
	where c.constraint_schema = database() and k.ordinal_position = 1
	and (c.delete_rule in ('CASCADE', 'SET NULL', 'SET DEFAULT') or c.update_rule in ('CASCADE', 'SET NULL', 'SET DEFAULT'))
	and c.table_name >= ? order by c.table_name, c.constraint_name limit ?`

// nativeQuery reads a variable of MySQL 9.6 and later. If it is OFF, the server itself does what older ones leave to InnoDB, and logs it.
const nativeQuery = "show global variables like 'innodb_native_foreign_keys'"

// Cascade is a foreign key through which InnoDB changes rows without logging them in the binary log.
type Cascade struct {
	Child, Parent string
	// OnDelete and OnUpdate are the rules that change rows, e.g. "CASCADE", "SET NULL"; "" for one that does not.
	OnDelete, OnUpdate string
	// column is one of those of the parent that are referred to.
	column string
}

// Cascades returns the foreign keys whose row changes are not logged in some of the shards: all that change rows, except for those of a
// server that logs them, and those that vtgate carries out itself (foreign_key_mode managed).
func (db *DB) Cascades(ctx context.Context, shards []string) ([]Cascade, error) {
	conn, err := db.conn(ctx, shards[0])
	if err != nil {
		return nil, err
	}
	byChild, err := byTable(ctx, conn, db.pageRows, cascadesQuery, "", scanCascade)
	_ = conn.Close()
	if err != nil {
		return nil, failed("reading the foreign keys of "+db.keyspace, err)
	}
	var cascades []Cascade
	for _, child := range slices.Sorted(maps.Keys(byChild)) {
		cascades = append(cascades, byChild[child]...)
	}
	if len(cascades) == 0 {
		return nil, nil
	}
	if logged, err := db.logsCascades(ctx, shards); err != nil || logged {
		return nil, err
	}
	return db.unmanaged(ctx, cascades)
}

func scanCascade(rows *sql.Rows) (child string, c Cascade, err error) {
	err = rows.Scan(&c.Child, &c.Parent, &c.OnDelete, &c.OnUpdate, &c.column)
	for _, rule := range []*string{&c.OnDelete, &c.OnUpdate} {
		if *rule == "NO ACTION" || *rule == "RESTRICT" {
			*rule = ""
		}
	}
	return c.Child, c, err
}

// logsCascades reports whether the servers of all the shards log them.
func (db *DB) logsCascades(ctx context.Context, shards []string) (bool, error) {
	logging := make([]bool, len(shards))
	err := EachShard(ctx, shards, func(ctx context.Context, shard string) error {
		rows, err := db.show(ctx, db.target(shard), nativeQuery)
		if isRefused(err) {
			return nil // it is not known to log them
		}
		logging[slices.Index(shards, shard)] = len(rows) == 1 && rows[0]["Value"] == "OFF"
		return err
	})
	return !slices.Contains(logging, false), err
}

// unmanaged leaves out the cascades that appear in vtgate's plan of such a statement. One without a plan stays.
func (db *DB) unmanaged(ctx context.Context, cascades []Cascade) ([]Cascade, error) {
	conn, err := db.connTo(ctx, db.primary())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	statements := make([]string, len(cascades))
	for i, c := range cascades {
		parent := quoted(db.keyspace) + "." + quoted(c.Parent)
		statements[i] = "vexplain plan update " + parent + " set " + quoted(c.column) + " = 1"
		if c.OnDelete != "" {
			statements[i] = "vexplain plan delete from " + parent
		}
	}
	var left []Cascade
	err = db.askEach(ctx, conn, statements, func(i int, rows []map[string]string, refusal error) error {
		if plan, err := parsePlan(rows); refusal != nil || err != nil || !plan.cascades() {
			left = append(left, cascades[i])
		}
		return nil
	})
	if err != nil {
		return nil, failed("asking how foreign keys of "+db.keyspace+" are carried out", err)
	}
	return left, nil
}

// parsePlan reads the answer to a VEXPLAIN PLAN.
func parsePlan(rows []map[string]string) (queryPlan, error) {
	var plan queryPlan
	if len(rows) != 1 || len(rows[0]) != 1 {
		return plan, fmt.Errorf("the plan has %d rows", len(rows))
	}
	for _, text := range rows[0] {
		if err := json.Unmarshal([]byte(text), &plan); err != nil {
			return plan, fmt.Errorf("the plan is not JSON: %w", err)
		}
	}
	return plan, nil
}

// cascades reports whether vtgate carries out foreign keys itself.
func (p queryPlan) cascades() bool {
	return p.OperatorType == "FkCascade" || slices.ContainsFunc(p.Inputs, queryPlan.cascades)
}

// rules names the actions that change the child's rows.
func (c Cascade) rules() string {
	var rules []string
	if c.OnDelete != "" {
		rules = append(rules, "ON DELETE "+c.OnDelete)
	}
	if c.OnUpdate != "" {
		rules = append(rules, "ON UPDATE "+c.OnUpdate)
	}
	return strings.Join(rules, " ")
}
