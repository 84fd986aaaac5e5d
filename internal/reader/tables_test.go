package reader

import (
	"testing"

	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/partition"
)

// What one replica wrote itself does not make another one's stream lie before a table's position.
func TestWhatATableHas(t *testing.T) {
	t.Parallel()
	const stray = ",99b1039f-22b6-11ed-b765-0a43f95f28a3:1"
	gtids := func(n int, own string) gtid.Position {
		p, err := gtid.Parse(fakevtgate.GTID(n) + own)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for name, c := range map[string]struct {
		began, from, at gtid.Position
		has             bool
	}{
		"before it":                           {gtids(5, ""), gtids(8, ""), gtids(7, ""), false},
		"at it":                               {gtids(5, ""), gtids(8, ""), gtids(8, ""), true},
		"past it":                             {gtids(5, ""), gtids(8, ""), gtids(9, ""), true},
		"where the stream began":              {gtids(5, stray), gtids(5, stray), gtids(5, ""), true},
		"before it, on another replica":       {gtids(5, stray), gtids(8, stray), gtids(7, ""), false},
		"at it, on another replica":           {gtids(5, stray), gtids(8, stray), gtids(8, ""), true},
		"at it, but for what it has not read": {gtids(5, ""), gtids(8, stray), gtids(8, ""), false},
		"at it, on a third replica":           {gtids(5, stray), gtids(8, stray), gtids(8, ",a9b1039f-22b6-11ed-b765-0a43f95f28a3:1"), true},
	} {
		reader := &tableReader{Partition: &partition.Partition{From: c.from}, began: c.began}
		if got := reader.has(c.at); got != c.has {
			t.Errorf("%s: %v", name, got)
		}
	}
}
