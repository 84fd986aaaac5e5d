package table

import (
	"maps"
	"slices"
	"strings"
	"sync"

	vitess "vitess.io/vitess/go/vt/schema"
	"vitess.io/vitess/go/vt/sqlparser"
)

var ddlParser = sync.OnceValues(func() (*sqlparser.Parser, error) { return sqlparser.New(sqlparser.Options{}) })

// DDL is the effect of a DDL statement on tables. Whatever it does not list is harmless to a reader of the binary log: indexes,
// constraints, comments and the like change neither the order nor the names nor the types of columns, nor what others become.
type DDL struct {
	// Altered are the tables that exist after it and may have other columns than before.
	Altered []string
	// Extended are the tables that only got columns at the end.
	Extended []string
	// Declared are the tables that keep their columns, but for which it changed something that an Evolution needs: a default, the default
	// character set, whether a column is nullable.
	Declared []string
	// Emptied are the tables whose rows it removed or replaced without row events in the binary log: dropped, truncated, renamed, swapped
	// for another, a partition exchanged, a tablespace discarded.
	Emptied []string
	// Swapped maps the altered tables that were replaced by a copy of them, as at the end of an online DDL, to the names of the copies.
	// Their columns change without a statement that says how.
	Swapped map[string]string
	// Pruned are the tables that lost the rows of some partitions in the same way.
	Pruned []string
	// Rebuilt are the other tables that it creates, or whose rows MySQL may have copied to another place for it. Changes that InnoDB
	// makes in place, such as to most indexes, do not count.
	Rebuilt []string
}

// maxStatement is how many bytes of a statement are examined: a table of 4,096 columns, each with a comment of 1,024 characters, takes
// fewer.
const maxStatement = 32 << 20

// Explains reports whether the statement explains why the table's identity changed: it may have given it other rows, or a new place for
// them. Columns at the end count as well: InnoDB adds them in place unless the table is empty, compressed, or has a FULLTEXT index.
func (d DDL) Explains(table string) bool {
	return slices.ContainsFunc([][]string{d.Altered, d.Extended, d.Emptied, d.Pruned, d.Rebuilt},
		func(names []string) bool { return slices.Contains(names, table) })
}

// ParseDDL parses a DDL statement as MySQL wrote it to the binary log. What Vitess' parser does not know, or only in part, is examined
// word by word (ddlwords.go): no statement that may empty or alter a table is treated as harmless. It returns an error only if there is
// no parser.
func ParseDDL(statement string) (d DDL, err error) {
	statement = statement[:min(len(statement), maxStatement)]
	parser, err := ddlParser()
	if err != nil {
		return d, err
	}
	said, statement := statement, executed(statement)
	parsed, unknown := parser.Parse(statement)
	ddl, ok := parsed.(sqlparser.DDLStatement)
	if unknown != nil || !ok {
		return byWords(words(parser, statement), nil), nil //nolint:nilerr // that is its purpose
	}
	switch s := ddl.(type) {
	case *sqlparser.TruncateTable:
		d.Emptied = []string{s.Table.Name.String()}
	case *sqlparser.DropTable:
		if s.Temp {
			return d, nil // a session's own
		}
		d.Emptied = tableNames(s.FromTables)
	case *sqlparser.RenameTable:
		d = renames(s.TablePairs)
	case *sqlparser.AlterTable:
		switch {
		case s.FullyParsed:
			d = alters(s)
		case !onlyRepartitions(parser, said):
			d = byWords(words(parser, statement), tableNames(s.AffectedTables()))
			d.Altered = tableNames(s.AffectedTables())
		}
	case *sqlparser.CreateTable:
		// It had no rows before, or IF NOT EXISTS found it, and the statement was logged all the same. It does not say what became of the
		// rows of a previous table with that name.
		return d, nil
	default:
		d.Altered = tableNames(append(ddl.AffectedTables(), ddl.GetTable()))
	}
	if rebuilds(ddl) {
		d.Rebuilt = d.others(tableNames(append(ddl.AffectedTables(), ddl.GetTable())))
	}
	return d, nil
}

// rebuilds reports whether a statement may move the tables that it names to a new place.
func rebuilds(ddl sqlparser.DDLStatement) bool {
	alter, ok := ddl.(*sqlparser.AlterTable)
	if !ok || alter.PartitionSpec != nil || alter.PartitionOption != nil || !alter.FullyParsed {
		return true
	}
	return slices.ContainsFunc(alter.AlterOptions, func(o sqlparser.AlterOption) bool { return !inPlace(o) })
}

// inPlace reports whether InnoDB leaves the rows in place for it. A UNIQUE index may become the clustered one, or cease to be; the first
// FULLTEXT index adds a column.
func inPlace(o sqlparser.AlterOption) bool {
	switch o := o.(type) {
	case *sqlparser.AddIndexDefinition:
		return o.IndexDefinition.Info.Type == sqlparser.IndexTypeDefault
	case *sqlparser.AlterIndex, *sqlparser.RenameIndex, *sqlparser.AlterColumn:
		return true
	}
	return false
}

