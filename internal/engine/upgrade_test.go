package engine

import (
	"slices"
	"testing"
)

// MySQL 8.0.19 and later report bigint where older ones report bigint(20). A server that was upgraded between two syncs has not changed its
// tables: they still share one stream.
func TestUpgradeOfMySQLChangesNoColumns(t *testing.T) {
	r := newRig(t, 7, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(insert(6, "orders", "users")...)
		send(insert(7, "orders", "users")...)
		return hold(done)
	})
	for _, name := range []string{"orders", "users"} {
		columns := slices.Clone(testTable(name).Columns)
		columns[0].Type = "bigint(20)"
		r.savedUnder(columns, name, 5)
	}
	out := r.must()
	if got, want := rowsByTable(out), []string{"orders 6:x", "orders 7:x", "users 6:x", "users 7:x"}; !slices.Equal(got, want) {
		t.Errorf("records %v, expected %v", got, want)
	}
	if n := len(r.requests()); n != 1 {
		t.Errorf("%d streams were opened", n)
	}
}
