package table

import (
	"slices"
	"testing"
)

func TestWrittenBy(t *testing.T) {
	for statement, want := range map[string][]string{
		"insert into t values (1)":                                 {"t"},
		"insert into `odd name` (a) select a from other":           {"odd name"},
		"replace into shop.t set a = 1":                            {"t"},
		"insert into t (a) values (1) on duplicate key update a=2": {"t"},
		"update t set a = 1 where b = 2":                           {"t"},
		"update t join u on t.id = u.id set t.a = u.a":             {"t", "u"},
		"update t as x, u set x.a = 1":                             {"t", "u"},
		"delete from t where a > 1":                                {"t"},
		"delete t from t join u on t.id = u.id":                    {"t", "u"},
		"delete from x using t as x join u on x.id = u.id":         {"x", "t", "u"},
		"/*!50100 delete from t */":                                {"t"},
	} {
		got, err := WrittenBy(statement)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v (%v), expected %v", statement, got, err, want)
		}
	}
	// Each word of a statement that is not understood may be a table's name.
	for _, statement := range []string{"insert low_priority into t odd ! values", "update t set (a, b) = row(1, 2) odd", "delete quick odd from t @"} {
		if got, err := WrittenBy(statement); err != nil || !slices.Contains(got, "t") {
			t.Errorf("%s: %v (%v)", statement, got, err)
		}
	}
}
