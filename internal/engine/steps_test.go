package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/state"
)

func TestPlanSaysWhatIsDoneInWhichShard(t *testing.T) {
	r := newRig(t, 0, nil)
	r.newShards("-40", "40-80", "80-c0", "c0-e0", "e0-")
	r.addSaved("users", map[string]*state.Shard{
		"40-80": {Position: at(5), Copy: &state.Copy{Oldest: at(5), LastPK: pk("users", "1").Lastpk}},
		"80-c0": {Position: at(5)},
		"c0-e0": {Position: at(20)},
		"e0-":   {Position: at(21)},
	})
	r.addStream(testTable("notes"), airbyte.FullRefresh, &state.Stream{
		Columns: testTable("notes").Columns, FullRefresh: true,
		Shards: map[gtid.Shard]*state.Shard{
			in("e0-"): {}, // a retry of the job that read it
		},
	})
	_, got, err := r.sync().plan()
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{
		"Stream shop.users will be copied from shard -40, and will resume its copy from shard 40-80, and will be replicated from shard 80-c0, and is up to date in shards c0-e0, e0-.",
		"Stream shop.notes will be copied from shards -40, 40-80, 80-c0, c0-e0, and is up to date in shard e0-.",
	}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestPlanOfVeryManyStreamsAndShardsIsShort(t *testing.T) {
	r := newRig(t, 0, nil)
	var shards []string
	for i := range 64 {
		shards = append(shards, fmt.Sprintf("%02x-%02x", 4*i, 4*i+4))
	}
	r.newShards(shards...)
	for i := range streamsNamed + 7 {
		r.add(testTable(fmt.Sprintf("t%d", i)), airbyte.FullRefresh, nil)
	}
	_, got, err := r.sync().plan()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != streamsNamed+1 || got[streamsNamed] != "…and 7 more streams." {
		t.Errorf("%d messages, the last one %q", len(got), got[len(got)-1])
	}
	if !strings.HasSuffix(got[0], "shards "+strings.Join(shards[:16], ", ")+", and 48 more.") {
		t.Errorf("the first one %q", got[0])
	}
}
