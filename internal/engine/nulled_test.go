package engine

import (
	"strings"
	"testing"

	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// A zero date in the key becomes null: a destination takes such rows for the same row, or refuses them.
func TestNullInAKeyIsSaidToBeOne(t *testing.T) {
	days := &table.Table{
		Name: "days", Key: []string{"day"}, MySQLKey: []string{"day"},
		Columns: []table.Column{{Name: "day", Type: "date"}, {Name: "other", Type: "date"}},
	}
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(begin(7, 6), fakevtgate.Fields(7, "days", fakevtgate.Field("day", "date", querypb.Type_DATE), fakevtgate.Field("other", "date", querypb.Type_DATE)))
		send(rowOf(7, "days", nil, []string{"0000-00-00", "0000-00-00"}), script.VGTID(6, nil), commit(7))
		return hold(done)
	})
	r.add(days, airbyte.Incremental, &state.Shard{Position: at(5)})
	seen := map[string]bool{"day": true, "other": true}
	for _, l := range r.must().Logs {
		if !strings.HasPrefix(l.Message, "Column ") {
			continue
		}
		if inKey := strings.Contains(l.Message, "part of the key"); inKey != strings.HasPrefix(l.Message, "Column day ") {
			t.Errorf("%s: %s", l.Level, l.Message)
		}
		delete(seen, strings.Fields(l.Message)[1])
	}
	if len(seen) > 0 {
		t.Errorf("no message about %v", seen)
	}
}
