package table

import (
	"reflect"
	"testing"
)

func TestIncarnationSince(t *testing.T) {
	for _, c := range []struct {
		name        string
		now, before Incarnation
		want        Replacement
	}{
		{"the same", Incarnation{"a", []uint64{7}}, Incarnation{"a", []uint64{7}}, Kept},
		{"truncated", Incarnation{"a", []uint64{8}}, Incarnation{"a", []uint64{7}}, Replaced},
		{"a lower number, of another table's renamed", Incarnation{"a", []uint64{6}}, Incarnation{"a", []uint64{7}}, Replaced},
		{"another server", Incarnation{"b", []uint64{8}}, Incarnation{"a", []uint64{7}}, Unknown},
		{"another server with the same number", Incarnation{"b", []uint64{7}}, Incarnation{"a", []uint64{7}}, Unknown},
		{"not known before", Incarnation{"a", []uint64{7}}, Incarnation{}, Unknown},
		{"not known now", Incarnation{}, Incarnation{"a", []uint64{7}}, Unknown},
		{"neither", Incarnation{}, Incarnation{}, Unknown},
		{"no numbers", Incarnation{Server: "a"}, Incarnation{"a", []uint64{7}}, Unknown},
		{"partition added", Incarnation{"a", []uint64{7, 8, 9}}, Incarnation{"a", []uint64{7, 8}}, Kept},
		{"partition exchanged", Incarnation{"a", []uint64{3, 8}}, Incarnation{"a", []uint64{7, 8}}, Replaced},
		{"partition dropped", Incarnation{"a", []uint64{8}}, Incarnation{"a", []uint64{7, 8}}, Replaced},
		{"partitioned", Incarnation{"a", []uint64{8, 9}}, Incarnation{"a", []uint64{7}}, Replaced},
	} {
		if got := c.now.Since(c.before); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestParseIncarnation(t *testing.T) {
	for _, i := range []Incarnation{{}, {"8c1c-eaed", []uint64{1}}, {"8c1c-eaed", []uint64{0, 7, 1 << 63}}} {
		if got, err := ParseIncarnation(i.String()); err != nil || !reflect.DeepEqual(got, i) {
			t.Errorf("%q is read as %+v, %v", i, got, err)
		}
	}
	for _, text := range []string{"a", ":7", "a:", "a:7,", "a:x", "a:-1", "a:8,7", "a:7,7", "a:07", "a:18446744073709551616", "a: 7"} {
		if got, err := ParseIncarnation(text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}
