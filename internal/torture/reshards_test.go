package torture

import (
	"slices"
	"strings"
	"testing"
)

// TestAReshardShiftsNothing: seeds whose histories have none play the same as before there were such steps. Few have one.
func TestAReshardShiftsNothing(t *testing.T) {
	const seeds = 300
	some := 0
	for seed := range uint64(seeds) {
		with := Generate(seed, 30, nil)
		if slices.ContainsFunc(with, func(s Step) bool { return s.Verb == "reshard" }) {
			some++
		} else if without := Generate(seed, 30, map[string]bool{"reshard": true}).String(); with.String() != without {
			t.Fatalf("seed %d has other steps:\n%s\n%s", seed, with, without)
		}
	}
	if some < seeds/20 || some > seeds/8 {
		t.Errorf("%d of %d histories have a reshard", some, seeds)
	}
}

// TestStepsNameShardsThatServe follows the shards through each history: a reshard begins with serving ones and keeps their key range, and
// no other step names one that does not serve, or changes columns while the new ones only follow.
func TestStepsNameShardsThatServe(t *testing.T) {
	moments := map[string]int{}
	for seed := range uint64(500) {
		h := Generate(seed, 40, nil)
		for _, wrong := range resharded(h, moments) {
			t.Errorf("seed %d: %s", seed, wrong)
		}
		if t.Failed() {
			t.Fatal(h)
		}
	}
	for _, moment := range []string{"between syncs", "in a sync", "second", "after a second without complete", "judged before complete", "complete"} {
		if moments[moment] == 0 {
			t.Errorf("there is no reshard %s: %v", moment, moments)
		}
	}
}

// resharded says what is wrong with a history's shards, and counts when they change.
func resharded(h History, moments map[string]int) (wrong []string) {
	var following, former []string
	serving, keyspace, reading, last, n := divisions[0], "", false, "", 0
	for _, s := range h {
		object := func(why string) { wrong = append(wrong, s.String()+": "+why) }
		shard := ""
		switch s.Verb {
		case "keyspace":
			keyspace = s.Word(0)
		case "start":
			reading = true
		case "kill", "term", "finish", "judge":
			reading = false
		case "direct", "idle", "purge":
			shard = s.Word(0)
		case "ddl":
			shard = s.Option("in")
		case "reshard":
			from, to := strings.Split(s.Word(0), ","), strings.Split(s.Word(2), ",")
			if following != nil || s.Word(1) != "to" || len(s.Words) != 3 {
				object("not now, or not so")
			}
			if len(without(from, serving)) > 0 || len(Overlapping(to, former)) > 0 && len(without(to, former)) < len(to) {
				object("these do not serve, or those exist")
			}
			following = append(without(serving, from), to...)
			former = append(former, from...)
			slices.Sort(following)
			if parts := Parts("-", following); !slices.Equal(parts, following) {
				object("the key range is not the same")
			}
			if n++; n > 1 {
				moments["second"]++
				if len(former) > len(from) {
					moments["after a second without complete"]++
				}
			}
			moments[map[bool]string{true: "in a sync", false: "between syncs"}[reading]]++
		case "switch":
			if following == nil {
				object("nothing follows")
			}
			serving, following = following, nil
		case "complete":
			if former == nil || following != nil {
				object("nothing to remove")
			}
			former = nil
			moments["complete"]++
			if last == "judge" {
				moments["judged before complete"]++
			}
		case "table", "fault", "reparent", "errant":
			if following != nil {
				object("while new shards follow")
			}
		}
		if shard != "" && keyspace == sharded && !slices.Contains(serving, shard) {
			object("serving are " + strings.Join(serving, " "))
		}
		if following != nil && (s.Verb == "ddl" || s.Verb == "direct") {
			object("while new shards follow")
		}
		last = s.Verb
	}
	if following != nil {
		wrong = append(wrong, "the new shards never serve")
	}
	return wrong
}

func TestParts(t *testing.T) {
	for _, c := range []struct{ shard, serving, parts, overlapping string }{
		{"-80", "-80 80-", "-80", "-80"},
		{"-80", "-40 40-80 80-", "-40 40-80", "-40 40-80"},
		{"-80", "-", "", "-"},
		{"-80", "-40 40-c0 c0-", "", "-40 40-c0"},
		{"80-", "-80 80-c0 c0-", "80-c0 c0-", "80-c0 c0-"},
		{"-", "-40 40-80 80-", "-40 40-80 80-", "-40 40-80 80-"},
		{"40-80", "-80 80-", "", "-80"},
	} {
		serving := strings.Fields(c.serving)
		if got := Parts(c.shard, serving); !slices.Equal(got, strings.Fields(c.parts)) {
			t.Errorf("%s in %s: the parts are %v", c.shard, c.serving, got)
		}
		if got := Overlapping([]string{c.shard}, serving); !slices.Equal(got, strings.Fields(c.overlapping)) {
			t.Errorf("%s in %s: %v overlap", c.shard, c.serving, got)
		}
	}
}

func TestShrinkKeepsAReshard(t *testing.T) {
	h, err := Parse("keyspace customer\nsource\njudge\nreshard -80 to -40,40-80\nsync\nswitch held=2000\nidle 40-80\ncomplete\njudge\n")
	if err != nil {
		t.Fatal(err)
	}
	fails := func(h History) bool {
		at := func(verb string) int { return slices.IndexFunc(h, func(s Step) bool { return s.Verb == verb }) }
		return at("reshard") >= 0 && at("reshard") < at("switch") && h[len(h)-1].Verb == "judge"
	}
	small := Shrink(h, fails, func() bool { return true })
	if want := "reshard -80 to -40,40-80\nswitch held=2000\njudge\n"; small.String() != want {
		t.Errorf("got\n%s", small)
	}
}
