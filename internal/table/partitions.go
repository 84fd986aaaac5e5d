package table

import (
	"slices"
	"strings"

	"vitess.io/vitess/go/vt/sqlparser"
)

// repartitioning are the operations on partitions that keep all rows, and beside which MySQL allows no clause but modifiers
// (sql_yacc.yy, standalone_alter_commands).
var repartitioning = []int{
	sqlparser.ADD, sqlparser.REORGANIZE, sqlparser.COALESCE, sqlparser.REBUILD, sqlparser.OPTIMIZE, sqlparser.ANALYZE, sqlparser.CHECK,
	sqlparser.REPAIR,
}

// onlyRepartitions reports whether an ALTER TABLE of which Vitess' parser understands only the beginning, such as one that adds several
// partitions, does nothing but distribute the table's rows over partitions in another way.
func onlyRepartitions(parser *sqlparser.Parser, statement string) bool {
	list := words(parser, statement)
	if len(list) < 3 || list[1].kind != sqlparser.TABLE || strings.Contains(statement, "/*!") { // a server may not execute that
		return false
	}
	if list = list[3:]; len(list) > 2 && list[0].kind == '.' {
		list = list[2:]
	}
	list = afterModifiers(list)
	if len(list) < 2 {
		return false
	}
	// PARTITION BY follows all other clauses. A column of that name is quoted, and no keyword then.
	return list[0].kind == sqlparser.PARTITION || list[1].kind == sqlparser.PARTITION && slices.Contains(repartitioning, list[0].kind)
}

// afterModifiers are the words of an ALTER TABLE after those that only say how it is made.
func afterModifiers(list []word) []word {
	for len(list) > 2 {
		switch list[0].kind {
		case sqlparser.ALGORITHM, sqlparser.LOCK: // with a value
			if list[1].kind == '=' {
				list = list[1:]
			}
		case sqlparser.WITH, sqlparser.WITHOUT: // VALIDATION
		default:
			return list
		}
		if list = list[2:]; len(list) > 0 && list[0].kind == ',' {
			list = list[1:]
		}
	}
	return list
}
