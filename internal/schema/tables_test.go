package schema

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/table"

	"github.com/google/go-cmp/cmp"
)

func TestAssemble(t *testing.T) {
	id := []table.Column{{Name: "id", Type: "int"}}
	primary := []keyPart{{index: "PRIMARY", column: "id"}}
	internal := "_vt_prg_6ace8bcef73211ea87e9f875a4d24e90_20200915120410_"
	types, columns := map[string][]string{"v": {"VIEW"}, "dropped": {"BASE TABLE"}}, map[string][]table.Column{"v": id, "made": id}
	for _, name := range []string{"b", "B", "a", internal, "orders_vt_2024", "_a_old", "_a_gho", "_v_gho"} {
		types[name], columns[name] = []string{"BASE TABLE"}, id
	}
	keys := map[string][]keyPart{"b": primary, internal: primary, "dropped": primary, "made": primary}
	got, err := assemble(types, columns, keys)
	if err != nil {
		t.Fatal(err)
	}
	want := []table.Table{
		{Name: "B", Columns: id},
		{Name: "_a_gho", Columns: id}, // for catalogs that contain it
		{Name: "_v_gho", Columns: id}, // views have no online schema changes
		{Name: "a", Columns: id},
		{
			Name: "b", Columns: id, Key: []string{"id"}, MySQLKey: []string{"id"},
			Unique: []table.UniqueKey{{Columns: []string{"id"}, Identifies: true}},
		},
		{Name: "orders_vt_2024", Columns: id},
	}
	if diff := cmp.Diff(want, got.Tables); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"v"}, got.Views); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"_a_gho", "_a_old", internal}, slices.Sorted(maps.Keys(got.Excluded))); diff != "" {
		t.Error(diff)
	}
}

func TestAssembleAlteredTable(t *testing.T) {
	_, err := assemble(map[string][]string{"a": {"BASE TABLE"}}, map[string][]table.Column{"a": {{Name: "id"}}},
		map[string][]keyPart{"a": {{index: "PRIMARY", column: "renamed"}}})
	if !errors.Is(err, ErrAltered) || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("got %v, want an error that names the table", err)
	}
}

func TestShardsOf(t *testing.T) {
	rows := []map[string]string{
		{"Shards": "shop/80-"},
		{"Shards": "shop/-80"},
		{"Shards": "shop_2/-"},
		{"Shards": "sho/-"},
		{"Shards": "shopx/-"},
	}
	if diff := cmp.Diff([]string{"-80", "80-"}, shardsOf("shop", rows)); diff != "" {
		t.Error(diff)
	}
	if got := shardsOf("sho_", rows); got != nil {
		t.Errorf("a wildcard matched: %v", got)
	}
}

func TestQuoted(t *testing.T) {
	if got := quoted("a`b.c"); got != "`a``b.c`" {
		t.Error(got)
	}
}

// MySQL before 8.0.28 calls utf8mb3 utf8.
func TestColumnsOfAnOlderServer(t *testing.T) {
	db := scripted(func(statement string) ([][]string, error) {
		if statement != columnsQuery {
			return nil, nil
		}
		return [][]string{{"t", "c", "type", "nullable", "charset"}, {"orders", "id", "int(11)", "NO", ""}, {"orders", "v", "varchar(9)", "YES", "utf8"}}, nil
	}).open(t)
	got, err := db.ColumnsOf(t.Context(), "-", "")
	want := []table.Column{{Name: "id", Type: "int(11)"}, {Name: "v", Type: "varchar(9)", Nullable: true, Charset: "utf8mb3"}}
	if diff := cmp.Diff(want, got["orders"]); err != nil || diff != "" {
		t.Errorf("%v: %s", err, diff)
	}
}

// Replicas of which one lags answer in turn.
func TestTablesOfAnswersThatDoNotFitAreReadAgain(t *testing.T) {
	for name, c := range map[string]struct {
		stale int // how many times the keys are those from before the change
		fails bool
	}{
		"once":   {stale: 1},
		"always": {stale: alteredTries, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			db := scripted(func(statement string) ([][]string, error) {
				switch {
				case strings.Contains(statement, "information_schema.tables"):
					return [][]string{{"table_name", "table_type"}, {"a", "BASE TABLE"}}, nil
				case strings.Contains(statement, "information_schema.columns"):
					return [][]string{{"table_name", "column_name", "column_type", "is_nullable", "character_set_name"}, {"a", "id", "int", "NO", ""}}, nil
				case strings.Contains(statement, "information_schema.statistics"):
					column := "id"
					if asked++; asked <= c.stale {
						column = "former"
					}
					return [][]string{{"table_name", "index_name", "column_name", "nullable", "sub_part"}, {"a", "PRIMARY", column, "", "1"}}, nil
				}
				return nil, nil
			}).open(t)
			got, err := db.Tables(t.Context())
			if c.fails {
				if !errors.Is(err, ErrAltered) {
					t.Errorf("got %v, %v", got, err)
				}
				return
			}
			if err != nil || len(got.Tables) != 1 || asked != 2 {
				t.Errorf("got %v, %v, asked %d times", got, err, asked)
			}
		})
	}
}