// others are those of the tables that are in no other list.
func (d DDL) others(tables []string) []string {
	said := map[string]bool{}
	for _, name := range slices.Concat(d.Altered, d.Extended, d.Emptied, d.Pruned) {
		said[name] = true
	}
	var others []string
	for _, name := range tables {
		if !said[name] {
			others = append(others, name)
		}
	}
	return others
}

// alters classifies an ALTER TABLE, parsed completely, by the worst of its parts. CREATE INDEX and DROP INDEX are parsed as one, too.
func alters(s *sqlparser.AlterTable) (d DDL) {
	tables := tableNames(s.AffectedTables())
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
			renamed := renames([]*sqlparser.RenameTablePair{{FromTable: s.Table, ToTable: o.Table}})
			d.Emptied, d.Altered, d.Swapped = renamed.Emptied, renamed.Altered, renamed.Swapped
		case *sqlparser.AlterColumn, *sqlparser.AddIndexDefinition, sqlparser.TableOptions:
			if declares(o) {
				d.Declared = tables
			}
		case *sqlparser.AddConstraintDefinition, *sqlparser.AlterCheck, *sqlparser.AlterIndex, *sqlparser.DropKey,
			*sqlparser.RenameIndex, *sqlparser.KeyState, *sqlparser.Force, *sqlparser.LockOption, *sqlparser.OrderByOption,
			*sqlparser.Validation, sqlparser.AlgorithmValue:
		default: // a column is dropped, changed, moved, renamed or converted, or the option is from a later Vitess
			d.Altered = tables
		}
	}
	if d.Altered != nil {
		d.Extended = nil
	}
	if d.Altered != nil || d.Extended != nil {
		d.Declared = nil
	}
	return d
}

// declares reports whether an Evolution needs a part of a statement that changes no columns: see alteration.collect and keys.
func declares(option sqlparser.AlterOption) bool {
	switch o := option.(type) {
	case *sqlparser.AlterColumn:
		return true
	case *sqlparser.AddIndexDefinition:
		return o.IndexDefinition.Info.Type == sqlparser.IndexTypePrimary
	case sqlparser.TableOptions:
		return slices.ContainsFunc(o, isCharset)
	}
	return false
}

// isCharset reports whether an option sets a table's default character set.
func isCharset(o *sqlparser.TableOption) bool {
	return slices.Contains([]string{"charset", "character set", "collate"}, strings.ToLower(o.Name))
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

// renames follows the rows. MySQL renames from left to right, so a statement can swap two tables.
func renames(pairs []*sqlparser.RenameTablePair) (d DDL) {
	rows := map[string]string{} // by name, the name that its rows had before; "" for none, or for another database's
	for _, pair := range pairs {
		from, to := pair.FromTable.Name.String(), pair.ToTable.Name.String()
		was, ok := rows[from]
		if !ok {
			was = from
		}
		rows[from], rows[to] = "", was
		if from == to {
			rows[to] = "" // its database is another
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		was := rows[name]
		if was != "" {
			d.Altered = append(d.Altered, name)
		}
		switch {
		case was == name:
		case !isCopyOf(was, name):
			d.Emptied = append(d.Emptied, name)
		default:
			if d.Swapped == nil {
				d.Swapped = map[string]string{}
			}
			d.Swapped[name] = was
		}
	}
	return d
}

// isCopyOf reports whether a table is the one that a schema change filled with the rows of the named one, to replace it: Vitess' online
// DDL names it _vt_vrp_…. Vitess also counts pt-online-schema-change's former table, _users_old, among its own.
func isCopyOf(table, name string) bool {
	return IsLookalike(table, name) || vitess.IsOnlineDDLTableName(table) && !strings.HasSuffix(table, "_old")
}

// IsLookalike reports whether a table has the name that gh-ost (_users_gho) or pt-online-schema-change (_users_new, with more underscores
// in front if such a table exists) gives the copy of the named one. A user's own table may have such a name, too.
func IsLookalike(table, name string) bool {
	base, ok := strings.CutSuffix(table, "_gho")
	if !ok {
		base, ok = strings.CutSuffix(table, "_new")
	}
	return ok && strings.HasPrefix(table, "_") && strings.TrimLeft(base, "_") == strings.TrimLeft(name, "_")
}

// Migration is the UUID of the Vitess online DDL that created a copy of a table, from the copy's name; "" for another copy.
func Migration(table string) string {
	internal, hint, uuid, _, err := vitess.AnalyzeInternalTableName(table)
	if err != nil || !internal || hint != vitess.InternalTableVreplicationHint.String() || len(uuid) != 32 {
		return ""
	}
	return strings.Join([]string{uuid[:8], uuid[8:12], uuid[12:16], uuid[16:20], uuid[20:]}, "_")
}

// OnlineDDL is what Vitess knows about one of its online DDLs.
type OnlineDDL struct {
	// Statement is "" if Vitess does not know it, or no longer.
	Statement string
	// Swaps is how often the table and its copy have changed places in a shard: once, and once more for each revert, and for each revert of
	// one. If Vitess no longer has the shard, it is that of the shard where they did most often.
	Swaps int
}

func tableNames(tables sqlparser.TableNames) []string {
	var names []string
	seen := make(map[string]bool, len(tables)) // a statement may name very many
	for _, t := range tables {
		if name := t.Name.String(); name != "" && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}
