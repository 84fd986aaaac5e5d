package schema

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// movedTables is how many tables one statement covers; vtgate plans it within 0.1 s.
const movedTables = 500

// Moved returns those of the tables that vtgate reads from another keyspace, with that keyspace's name: the traffic of a MoveTables was
// switched away from here, or not yet to here. No event tells a stream about it. VEXPLAIN PLAN, which runs only in vtgate, shows it. A
// table for which vtgate cannot plan a query is not among them.
func (db *DB) Moved(ctx context.Context, tables []string) (map[string]string, error) {
	// Traffic of replicas may be switched before that of the primary.
	conn, err := db.connTo(ctx, db.primary())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	moved := map[string]string{}
	for some := range slices.Chunk(tables, movedTables) {
		if err := db.addMoved(ctx, conn, some, moved); err != nil {
			return nil, err
		}
	}
	return moved, nil
}

// addMoved queries all the tables in one statement and, if that fails or names another keyspace, each half.
func (db *DB) addMoved(ctx context.Context, conn *sql.Conn, tables []string, moved map[string]string) error {
	selects := make([]string, len(tables))
	for i, table := range tables {
		selects[i] = "select 1 from " + quoted(db.keyspace) + "." + quoted(table)
	}
	elsewhere, err := db.plannedElsewhere(ctx, conn, strings.Join(selects, " union all "))
	if isRefused(err) {
		// A server that does not know VEXPLAIN, or does not allow it, is not asked table by table.
		if _, err := db.plannedElsewhere(ctx, conn, "select 1 from dual"); err != nil {
			return err
		}
	}
	switch {
	case err != nil && !isRefused(err):
		return err
	case err == nil && elsewhere == "":
		return nil
	case len(tables) > 1:
		half := len(tables) / 2
		if err := db.addMoved(ctx, conn, tables[:half], moved); err != nil {
			return err
		}
		return db.addMoved(ctx, conn, tables[half:], moved)
	case err == nil:
		moved[tables[0]] = elsewhere
	}
	return nil
}

// plannedElsewhere returns a keyspace other than the DB's that the query reads rows from, "" if there is none.
func (db *DB) plannedElsewhere(ctx context.Context, conn *sql.Conn, query string) (string, error) {
	var text string
	if err := conn.QueryRowContext(ctx, "vexplain plan "+query).Scan(&text); err != nil {
		return "", failed("asking which keyspace the tables of "+db.keyspace+" are in", err)
	}
	var plan queryPlan
	if err := json.Unmarshal([]byte(text), &plan); err != nil {
		return "", fmt.Errorf("asking which keyspace the tables of %s are in: the plan is not JSON: %w", db.keyspace, err)
	}
	return plan.elsewhere(db.keyspace), nil
}

// queryPlan is the part of vtgate's plan that shows where rows come from, and what vtgate does itself.
type queryPlan struct {
	OperatorType, Variant string
	Keyspace              struct{ Name string }
	Inputs                []queryPlan
}

func (p queryPlan) elsewhere(keyspace string) string {
	if p.Keyspace.Name != "" && p.Keyspace.Name != keyspace {
		return p.Keyspace.Name
	}
	for _, input := range p.Inputs {
		if name := input.elsewhere(keyspace); name != "" {
			return name
		}
	}
	return ""
}
