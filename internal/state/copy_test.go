package state

import (
	"testing"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/table"
)

// Changes are replicated from the oldest snapshot of all attempts: a later attempt may be at an older one, of a replica that lags, and an
// earlier one has sent rows that were deleted before the next.
func TestCopyIsFollowedFromItsOldestSnapshot(t *testing.T) {
	position := func(text string) gtid.Position {
		p, err := gtid.Parse("MySQL56/16b1039f-22b6-11ed-b765-0a43f95f28a3:" + text)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for name, c := range map[string]struct {
		snapshots []string
		want      string
		layout    int // whose it is: the layout of the nth snapshot has n columns
	}{
		"one":                    {[]string{"1-5"}, "1-7", 9},
		"a newer one":            {[]string{"1-5", "1-6"}, "1-5", 1},
		"the same":               {[]string{"1-5", "1-5"}, "1-5", 2},
		"an older one":           {[]string{"1-5", "1-4"}, "1-4", 2},
		"an older and a newer":   {[]string{"1-5", "1-4", "1-6"}, "1-4", 2},
		"neither contains both":  {[]string{"1-5", "1-3:6"}, "1-5", 1},
		"older than a newer one": {[]string{"1-4", "1-6", "1-5"}, "1-4", 1},
		"older again and again":  {[]string{"1-6", "1-5", "1-4"}, "1-4", 3},
	} {
		t.Run(name, func(t *testing.T) {
			shard := &Shard{Copy: &Copy{}}
			for n, at := range c.snapshots {
				shard.Copy.Start(position(at), table.Layout{Columns: make([]table.Column, n+1)})
			}
			if shard.Copy.Restarted != (len(c.snapshots) > 1) {
				t.Errorf("restarted: %t", shard.Copy.Restarted)
			}
			shard.Complete(position("1-7"), table.Layout{Columns: make([]table.Column, 9)})
			if !shard.Position.Equal(position(c.want)) || len(shard.Layout.Columns) != c.layout {
				t.Errorf("replicated from %s with %d columns, expected %s with %d", shard.Position, len(shard.Layout.Columns), c.want, c.layout)
			}
		})
	}
}
