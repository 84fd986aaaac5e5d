package table

import (
	"slices"

	"vitess.io/vitess/go/vt/sqlparser"
)

// WrittenBy returns the tables that an INSERT, REPLACE, UPDATE or DELETE may write to. For a statement that Vitess' parser does not know,
// each word may be the name of one. It returns an error only if there is no parser.
func WrittenBy(statement string) ([]string, error) {
	parser, err := ddlParser()
	if err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(executed(statement))
	if err != nil {
		return names(words(parser, executed(statement))), nil //nolint:nilerr // that is its purpose
	}
	switch s := parsed.(type) {
	case *sqlparser.Insert: // REPLACE, too
		name, err := s.Table.TableName()
		return tableNames(sqlparser.TableNames{name}), err
	case *sqlparser.Update:
		return namesIn(s.TableExprs), nil
	case *sqlparser.Delete:
		if len(s.Targets) == 0 {
			return namesIn(s.TableExprs), nil
		}
		return union(tableNames(s.Targets), namesIn(s.TableExprs)), nil // a target may be an alias
	}
	return names(words(parser, executed(statement))), nil
}

func union(a, b []string) []string {
	for _, name := range b {
		if !slices.Contains(a, name) {
			a = append(a, name)
		}
	}
	return a
}

// namesIn are all tables that expressions name.
func namesIn(exprs []sqlparser.TableExpr) []string {
	var found sqlparser.TableNames
	for _, e := range exprs {
		_ = sqlparser.Walk(func(node sqlparser.SQLNode) (bool, error) { // the visitor never fails
			if name, ok := node.(sqlparser.TableName); ok {
				found = append(found, name)
			}
			return true, nil
		}, e)
	}
	return tableNames(found)
}
