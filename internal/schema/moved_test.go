package schema

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMoved(t *testing.T) {
	statements := 0
	db := scripted(func(statement string) ([][]string, error) {
		statements++
		switch {
		case strings.Contains(statement, "`unknown`"):
			return nil, errNotAllowed
		case strings.Contains(statement, "`gone`"):
			return [][]string{{"JSON"}, {`{"OperatorType": "Concatenate", "Inputs": [{"Keyspace": {"Name": "shop"}}, {"Inputs": [{"Keyspace": ` +
				`{"Name": "other", "Sharded": true}}]}]}`}}, nil
		}
		return [][]string{{"JSON"}, {`{"OperatorType": "Route", "Keyspace": {"Name": "shop", "Sharded": false}}`}}, nil
	}).open(t)
	var here []string
	for i := range 2*movedTables - 1 {
		here = append(here, fmt.Sprint("t", i))
	}
	moved, err := db.Moved(t.Context(), here)
	if err != nil || len(moved) > 0 || statements != 3 { // one of them selects the primary
		t.Errorf("%d statements: %v, %v", statements, moved, err)
	}
	moved, err = db.Moved(t.Context(), append(here, "gone", "unknown"))
	if diff := cmp.Diff(map[string]string{"gone": "other"}, moved); err != nil || diff != "" {
		t.Errorf("%v: %s", err, diff)
	}
}

func TestMovedWhereTheServerDoesNotSay(t *testing.T) {
	statements := 0
	db := scripted(func(string) ([][]string, error) {
		statements++
		return nil, errNotAllowed
	}).open(t)
	moved, err := db.Moved(t.Context(), []string{"a", "b", "c"})
	if !errors.Is(err, ErrRefused) || len(moved) > 0 || statements != 3 { // the last one finds out whether the query is allowed at all
		t.Errorf("%d statements: %v, %v", statements, moved, err)
	}
}
