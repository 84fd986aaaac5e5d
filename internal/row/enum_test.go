package row

import (
	"fmt"
	"strings"
	"testing"
)

func TestNumbersBecomeLabels(t *testing.T) {
	var sixtyFour []string
	for i := range 64 {
		sixtyFour = append(sixtyFour, fmt.Sprintf("'%d'", i))
	}
	for _, test := range []struct{ columnType, value, want string }{
		{"enum('a','b,c','it''s','é','2','','back\\\\slash','nl\\n','q\"')", "1", `"a"`},
		{"enum('a','b,c','it''s','é','2','','back\\\\slash','nl\\n','q\"')", "2", `"b,c"`},
		{"enum('a','b,c','it''s','é','2','','back\\\\slash','nl\\n','q\"')", "3", `"it's"`},
		{"enum('a','b,c','it''s','é','2','','back\\\\slash','nl\\n','q\"')", "4", `"é"`},
		{"enum('a','b,c','it''s','é','2','','back\\\\slash','nl\\n','q\"')", "5", `"2"`},
		{"enum('a','b,c','it''s','é','2','','back\\\\slash','nl\\n','q\"')", "6", `""`},
		{"enum('a','b,c','it''s','é','2','','back\\\\slash','nl\\n','q\"')", "7", `"back\\slash"`},
		{"enum('a','b,c','it''s','é','2','','back\\\\slash','nl\\n','q\"')", "8", `"nl\n"`},
		{"enum('a','b,c','it''s','é','2','','back\\\\slash','nl\\n','q\"')", "9", `"q\""`},
		{"enum('a','b')", "0", `""`},
		{"enum('a)','(b')", "2", `"(b"`},
		{"enum('a','b')", "b", `"b"`}, // a label after all
		{"enum('a','b')", "18446744073709551617", `"18446744073709551617"`},
		{"set('a','é','it''s')", "0", `""`},
		{"set('a','é','it''s')", "1", `"a"`},
		{"set('a','é','it''s')", "7", `"a,é,it's"`},
		{"set('a','é','it''s')", "6", `"é,it's"`},
		{"set('a','é','it''s')", "a,é", `"a,é"`},
		{"set(" + strings.Join(sixtyFour, ",") + ")", "9223372036854775809", `"0,63"`},
	} {
		tab, f := oneColumn(test.columnType, "latin1")
		f.EnumSetStringValues = false
		got, _, err := compile(t, tab, f, Replicate, Options{}).Append(nil, encoded(rowOf(test.value)), nil, nil)
		if err != nil || string(got) != `"v":`+test.want {
			t.Errorf("%s %s: %s %v, want %s", test.columnType, test.value, got, err, test.want)
		}
	}
}

func TestACopyAlwaysHasLabels(t *testing.T) {
	tab, f := oneColumn("enum('x','1')", "")
	f.EnumSetStringValues = false
	got, _, err := compile(t, tab, f, Copy, Options{}).Append(nil, encoded(rowOf("1")), nil, nil)
	if err != nil || string(got) != `"v":"1"` {
		t.Error(string(got), err)
	}
}
