package table

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseDDL(t *testing.T) {
	for statement, want := range map[string]DDL{
		// Unknown to the parser, or incomplete.
		"rename tables t to t_old, t_new to t":                   {Emptied: []string{"tables", "t", "to", "t_old", "t_new"}},
		"RENAME TABLES `t` TO `t_old`":                           {Emptied: []string{"TABLES", "t", "TO", "t_old"}},
		"alter table t autoextend_size=4M, rename to t_old":      {Altered: []string{"t"}, Emptied: []string{"table", "t", "autoextend_size", "4M", "rename", "to", "t_old"}},
		"alter table t autoextend_size=4M, rename column a to b": {Altered: []string{"t"}},
		"alter table t autoextend_size=4M, drop column a":        {Altered: []string{"t"}},
		"alter table t autoextend_size=4M, drop partition p":     {Altered: []string{"t"}, Pruned: []string{"t"}},
		"alter table t autoextend_size=4M":                       {Altered: []string{"t"}},
		"/*!50100 truncate table t */":                           {Emptied: []string{"t"}},
		"/*! rename table t to x, y to t */":                     {Altered: []string{"t", "x"}, Emptied: []string{"t", "x", "y"}},
		"drop table t wait 10":                                   {Emptied: []string{"table", "t", "wait", "10"}},
		`alter table t add b int default \N`:                     {Altered: []string{"table", "t", "add", "b", "int", "default"}},
		"alter ignore table t drop a":                            {Altered: []string{"ignore", "table", "t", "drop", "a"}},
		"alter event t on schedule every 1 day":                  {},
		"alter table t drop column a /*!80000 , rename to x */":  {Altered: []string{"x"}, Emptied: []string{"t", "x"}},
		// Temporary tables.
		"drop temporary table t":                                                              {},
		"DROP TEMPORARY TABLE IF EXISTS `t`":                                                  {},
		"DROP /*!40005 TEMPORARY */ TABLE IF EXISTS `t` /* by server */":                      {},
		"create temporary table t (a int)":                                                    {},
		"alter table `a b` drop column c":                                                     {Altered: []string{"a b"}},
		"ALTER TABLE t ADD COLUMN x int FIRST":                                                {Altered: []string{"t"}},
		"alter table t add column x int after a":                                              {Altered: []string{"t"}},
		"alter table t add x int, drop column a":                                              {Altered: []string{"t"}},
		"alter table t modify a bigint":                                                       {Altered: []string{"t"}},
		"alter table t change a b int":                                                        {Altered: []string{"t"}},
		"alter table t rename column a to b":                                                  {Altered: []string{"t"}},
		"alter table t convert to character set latin1":                                       {Altered: []string{"t"}},
		"alter table t add column x int":                                                      {Extended: []string{"t"}},
		"alter table t add index (x), add column (x int, y int default 3), algorithm=instant": {Extended: []string{"t"}},
		"alter table t add column x int, add primary key (x)":                                 {Extended: []string{"t"}},
		"alter table t drop column a, alter column b set default 5":                           {Altered: []string{"t"}},
		"create index i on t (a)":                                                             {},
		"drop index i on t":                                                                   {},
		"alter table t add primary key (a), drop foreign key f, add constraint c check (a > 0), rename index i to j": {Declared: []string{"t"}},
		"alter table t alter column a set default 5, comment 'x', auto_increment = 7, engine=innodb":                 {Declared: []string{"t"}},
		"alter table t alter a drop default":          {Declared: []string{"t"}},
		"alter table t default character set utf8mb4": {Declared: []string{"t"}},
		"alter table t charset latin1":                {Declared: []string{"t"}},
		"alter table t collate latin1_bin":            {Declared: []string{"t"}},
		"alter table t add unique key (a), add key (b), comment 'x', auto_increment = 7, engine=innodb": {},
		"alter table t partition by hash(id) partitions 4":                                              {},
		"alter table t add partition (partition p3 values less than (9))":                               {},
		"alter table t reorganize partition p into (partition q values less than (1))":                  {},
		"alter table t drop partition p1":                                                               {Pruned: []string{"t"}},
		"alter table t truncate partition all":                                                          {Pruned: []string{"t"}},
		"alter table t exchange partition p with table u":                                               {Emptied: []string{"t", "u"}},
		"alter table t discard tablespace":                                                              {Emptied: []string{"t"}},
		"create table if not exists t (id int primary key)":                                             {},
		"create table t (id int primary key)":                                                           {},
		"alter table t rename to u":                                                                     {Altered: []string{"u"}, Emptied: []string{"t", "u"}},
		"truncate table t":                                                                              {Emptied: []string{"t"}},
		"DROP TABLE IF EXISTS `t`, u /* generated by server */":                                         {Emptied: []string{"t", "u"}},
		// Partitions, in a form of which the parser knows only the beginning.
		"alter table t add partition (partition p1 values less than (10), partition import values less than (20))":        {},
		"alter table t add partition local partitions 4":                                                                  {},
		"alter table `d`.`t` /* more */ ADD PARTITION PARTITIONS 4":                                                       {},
		"alter table t algorithm=inplace, lock none, with validation, add partition partitions 4":                         {},
		"alter table t reorganize partition p into (partition p0 values less than (1) nodegroup 3)":                       {},
		"alter table t coalesce partition local 2":                                                                        {},
		"alter table t rebuild partition local p1, p2":                                                                    {},
		"alter table t optimize partition no_write_to_binlog all":                                                         {},
		"alter table t analyze partition local all":                                                                       {},
		"alter table t check partition p1 for upgrade":                                                                    {},
		"alter table t repair partition p1 quick":                                                                         {},
		"alter table t lock=none partition by range columns(a,b) (partition p values less than (1,maxvalue) nodegroup 1)": {},
		"alter table t add column a int first, engine=innodb partition by range columns(a,b) (partition p nodegroup 1)":   {Altered: []string{"t"}},
		"alter table t /*!80030 add partition partitions 4, */ drop column a odd":                                         {Altered: []string{"t"}},
		"alter table t add `partition` int odd":                                                                           {Altered: []string{"t"}},
		"alter table t lock odd":                                                                                          {Altered: []string{"t"}},
		"alter table t algorithm=inplace, drop column a, add partition odd":                                               {Altered: []string{"t"}},
		"alter table t drop partition p1 odd":                                                                             {Altered: []string{"t"}, Pruned: []string{"t"}},
		"alter table t truncate partition local p1":                                                                       {Altered: []string{"t"}, Pruned: []string{"t"}},
		"alter table t exchange partition p with u odd":                                                                   {Altered: []string{"t"}, Emptied: []string{"table", "t", "exchange", "partition", "p", "with", "u", "odd"}},
		"alter table t import partition p odd":                                                                            {Altered: []string{"t"}, Emptied: []string{"table", "t", "import", "partition", "p", "odd"}},
		"alter table t discard partition p odd":                                                                           {Altered: []string{"t"}, Emptied: []string{"table", "t", "discard", "partition", "p", "odd"}},
	} {
		got, err := ParseDDL(statement)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(DDL{}, "Rebuilt")); err != nil || diff != "" {
			t.Errorf("%s: %v %s", statement, err, diff)
		}
	}
	for _, statement := range []string{"", "select 1", "alter", "odd"} {
		if got, err := ParseDDL(statement); err != nil || !cmp.Equal(got, DDL{}) {
			t.Errorf("%q was read as %+v", statement, got)
		}
	}
}

