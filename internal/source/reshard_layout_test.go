package source

import (
	"reflect"
	"testing"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/state"
)

// What is known of the columns goes on with the positions that it belongs to.
func TestNewShardsHaveTheLayoutOfTheFormer(t *testing.T) {
	key := pk("users", "1").Lastpk
	former := func(layout state.Layout, c *state.Copy) *state.Shard {
		return &state.Shard{Position: at(5), Moved: map[string]gtid.Position{"-80": at(10), "-": at(10)}, Layout: layout, Copy: c}
	}
	own := testTable("users").Columns
	one, other, both := state.Layout{Columns: own, Had: 1}, state.Layout{Columns: own, Stale: true}, state.Layout{Columns: own, Had: 1, Stale: true}
	for name, c := range map[string]struct {
		former map[string]*state.Shard
		shard  string
		want   *state.Shard
	}{
		"split":         {map[string]*state.Shard{"-": former(one, nil)}, "-80", &state.Shard{Position: at(10), Layout: one}},
		"split copy":    {map[string]*state.Shard{"-": former(one, &state.Copy{LastPK: key})}, "-80", &state.Shard{Position: at(10), Layout: one, Copy: &state.Copy{Oldest: at(10), Layout: one, LastPK: key}}},
		"begun copy":    {map[string]*state.Shard{"-": former(one, &state.Copy{})}, "-80", &state.Shard{Copy: &state.Copy{Oldest: at(10), Layout: one, Restarted: true}}},
		"merged":        {map[string]*state.Shard{"-80": former(one, nil), "80-": former(other, nil)}, "-", &state.Shard{Position: at(10), Layout: both}},
		"merged copies": {map[string]*state.Shard{"-80": former(one, &state.Copy{LastPK: key}), "80-": former(other, nil)}, "-", &state.Shard{Copy: &state.Copy{Oldest: at(10), Layout: both, Restarted: true}}},
	} {
		if got := succeed(c.former, []string{c.shard}, c.shard, true); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v with the copy %+v", name, got, got.Copy)
		}
	}
}
