package destination

import (
	"strings"
	"testing"
)

func TestWarehouseKeepsRowsAndStatesOverRunsAndRefreshes(t *testing.T) {
	var w Warehouse
	state := func(v string) State {
		return State{Stream: Stream{Name: "users", Namespace: "shop"}, Message: []byte(`{"v":` + v + `}`)}
	}
	refreshed := strings.Replace(catalog, `{"stream"`, `{"stream":{"name":"more","namespace":"shop"}},{"stream"`, 1)
	for _, run := range []struct {
		catalog, output string
		states          []State
		rows            int
		state           string
	}{
		{catalog, record("1", "10", ""), nil, 1, ""},
		{catalog, record("2", "11", ""), []State{state("1"), state("2")}, 2, `[{"v":2}]`},
		{refreshed, record("1", "12", ""), nil, 2, `[{"v":2}]`},
		{catalog, record("1", "13", `,"_ab_cdc_deleted_at":"2026-01-01T00:00:00Z"`), []State{state("3")}, 1, `[{"v":3}]`},
	} {
		if err := w.Configure([]byte(run.catalog)); err != nil {
			t.Fatal(err)
		}
		out, err := Parse(strings.NewReader(run.output))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Deliver(out.Records, run.states); err != nil {
			t.Fatal(err)
		}
		if rows := len(w.Tables[Stream{Name: "users", Namespace: "shop"}].Rows); rows != run.rows {
			t.Errorf("after %s: %d rows", run.output, rows)
		}
		if data, err := w.State(); err != nil || string(data) != run.state {
			t.Errorf("after %s: state %s, %v", run.output, data, err)
		}
	}
	if err := w.Deliver([]Record{{Stream: Stream{Name: "others", Namespace: "shop"}}}, nil); err == nil {
		t.Error("a record of a stream that is not configured was accepted")
	}
	if _, err := w.Compare(t.Context(), nil, Stream{Name: "more", Namespace: "shop"}, "*"); err == nil {
		t.Error("a stream that is no longer configured was compared")
	}
}
