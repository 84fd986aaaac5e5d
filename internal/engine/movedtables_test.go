package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/state"
)

// switched is a journal of the table users, written at the position from; its traffic was switched to a shard of a keyspace, which
// was at position.
func switched(from string, keyspace, shard, position string) *binlogdatapb.Journal {
	return &binlogdatapb.Journal{
		Tables: []string{"orders", "users"}, LocalPosition: from,
		ShardGtids: []*binlogdatapb.ShardGtid{{Keyspace: keyspace, Shard: shard, Gtid: position}},
	}
}

func TestWhereATableIs(t *testing.T) {
	const other, failedOver = "MySQL56/16b1039f-22b6-11ed-b765-0a43f95f28a3:1-70", "MySQL56/16b1039f-22b6-11ed-b765-0a43f95f28a4:1-9"
	position := fakevtgate.GTID
	led := switched(position(5), "elsewhere", "-", other)
	replicated := func(n int) *state.Shard { return &state.Shard{Position: at(n)} }
	gone, doubtful := location{"elsewhere", true}, location{"elsewhere", false}
	for name, c := range map[string]struct {
		saved *state.Shard
		left  []*binlogdatapb.Journal
		back  []*binlogdatapb.Journal // nil if they cannot be queried
		want  location
	}{
		"never moved": {replicated(3), nil, none, location{}},
		"another table": {replicated(3), []*binlogdatapb.Journal{{
			Tables: []string{"user"}, LocalPosition: position(5),
			ShardGtids: led.ShardGtids,
		}}, none, location{}},
		"of an unknown form": {replicated(3), []*binlogdatapb.Journal{
			{Tables: []string{"users"}, LocalPosition: "5", ShardGtids: led.ShardGtids},
			{Tables: []string{"users"}, LocalPosition: position(5)},
		}, none, location{}},
		"since the last sync":            {replicated(3), []*binlogdatapb.Journal{led}, none, gone},
		"nothing was changed before":     {replicated(5), []*binlogdatapb.Journal{led}, none, gone},
		"before the last sync":           {replicated(6), []*binlogdatapb.Journal{led}, none, location{}},
		"and the other may not be asked": {replicated(3), []*binlogdatapb.Journal{led}, nil, doubtful},
		"and back": {
			replicated(3),
			[]*binlogdatapb.Journal{led},
			[]*binlogdatapb.Journal{switched(other, "shop", "-", position(6))},
			location{},
		},
		"another table is back": {replicated(3), []*binlogdatapb.Journal{led}, []*binlogdatapb.Journal{{
			Tables: []string{"orders"}, LocalPosition: other,
			ShardGtids: switched("", "shop", "-", position(6)).ShardGtids,
		}}, gone},
		"came from there first": {replicated(3), []*binlogdatapb.Journal{led}, []*binlogdatapb.Journal{switched(other, "shop", "-", position(4))}, gone},
		"back, and away again": {replicated(3), []*binlogdatapb.Journal{led, switched(position(9), "elsewhere", "-", other)}, []*binlogdatapb.Journal{switched(other,
			"shop", "-", position(7))}, gone},
		"again, to where none may ask": {replicated(3), []*binlogdatapb.Journal{led, switched(position(9), "third", "-", other)}, none, gone},
		"a copy, and an unknown form": {&state.Shard{Copy: &state.Copy{}}, []*binlogdatapb.Journal{{
			Tables: []string{"users"}, LocalPosition: "5",
			ShardGtids: led.ShardGtids,
		}}, none, location{}},
		"another of our shards has it":    {replicated(3), []*binlogdatapb.Journal{led}, []*binlogdatapb.Journal{switched(other, "shop", "80-", position(6))}, gone},
		"and on to a third":               {replicated(3), []*binlogdatapb.Journal{led}, []*binlogdatapb.Journal{switched(other, "third", "-", position(6))}, doubtful},
		"after a failover":                {replicated(3), []*binlogdatapb.Journal{led}, []*binlogdatapb.Journal{switched(other, "shop", "-", failedOver)}, doubtful},
		"back at a position that is none": {replicated(3), []*binlogdatapb.Journal{led}, []*binlogdatapb.Journal{switched(other, "shop", "-", "6")}, doubtful},
		"a new copy":                      {&state.Shard{Copy: &state.Copy{}}, []*binlogdatapb.Journal{led}, none, doubtful},
		"a new copy, and moved back": {
			&state.Shard{Copy: &state.Copy{}},
			[]*binlogdatapb.Journal{led},
			[]*binlogdatapb.Journal{switched(other, "shop", "-", position(6))},
			location{},
		},
		"a copy that starts over":  {&state.Shard{Copy: &state.Copy{Oldest: at(4)}}, []*binlogdatapb.Journal{led}, none, gone},
		"read from a former shard": {nil, []*binlogdatapb.Journal{led}, none, doubtful},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 12, nil)
			st := r.add(testTable("users"), airbyte.Incremental, c.saved)
			if c.saved == nil {
				r.change(func(tx *airbyte.Tx) { st.Reset(tx) })
			}
			to := journals{}
			if c.back != nil {
				to[gtid.Shard{Keyspace: "elsewhere", Name: "-"}] = c.back
			}
			got := away(movedTables{r.sync()}.departures(journals{in("-"): c.left}), to)[st]
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(location{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

var none = []*binlogdatapb.Journal{}
