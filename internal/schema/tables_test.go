package schema

import (
	"errors"
	"strings"
	"testing"

	"source-planetscale/internal/table"

	"github.com/google/go-cmp/cmp"
)

func TestAssemble(t *testing.T) {
	id := []table.Column{{Name: "id", Type: "int"}}
	primary := []keyPart{{index: "PRIMARY", column: "id"}}
	internal := "_vt_prg_6ace8bcef73211ea87e9f875a4d24e90_20200915120410_"
	types := map[string][]string{
		"b": {"BASE TABLE"}, "B": {"BASE TABLE"}, "a": {"BASE TABLE"}, "v": {"VIEW"}, "dropped": {"BASE TABLE"},
		internal: {"BASE TABLE"}, "orders_vt_2024": {"BASE TABLE"},
	}
	columns := map[string][]table.Column{"b": id, "B": id, "a": id, "v": id, internal: id, "orders_vt_2024": id, "made": id}
	keys := map[string][]keyPart{"b": primary, internal: primary, "dropped": primary, "made": primary}
	got, err := assemble(types, columns, keys)
	if err != nil {
		t.Fatal(err)
	}
	want := &Contents{
		Tables: []table.Table{
			{Name: "B", Columns: id},
			{Name: "a", Columns: id},
			{Name: "b", Columns: id, Key: []string{"id"}, MySQLKey: []string{"id"}},
			{Name: "orders_vt_2024", Columns: id},
		},
		Views: []string{"v"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
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
	rows := []map[string]string{{"Shards": "shop/80-"}, {"Shards": "shop/-80"}, {"Shards": "shop_2/-"}, {"Shards": "sho/-"}, {"Shards": "shopx/-"}}
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