func TestRenamesFollowTheRows(t *testing.T) {
	const shadow, former = "_vt_vrp_6ace8bcef73211ea87e9f875a4d24e90_20200915120410_", "_vt_hld_6ace8bcef73211ea87e9f875a4d24e90_20200915120410_"
	for statement, want := range map[string]DDL{
		"rename table t to u":                                    {Altered: []string{"u"}, Emptied: []string{"t", "u"}},
		"rename table t to old, new to t":                        {Altered: []string{"old", "t"}, Emptied: []string{"new", "old", "t"}},
		"rename table t to x, u to t, x to u":                    {Altered: []string{"t", "u"}, Emptied: []string{"t", "u", "x"}},
		"rename table t to x, x to t":                            {Altered: []string{"t"}, Emptied: []string{"x"}},
		"rename table t to archive.t":                            {Emptied: []string{"t"}},
		"rename table `t` to `" + former + "`":                   {Altered: []string{former}, Emptied: []string{former, "t"}},
		"rename table `_t_old` to `t`":                           {Altered: []string{"t"}, Emptied: []string{"_t_old", "t"}},
		"rename table t to _t_old, _u_new to t":                  {Altered: []string{"_t_old", "t"}, Emptied: []string{"_t_old", "_u_new", "t"}},
		"rename table `d`.`t` to `d`.`_t_old`, __t_new to d.t":   {Altered: []string{"_t_old", "t"}, Emptied: []string{"__t_new", "_t_old"}, Swapped: map[string]string{"t": "__t_new"}},
		"rename /* gh-ost */ table t to _t_del, `_t_gho` to `t`": {Altered: []string{"_t_del", "t"}, Emptied: []string{"_t_del", "_t_gho"}, Swapped: map[string]string{"t": "_t_gho"}},
		"alter table _t_gho rename to t":                         {Altered: []string{"t"}, Emptied: []string{"_t_gho"}, Swapped: map[string]string{"t": "_t_gho"}},
		// Vitess' online DDL.
		"RENAME TABLE `t` TO `" + former + "`, `" + shadow + "` TO `t`, `" + former + "` TO `" + shadow + "`": {
			Altered: []string{shadow, "t"}, Emptied: []string{former, shadow}, Swapped: map[string]string{"t": shadow},
		},
	} {
		got, err := ParseDDL(statement)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(DDL{}, "Rebuilt")); err != nil || diff != "" {
			t.Errorf("%s: %v %s", statement, err, diff)
		}
	}
}

