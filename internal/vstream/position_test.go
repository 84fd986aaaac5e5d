package vstream

import (
	"strings"
	"testing"
)

const (
	one = "16b1039f-22b6-11ed-b765-0a43f95f28a3"
	two = "26b1039f-22b6-11ed-b765-0a43f95f28a3"
)

func parse(t testing.TB, s string) Position {
	t.Helper()
	p, err := ParsePosition(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPositionContains(t *testing.T) {
	for _, c := range []struct {
		p, q string
		want bool
	}{
		{one + ":1-10", one + ":1-10", true},
		{one + ":1-10", one + ":1-9", true},
		{one + ":1-9", one + ":1-10", false},
		{one + ":1-10:20-30", one + ":25", true},
		{one + ":1-10:20-30", one + ":15", false},
		// After a failover the new primary's transactions bear another name.
		{one + ":1-10," + two + ":1-2", one + ":1-10", true},
		{one + ":1-10", one + ":1-10," + two + ":1", false},
		{one + ":1-10", "", true},
		{"", one + ":1", false},
	} {
		if got := parse(t, "MySQL56/"+c.p).Contains(parse(t, c.q)); got != c.want {
			t.Errorf("%q contains %q: %v", c.p, c.q, got)
		}
	}
}

func TestPositionIsWrittenAsVStreamDoes(t *testing.T) {
	for _, in := range []string{"MySQL56/" + one + ":1-10", one + ":1-10", " " + one + ":1-10\n"} {
		p := parse(t, in)
		if p.String() != "MySQL56/"+one+":1-10" || p.GTIDSet() != one+":1-10" {
			t.Errorf("%q became %q and %q", in, p.String(), p.GTIDSet())
		}
	}
	if zero := parse(t, ""); !zero.IsZero() || zero.String() != "" {
		t.Errorf("the empty position became %q", zero)
	}
}

func TestParsePositionRefuses(t *testing.T) {
	for _, in := range []string{"current", "MariaDB/0-1-2", one, one + ":x", "MySQL56/x:1", one + ":5-1", "FilePos/mysql-bin.1:4"} {
		if p, err := ParsePosition(in); err == nil || !strings.Contains(err.Error(), "is not a position") {
			t.Errorf("%q became %q, error %v", in, p, err)
		}
	}
}

func FuzzParsePosition(f *testing.F) {
	for _, s := range []string{"", "current", "MySQL56/" + one + ":1-10:20," + two + ":7", one + ":1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePosition(s)
		if err != nil {
			return
		}
		again, err := ParsePosition(p.String())
		if err != nil || !again.Equal(p) || !p.Contains(again) {
			t.Fatalf("%q became %q, and that %q (%v)", s, p, again, err)
		}
	})
}
