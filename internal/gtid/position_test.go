package gtid

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
	p, err := Parse(s)
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
		// After a failover the new primary's transactions have another server UUID.
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

func TestFollow(t *testing.T) {
	digits := "16b1039f-22b6-11ed-1111-111111111111" // a UUID that ends in digits only
	for _, c := range []struct{ p, s string }{
		{one + ":1-9", one + ":1-10"},
		{one + ":1-9", one + ":1-9"},
		{one + ":1-9," + two + ":1-3", one + ":1-12," + two + ":1-3"},
		{one + ":1-9," + two + ":1-3", one + ":1-9," + two + ":1-4"},
		{one + ":1-9:12-13", one + ":1-9:12-14"},
		// These differ by more than a later end of one interval.
		{one + ":1-9", one + ":1-8"},
		{one + ":1-9:12-13", one + ":1-10:12-13"},
		{one + ":1-9", one + ":2-9"},
		{one + ":9", one + ":9-10"},
		{one + ":1-9", two + ":1-9"},
		{one + ":1-9", one + ":1-9," + two + ":1"},
		{digits + ":1-9", digits[:35] + "2:1-9"},
		{digits + ":7", digits[:35] + "2:7"},
		{"", one + ":1-9"},
	} {
		p, s := parse(t, c.p), "MySQL56/"+c.s
		got, err := p.Follow(s)
		if err != nil || got.String() != s {
			t.Errorf("%s after %s became %s, error %v", s, p, got, err)
		}
		agree(t, p, got)
		agree(t, got, p)
	}
	for _, s := range []string{"current", "MySQL56/" + one + ":1-99999999999999999999", "MySQL56/" + one + ":1-x", "MySQL56/" + one + ":1-"} {
		if got, err := parse(t, one+":1-9").Follow(s); err == nil {
			t.Errorf("%s became %s", s, got)
		}
	}
}

// agree compares Contains and Equal with Vitess' own GTID sets.
func agree(t *testing.T, p, q Position) {
	t.Helper()
	if got, want := p.Contains(q), p.parsed().Contains(q.parsed()); got != want {
		t.Errorf("%s contains %s: %v, want %v", p, q, got, want)
	}
	if got, want := p.Equal(q), p.parsed().Equal(q.parsed()); got != want {
		t.Errorf("%s equals %s: %v, want %v", p, q, got, want)
	}
}

func FuzzFollow(f *testing.F) {
	f.Add(one+":1-9", one+":1-10")
	f.Add(one+":1-9,"+two+":1-3:7", one+":1-12,"+two+":1-3:7")
	f.Add(one+":1-9:12-13", one+":1-10:12-13")
	f.Add("16b1039f-22b6-11ed-1111-111111111111:1-9", "16b1039f-22b6-11ed-1111-111111111112:1-9")
	f.Fuzz(func(t *testing.T, first, second string) {
		p, err := Parse(first)
		if err != nil {
			return
		}
		q, err := p.Follow(flavor + second)
		want, wantErr := Parse(second)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q after %q: %v, parsed by itself: %v", second, p, err, wantErr)
		}
		if err != nil {
			return
		}
		if !q.parsed().Equal(want.set) {
			t.Errorf("%q after %q became %q", second, p, q)
		}
		agree(t, p, q)
		agree(t, q, p)
	})
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
		if p, err := Parse(in); err == nil || !strings.Contains(err.Error(), "is not a position") {
			t.Errorf("%q became %q, error %v", in, p, err)
		}
	}
}

func FuzzParsePosition(f *testing.F) {
	for _, s := range []string{"", "current", "MySQL56/" + one + ":1-10:20," + two + ":7", one + ":1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(p.String())
		if err != nil || !again.Equal(p) || !p.Contains(again) {
			t.Fatalf("%q became %q, and that %q (%v)", s, p, again, err)
		}
	})
}

// setOf is the position with a GTID set, the zero position for "".
func setOf(t *testing.T, s string) Position {
	t.Helper()
	if s == "" {
		return Position{}
	}
	return parse(t, strings.NewReplacer("one", one, "two", two).Replace(s))
}

func TestPositionsAsSets(t *testing.T) {
	for _, c := range []struct {
		p, q, union, intersection string
		lacks                     int64  // transactions of q that p lacks
		first                     string // of these, if their order is certain
	}{
		{"one:1-5", "one:6", "one:1-6", "", 1, "one:6"},
		{"one:1-5", "one:4-9", "one:1-9", "one:4-5", 4, "one:6"},
		{"one:1-5", "two:1-3", "one:1-5,two:1-3", "", 3, "two:1"},
		{"one:1-5", "one:6,two:1", "one:1-6,two:1", "", 2, ""},
		{"one:1-5", "one:6:8", "one:1-6:8", "", 2, ""},
		{"one:1-5,two:1-9", "one:1-7", "one:1-7,two:1-9", "one:1-5", 2, "one:6"},
		{"one:1-5:9-12", "one:3-10", "one:1-12", "one:3-5:9-10", 3, "one:6"},
		{"one:1-5", "one:1-5", "one:1-5", "one:1-5", 0, ""},
		{"one:1-5", "", "one:1-5", "", 0, ""},
		{"", "one:1-5", "one:1-5", "", 5, "one:1"},
		{"", "", "", "", 0, ""},
	} {
		p, q := setOf(t, c.p), setOf(t, c.q)
		if got := p.Union(q); !got.Equal(setOf(t, c.union)) || !q.Union(p).Equal(got) {
			t.Errorf("%s and %s: %s", c.p, c.q, got)
		}
		if got := p.Intersect(q); !got.Equal(setOf(t, c.intersection)) || !q.Intersect(p).Equal(got) {
			t.Errorf("both in %s and %s: %s", c.p, c.q, got)
		}
		if got := p.Lacks(q); got != c.lacks {
			t.Errorf("%s lacks %d of %s", c.p, got, c.q)
		}
		if got, ok := p.First(q); !got.Equal(setOf(t, c.first)) || ok != (c.first != "") {
			t.Errorf("%s lacks first %s of %s", c.p, got, c.q)
		}
		if !p.Equal(setOf(t, c.p)) || !q.Equal(setOf(t, c.q)) {
			t.Errorf("%s or %s was changed", c.p, c.q)
		}
	}
}