// The name of a copied table says which of Vitess' online DDLs made it, and whether a user may have chosen it.
func TestCopiesOfATable(t *testing.T) {
	for copied, want := range map[string]struct {
		migration string
		lookalike bool
	}{
		"_vt_vrp_6ace8bcef73211ea87e9f875a4d24e90_20200915120410_": {"6ace8bce_f732_11ea_87e9_f875a4d24e90", false},
		"_vt_hld_6ace8bcef73211ea87e9f875a4d24e90_20200915120410_": {"", false},
		"_t_gho": {"", true},
		"_t_new": {"", true},
		"t_new":  {"", false},
		"_u_new": {"", false},
	} {
		if m, l := Migration(copied), IsLookalike(copied, "t"); m != want.migration || l != want.lookalike {
			t.Errorf("%s: migration %q, lookalike %v", copied, m, l)
		}
	}
}

// Statements with as many names and literals as fit.
func TestLongStatements(t *testing.T) {
	var names []string
	for i := range 200_000 {
		names = append(names, "t"+strconv.Itoa(i))
	}
	if d, err := ParseDDL("drop table " + strings.Join(names, ",")); err != nil || len(d.Emptied) != len(names) {
		t.Errorf("%d tables, %v", len(d.Emptied), err)
	}
	if d, err := ParseDDL("drop table " + strings.Join(names, ",") + " odd"); err != nil || len(d.Emptied) < len(names) {
		t.Errorf("word by word %d tables, %v", len(d.Emptied), err)
	}
	// Only the beginning of a statement that is too long is read.
	if d, err := ParseDDL("drop table t" + strings.Repeat(" ", maxStatement)); err != nil || !slices.Contains(d.Emptied, "t") {
		t.Errorf("a statement that is too long empties %v, %v", d.Emptied, err)
	}
}

func FuzzParseDDL(f *testing.F) {
	for _, s := range []string{
		"drop table a, b", "rename table a to b, c to a", "truncate table `a``b`", "alter table t add primary key using hash (a) comment 's'",
		"alter table t add column c enum('a','b') first, rename to u", "alter table t exchange partition p with table u", "create table t(a int)",
		"/*!50000 drop table t */", "alter table t partition by list(a) (partition p values in (1,2))", "drop index i on t", "create view v as select 1",
		"alter table t lock=none, with validation, add partition partitions 4", "alter table d.t algorithm odd",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, statement string) {
		d, err := ParseDDL(statement)
		if err != nil {
			t.Fatal(err)
		}
		all := slices.Concat(d.Altered, d.Extended, d.Emptied, d.Pruned)
		if slices.Contains(all, "") {
			t.Errorf("%q names a table without a name: %q", statement, all)
		}
	})
}

// Statements that may fill or rename a table explain why it is no longer the same table.
func TestStatementsThatExplainAnotherTable(t *testing.T) {
	for statement, want := range map[string]bool{
		"alter table t engine=innodb":                                                  true,
		"alter table t add index (a)":                                                  false,
		"create index i on t (a)":                                                      false,
		"alter table t add index (a), add index (b), alter index i invisible":          false,
		"alter table t rename index i to j":                                            false,
		"alter table t add index (a), algorithm=copy":                                  true,
		"alter table t add unique index (a)":                                           true,
		"create unique index i on t (a)":                                               true,
		"create fulltext index i on t (a)":                                             true,
		"alter table t add foreign key (a) references u (a)":                           true,
		"alter table t add column x int":                                               true,
		"alter table t drop key i":                                                     true,
		"alter table t alter column a set default 5":                                   false,
		"alter table t add primary key (a)":                                            true,
		"alter table t drop primary key":                                               true,
		"alter table t add column x int first":                                         true,
		"alter table t convert to character set utf8mb4":                               true,
		"alter table t partition by hash(a) partitions 4":                              true,
		"alter table t reorganize partition p into (partition q values less than (1))": true,
		"alter table t add partition partitions 4":                                     true,
		"alter table t drop column a":                                                  true,
		"truncate table t":                                                             true,
		"create table t (a int)":                                                       false, // what happened to the rows of the previous one?
		"alter table t drop partition p":                                               true,
		"rename table x to t":                                                          true,
		"alter table u engine=innodb":                                                  false,
		"drop temporary table t":                                                       false,
		"create temporary table t (a int)":                                             false,
		"create table u (t int)":                                                       false,
	} {
		d, err := ParseDDL(statement)
		if err != nil || d.Explains("t") != want {
			t.Errorf("%s: %+v (%v)", statement, d, err)
		}
	}
}
