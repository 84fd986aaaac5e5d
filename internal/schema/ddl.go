package schema

import (
	"slices"
	"sync"

	"vitess.io/vitess/go/vt/sqlparser"
)

var ddlParser = sync.OnceValues(func() (*sqlparser.Parser, error) { return sqlparser.New(sqlparser.Options{}) })

// DDL is what a DDL statement does to tables. What it does not list is harmless to a reader of the binary log: indexes,
// constraints, defaults, comments and the like change neither the order nor the names nor the types of columns.
type DDL struct {
	// Altered are the tables that exist after it and may have other columns than before.
	Altered []string
	// Extended are the tables that only got columns at their end.
	Extended []string
	// Emptied are the tables whose rows it removed or replaced, without an event for each in the binary log: dropped,
	// truncated, renamed to another name, a partition exchanged, a tablespace discarded.
	Emptied []string
	// Pruned are the tables that lost the rows of some partitions, in the same way.
	Pruned []string
}

// ParseDDL reads a DDL statement as MySQL wrote it into the binary log. ok is false for what Vitess's parser does not know.
func ParseDDL(statement string) (d DDL, ok bool) {
	parser, err := ddlParser()
	if err != nil {
		return d, false
	}
	parsed, err := parser.Parse(statement)
	if err != nil {
		return d, false
	}
	ddl, ok := parsed.(sqlparser.DDLStatement)
	if !ok {
		return d, false
	}
	switch s := ddl.(type) {
	case *sqlparser.TruncateTable:
		d.Emptied = []string{s.Table.Name.String()}
	case *sqlparser.DropTable:
		d.Emptied = tableNames(s.FromTables)
	case *sqlparser.RenameTable:
		d = renames(s)
	case *sqlparser.AlterTable:
		d = alters(s)
	case *sqlparser.CreateTable:
		// It had no rows before, or IF NOT EXISTS found it, and logged the statement all the same.
	default:
		d.Altered = tableNames(append(ddl.AffectedTables(), ddl.GetTable()))
	}
	return d, true
}

// alters sorts an ALTER TABLE by the worst of its parts. CREATE INDEX and DROP INDEX are parsed as one, too.
func alters(s *sqlparser.AlterTable) (d DDL) {
	tables := tableNames(s.AffectedTables())
	if !s.FullyParsed {
		return DDL{Altered: tables}
	}
	d = repartitions(s)
	for _, option := range s.AlterOptions {
		switch o := option.(type) {
		case *sqlparser.AddColumns:
			if o.First || o.After != nil {
				d.Altered = tables
			}
			d.Extended = tables
		case *sqlparser.TablespaceOperation:
			d.Emptied = tables
		case *sqlparser.RenameTableName:
			d.Emptied, d.Altered = tableNames(sqlparser.TableNames{s.Table}), tableNames(sqlparser.TableNames{o.Table})
		case *sqlparser.AddConstraintDefinition, *sqlparser.AddIndexDefinition, *sqlparser.AlterColumn, *sqlparser.AlterCheck,
			*sqlparser.AlterIndex, *sqlparser.DropKey, *sqlparser.RenameIndex, *sqlparser.KeyState, *sqlparser.Force,
			*sqlparser.LockOption, *sqlparser.OrderByOption, *sqlparser.Validation, sqlparser.AlgorithmValue, sqlparser.TableOptions:
		default: // a column is dropped, changed, moved, renamed or converted, or the option is of a later Vitess
			d.Altered = tables
		}
	}
	if d.Altered != nil {
		d.Extended = nil
	}
	return d
}

func repartitions(s *sqlparser.AlterTable) (d DDL) {
	p := s.PartitionSpec
	if p == nil {
		return d
	}
	switch p.Action {
	case sqlparser.DropAction, sqlparser.TruncateAction:
		d.Pruned = tableNames(s.AffectedTables())
	case sqlparser.ExchangeAction, sqlparser.DiscardAction, sqlparser.ImportAction:
		d.Emptied = tableNames(append(s.AffectedTables(), p.TableName))
	}
	return d
}

// renames follows names, not rows: a schema change that swaps in a copy of a table gives the name its rows back.
func renames(s *sqlparser.RenameTable) DDL {
	var from, d DDL
	for _, pair := range s.TablePairs {
		from.Emptied = append(from.Emptied, pair.FromTable.Name.String())
		d.Altered = append(d.Altered, pair.ToTable.Name.String())
	}
	for _, name := range from.Emptied {
		if !slices.Contains(d.Altered, name) {
			d.Emptied = append(d.Emptied, name)
		}
	}
	return d
}

func tableNames(tables sqlparser.TableNames) []string {
	var names []string
	for _, t := range tables {
		if name := t.Name.String(); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
