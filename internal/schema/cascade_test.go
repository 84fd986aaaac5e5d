package schema

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The foreign keys as a real server describes them. MySQL 9.6 and later logs the rows that they change; the sandbox's vtgate leaves them
// to MySQL.
func TestCascadesOfARealServer(t *testing.T) {
	db := openSandbox(t, "commerce")
	// In the order in which they can be created; they are dropped in reverse order.
	create(t, db, "table", "sch_f_parent", "(id int primary key, a int, b int, unique (a, b))")
	for _, child := range []struct{ name, key string }{
		{"delete", "foreign key (x) references sch_f_parent (id) on delete cascade"},
		{"null", "foreign key (x) references sch_f_parent (id) on delete set null on update cascade"},
		{"update", "foreign key (x, y) references sch_f_parent (a, b) on update cascade"},
		{"restrict", "foreign key (x) references sch_f_parent (id) on delete restrict"},
		{"none", "foreign key (x) references sch_f_parent (id)"},
		{"both", "foreign key (x) references sch_f_parent (id), foreign key (y) references sch_f_parent (id) on delete cascade"},
	} {
		create(t, db, "table", "sch_f_"+child.name, "(id int primary key, x int, y int, "+child.key+")")
	}
	conn := question(t, db)
	byChild, err := byTable(t.Context(), conn, 2, cascadesQuery, "sch_f_", scanCascade)
	if err != nil {
		t.Fatal(err)
	}
	var got []Cascade
	for _, name := range []string{"both", "delete", "none", "null", "restrict", "update"} {
		got = append(got, byChild["sch_f_"+name]...)
	}
	want := []Cascade{
		{Child: "sch_f_both", Parent: "sch_f_parent", OnDelete: "CASCADE", column: "id"},
		{Child: "sch_f_delete", Parent: "sch_f_parent", OnDelete: "CASCADE", column: "id"},
		{Child: "sch_f_null", Parent: "sch_f_parent", OnDelete: "SET NULL", OnUpdate: "CASCADE", column: "id"},
		{Child: "sch_f_update", Parent: "sch_f_parent", OnUpdate: "CASCADE", column: "a"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Cascade{})); diff != "" {
		t.Error(diff)
	}
	if left, err := db.unmanaged(t.Context(), got); err != nil || len(left) != len(got) {
		t.Errorf("vtgate is assumed to carry out some: of %v, %v remain, %v", got, left, err)
	}
	if logged, err := db.logsCascades(t.Context(), []string{"-"}); err != nil || !logged {
		t.Errorf("the sandbox's server is assumed not to log them: %v", err)
	}
	if left, err := db.Cascades(t.Context(), []string{"-"}); err != nil || left != nil {
		t.Errorf("%v, %v; all are logged", left, err)
	}
}

// Responses of a real vtgate (24.0.3), shortened: in a keyspace whose foreign keys it manages, and in one where it does not.
const (
	managedPlan = `{"OperatorType":"FkCascade","Inputs":[
		{"InputName":"Selection","OperatorType":"Route","Variant":"Unsharded","Keyspace":{"Name":"shop","Sharded":false}},
		{"InputName":"CascadeChild-1","OperatorType":"Delete","Variant":"Unsharded","Keyspace":{"Name":"shop","Sharded":false}},
		{"InputName":"Parent","OperatorType":"Delete","Variant":"Unsharded","Keyspace":{"Name":"shop","Sharded":false}}]}`
	nestedPlan    = `{"OperatorType":"FKVerify","Inputs":[{"OperatorType":"Route"},{"OperatorType":"FkCascade","Inputs":[]}]}`
	unmanagedPlan = `{"OperatorType":"Delete","Variant":"Unsharded","Keyspace":{"Name":"shop","Sharded":false},"Query":"delete from p"}`
)

func TestCascades(t *testing.T) {
	keys := [][]string{
		{"TABLE_NAME", "REFERENCED_TABLE_NAME", "DELETE_RULE", "UPDATE_RULE", "REFERENCED_COLUMN_NAME"},
		{"c", "p", "CASCADE", "NO ACTION", "id"},
		{"d", "q", "NO ACTION", "SET NULL", "k`2"},
		{"e", "q", "RESTRICT", "CASCADE", "id"},
	}
	variable := func(value string) [][]string {
		return [][]string{{"Variable_name", "Value"}, {"innodb_native_foreign_keys", value}}
	}
	plan := func(text string) [][]string { return [][]string{{"JSON"}, {text}} }
	for _, c := range []struct {
		name          string
		native, other [][]string // the responses of the two shards
		plans         map[string]string
		want          string
	}{
		{name: "before 9.6", native: variable("")[:1], other: variable("")[:1], want: "c d e"},
		{name: "switched back", native: variable("ON"), other: variable("OFF"), want: "c d e"},
		{name: "one of two shards", native: variable("OFF"), other: variable("ON"), want: "c d e"},
		{name: "logged", native: variable("OFF"), other: variable("OFF"), want: ""},
		{name: "refused", native: variable("OFF"), other: nil, want: "c d e"},
		{
			name: "managed", native: variable("ON"), other: variable("ON"), want: "d",
			plans: map[string]string{"delete from `shop`.`p`": managedPlan, "update `shop`.`q` set `id` = 1": nestedPlan, "update `shop`.`q` set `k``2` = 1": unmanagedPlan},
		},
		{name: "no JSON", native: variable("ON"), other: variable("ON"), want: "c d e", plans: map[string]string{"delete from `shop`.`p`": "FkCascade"}},
	} {
		db := scripted(func(statement string) ([][]string, error) {
			planned, ok := strings.CutPrefix(statement, "vexplain plan ")
			switch {
			case ok && c.plans[planned] == "":
				return nil, errNotAllowed
			case ok:
				return plan(c.plans[planned]), nil
			case statement == cascadesQuery:
				return keys, nil
			case statement != nativeQuery:
				return nil, nil
			}
			answer := c.native
			c.native = c.other
			if answer == nil {
				return nil, errNotAllowed
			}
			return answer, nil
		}).open(t)
		db.sql.SetMaxOpenConns(1)
		got, err := db.Cascades(t.Context(), []string{"-80", "80-"})
		var children []string
		for _, cascade := range got {
			children = append(children, cascade.Child)
		}
		if err != nil || strings.Join(children, " ") != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, children, err, c.want)
		}
	}
}

func TestCascadesRefused(t *testing.T) {
	db := scripted(func(string) ([][]string, error) { return nil, errNotAllowed }).open(t)
	if _, err := db.Cascades(t.Context(), []string{"-"}); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
}

func TestCascadeWarning(t *testing.T) {
	for want, c := range map[string]Cascade{
		"Table lines has a foreign key to orders with ON DELETE CASCADE,":                    {Child: "lines", Parent: "orders", OnDelete: "CASCADE"},
		"Table lines has a foreign key to orders with ON DELETE SET NULL ON UPDATE CASCADE,": {Child: "lines", Parent: "orders", OnDelete: "SET NULL", OnUpdate: "CASCADE"},
	} {
		if got := c.Warning(); !strings.HasPrefix(got, want) {
			t.Errorf("%s does not begin with %s", got, want)
		}
	}
}
