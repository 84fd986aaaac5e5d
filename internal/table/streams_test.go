package table

import (
	"strings"
	"testing"
)

func TestExcluded(t *testing.T) {
	const uuid = "6ace8bcef73211ea87e9f875a4d24e90_20200915120410"
	for _, c := range []struct {
		name, whose string // whose is how the reason starts, "" for a stream
		unsent      bool
	}{
		{"orders", "", false},
		{"orders_old", "", false},
		{"orders_vt_2024", "", false},
		{"_orders", "", false},
		{"_vt_", "", false},
		{"_vt_HOLD_" + uuid[:31] + uuid[32:], "", false}, // a digit is missing
		{"_vt_hld_" + uuid, "", false},                   // an underscore is
		{"_other_gho", "", false},                        // there is no table other
		{"_other_new", "", false},
		{"_orders_gho_2", "", false},
		{"__new", "", false},
		{"_orders_old", "named like", true},
		{"__orders_old", "named like", true},
		{"_other_old", "named like", true}, // VStream does not check whether there is a table other
		{"_vt_hld_" + uuid + "_", "internal to Vitess", true},
		{"_vt_vrp_" + uuid + "_", "internal to Vitess", true},
		{"_vt_abc_" + uuid + "_", "internal to Vitess", true},
		{"_4e5dcf80_354b_11eb_82cd_f875a4d24e90_20201203114014_gho", "internal to Vitess", true},
		{"_84371a37_6153_11eb_9917_f875a4d24e90_20210128122816_vrepl", "internal to Vitess", true},
		{"_vt_HOLD_" + uuid, "internal to an older Vitess", false},
		{"_vt_PURGE_" + uuid, "internal to an older Vitess", false},
		{"_vt_EVAC_" + uuid, "internal to an older Vitess", false},
		{"_vt_DROP_" + uuid, "internal to an older Vitess", false},
		{"_t_1234_vrepl", "internal to an older Vitess", false},
		{"_orders_gho", "gh-ost's", false},
		{"_orders_ghc", "gh-ost's", false},
		{"_orders_del", "gh-ost's", false},
		{"_orders_new", "pt-online-schema-change's", false},
		{"___orders_new", "pt-online-schema-change's", false},
		{"__x_new", "pt-online-schema-change's", false}, // of _x
	} {
		got := Excluded(c.name, func(name string) bool { return name == "orders" || name == "_x" })
		switch {
		case c.whose == "" && got == nil:
		case got == nil, c.whose == "", len(got.Whose) < len(c.whose), got.Whose[:len(c.whose)] != c.whose, got.Unsent != c.unsent:
			t.Errorf("%s is excluded as %+v, want %q, unsent %v", c.name, got, c.whose, c.unsent)
		}
	}
}

func TestGroupExcluded(t *testing.T) {
	excluded := map[string]*Exclusion{}
	for _, name := range []string{"_b_vrepl", "_orders_old", "_a_vrepl", "_orders_del", "orders"} {
		if e := Excluded(name, func(name string) bool { return name == "orders" }); e != nil {
			excluded[name] = e
		}
	}
	var got []string
	for _, group := range GroupExcluded(excluded) {
		got = append(got, strings.Join(group.Names, " "))
	}
	if want := "_orders_old|_a_vrepl _b_vrepl|_orders_del"; strings.Join(got, "|") != want {
		t.Errorf("got the groups %q, want %s", got, want)
	}
}
