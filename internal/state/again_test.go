package state

import (
	"encoding/json"
	"strings"
	"testing"

	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/table"
)

// A server's responses may be malformed: a journal without positions, a last key of two rows. They must not end up in a state that every
// later sync rejects.
func TestAStateThatCouldNotBeReadAgainIsNotSaved(t *testing.T) {
	two := key()
	two.Rows = append(two.Rows, two.Rows[0])
	short := key()
	short.Rows[0].Lengths = nil
	at := position(t, early)
	for name, s := range map[string]*Stream{
		"neither position nor copy":  {Shards: map[gtid.Shard]*Shard{in("-"): {}}},
		"moved without a position":   {Shards: map[gtid.Shard]*Shard{in("-"): {Position: at, Moved: map[gtid.Shard]gtid.Position{in("-80"): {}}}}},
		"moved to no shard":          {Shards: map[gtid.Shard]*Shard{in("-"): {Position: at, Moved: map[gtid.Shard]gtid.Position{in(""): at}}}},
		"a key without its position": {Shards: map[gtid.Shard]*Shard{in("-"): {Copy: &Copy{Oldest: at, LastPK: key()}}}},
		"a key of two rows":          {Shards: map[gtid.Shard]*Shard{in("-"): {Position: at, Copy: &Copy{Oldest: at, LastPK: two}}}},
		"a key of no columns": {Shards: map[gtid.Shard]*Shard{in("-"): {Position: at, Copy: &Copy{
			Oldest: at,
			LastPK: &querypb.QueryResult{Rows: []*querypb.Row{{}}},
		}}}},
		"a key with too few values":  {Shards: map[gtid.Shard]*Shard{in("-"): {Position: at, Copy: &Copy{Oldest: at, LastPK: short}}}},
		"restarted from nowhere":     {Shards: map[gtid.Shard]*Shard{in("-"): {Copy: &Copy{Restarted: true}}}},
		"a cursor that is no double": {Cursor: maxCursor + 1},
		"a negative cursor":          {Cursor: -1},
		"columns known, and unknown": {Shards: map[gtid.Shard]*Shard{in("-"): {Position: at, Layout: table.Layout{Columns: []table.Column{{Name: "a", Type: "int"}}, Unknown: true}}}},
		"shards of one name":         {Shards: map[gtid.Shard]*Shard{in("-"): {Position: at}, {Keyspace: "other", Name: "-"}: {Position: at}}},
		"shards that JSON makes one": {Shards: map[gtid.Shard]*Shard{in("\xFF"): {Position: at}, in("\xFE"): {Position: at}}},
	} {
		if data, err := json.Marshal(s); err == nil ||
			!strings.Contains(err.Error(), "could not be read back is not saved") && !strings.Contains(err.Error(), "could not be") {
			t.Errorf("%s: %s, %v", name, data, err)
		}
	}
}
