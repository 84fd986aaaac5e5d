package lineage

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// at is the position after n transactions.
func at(t *testing.T, n int) gtid.Position {
	t.Helper()
	p, err := gtid.Parse(fmt.Sprintf("16b1039f-22b6-11ed-b765-0a43f95f28a3:1-%d", n))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func in(name string) gtid.Shard { return gtid.Shard{Keyspace: "shop", Name: name} }

// What is known of the columns continues with the positions that it belongs to.
func TestNewShardsHaveTheLayoutOfTheFormer(t *testing.T) {
	key := &querypb.QueryResult{Fields: []*querypb.Field{{Name: "id"}}}
	own := []table.Column{{Name: "id", Type: "bigint"}}
	former := func(layout table.Layout, c *state.Copy) *state.Shard {
		return &state.Shard{Position: at(t, 5), Moved: map[gtid.Shard]gtid.Position{in("-80"): at(t, 10), in("-"): at(t, 10)}, Layout: layout, Copy: c}
	}
	one, other, both := table.Layout{Columns: own}, table.Layout{}, table.Layout{Unknown: true}
	for name, c := range map[string]struct {
		former map[string]*state.Shard
		shard  string
		want   *state.Shard
	}{
		"split": {map[string]*state.Shard{"-": former(one, nil)}, "-80", &state.Shard{Position: at(t, 10), Layout: one}},
		"split copy": {map[string]*state.Shard{"-": former(one, &state.Copy{LastPK: key})}, "-80", &state.Shard{
			Position: at(t, 10), Layout: one,
			Copy: &state.Copy{Oldest: at(t, 10), Layout: one, LastPK: key},
		}},
		"begun copy": {map[string]*state.Shard{"-": former(one, &state.Copy{})}, "-80", &state.Shard{Copy: &state.Copy{
			Oldest: at(t, 10), Layout: one,
			Restarted: true,
		}}},
		"merged": {map[string]*state.Shard{"-80": former(one, nil), "80-": former(other, nil)}, "-", &state.Shard{Position: at(t, 10), Layout: both}},
		"merged copies": {
			map[string]*state.Shard{"-80": former(one, &state.Copy{LastPK: key}), "80-": former(other, nil)},
			"-",
			&state.Shard{Copy: &state.Copy{Oldest: at(t, 10), Layout: both, Restarted: true}},
		},
	} {
		before := Shards{}
		for name, shard := range c.former {
			before[in(name)] = shard
		}
		if got := inherited(before, []gtid.Shard{in(c.shard)}, in(c.shard), true, false); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v with the copy %+v", name, got, got.Copy)
		}
	}
}

// A new shard may have rows that no former shard of the state had, because not all were read: those have to be copied.
func TestNewShardsHaveRowsOfShardsThatWereNotRead(t *testing.T) {
	key := &querypb.QueryResult{Fields: []*querypb.Field{{Name: "id"}}}
	for _, c := range []struct {
		read    []string // former shards with a state
		shard   string
		copying bool // they have an unfinished copy
		again   bool // the new shard is copied from its beginning
	}{
		{read: []string{"-80", "80-"}, shard: "-"},
		{read: []string{"-80"}, shard: "-", again: true},
		{read: []string{"80-"}, shard: "-", again: true},
		{read: []string{"-40", "40-80"}, shard: "-80"},
		{read: []string{"40-80"}, shard: "-80", again: true},
		{read: []string{"-40", "80-c0", "c0-"}, shard: "-", again: true},
		{read: []string{"-40", "40-80", "80-c0"}, shard: "-", again: true},
		{read: []string{"-80"}, shard: "-40"},
		{read: []string{"-80"}, shard: "40-80"},
		{read: []string{"-80"}, shard: "40-c0", again: true},
		{read: []string{"-80", "80-"}, shard: "40-c0"},
		{read: []string{"-80"}, shard: "-40", copying: true},
		{read: []string{"-80"}, shard: "40-c0", copying: true, again: true},
	} {
		for _, reference := range []bool{false, true} {
			before := Shards{}
			for _, name := range c.read {
				s := &state.Shard{Position: at(t, 5), Moved: map[gtid.Shard]gtid.Position{in(c.shard): at(t, 10)}}
				if c.copying {
					s.Copy = &state.Copy{LastPK: key}
				}
				before[in(name)] = s
			}
			want := &state.Shard{Position: at(t, 10)}
			switch {
			case c.again && !reference:
				want = &state.Shard{Copy: &state.Copy{Oldest: at(t, 10), Restarted: true}}
			case c.copying:
				want.Copy = &state.Copy{Oldest: at(t, 10), LastPK: key}
			}
			existing := []gtid.Shard{in(c.shard)}
			Inherit(before, existing, true, reference)
			if got := before[in(c.shard)]; !reflect.DeepEqual(got, want) {
				t.Errorf("%s from %v, reference table: %v: %+v with the copy %+v", c.shard, c.read, reference, got, got.Copy)
			}
		}
	}
}

// A former shard that came from several others waits until all of them that are known have been read: their changes come before its own.
func TestFormerShardsDescendOneAfterTheOther(t *testing.T) {
	all := func(names string) (list []gtid.Shard) {
		for _, name := range strings.Fields(names) {
			list = append(list, in(name))
		}
		return list
	}
	// Two workflows: each journal names all targets of its own.
	together := map[string]string{}
	for _, shard := range strings.Fields("-80 80-") {
		together[shard] = "-40 40-80 80-c0 c0-"
	}
	for _, shard := range strings.Fields("-40 40-80 80-c0 c0-") {
		together[shard] = "-30 30-60 60-"
	}
	for _, c := range []struct {
		name, existing string
		saved          string            // shards with a position
		journals       map[string]string // the shards that each shard's journal leads to
		rounds         []string          // the shards that are read together, to their journals
		copied         string            // of the shards that exist, those that are copied
		none           string            // of the shards that exist, those without a state
		reference      bool
	}{
		{
			"split, merged, split", "-40 40-a0 a0-", "-80 80-",
			map[string]string{"-80": "-40 40-80", "80-": "40-", "40-80": "40-", "40-": "40-a0 a0-"},
			[]string{"-80 80-", "40-80", "40-"},
			"", "", false,
		},
		{"merged twice", "-", "-40 40-80 80-", map[string]string{"-40": "-80", "40-80": "-80", "-80": "-", "80-": "-"}, []string{"-40 40-80 80-", "-80"}, "", "", false},
		{"merged, split", "-40 40-", "-80 80-", map[string]string{"-80": "-", "80-": "-", "-": "-40 40-"}, []string{"-80 80-", "-"}, "", "", false},
		{"one part was never read", "-40 40-", "-80", map[string]string{"-80": "-", "-": "-40 40-"}, []string{"-80", "-"}, "-40 40-", "", false},
		{"split together", "-30 30-60 60-", "-80 80-", together, []string{"-80 80-", "-40 40-80 80-c0 c0-"}, "", "", false},
		{"split together, one was never read", "-30 30-60 60-", "-80", together, []string{"-80", "-40 40-80"}, "60-", "", false},
		{"split together, the other was never read", "-30 30-60 60-", "80-", together, []string{"80-", "80-c0 c0-"}, "60-", "-30 30-60", false},
		{"split together, of a reference table", "-30 30-60 60-", "-80", together, []string{"-80", "-40 40-80"}, "", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			shards := Shards{}
			for _, shard := range all(c.saved) {
				shards[shard] = &state.Shard{Position: at(t, 5)}
			}
			existing := all(c.existing)
			var rounds []string
			for {
				Descend(shards, existing, existing, true, c.reference)
				unread := Ancestors(shards, existing)
				if len(unread) == 0 {
					break
				}
				rounds = append(rounds, strings.Join(gtid.Names(unread), " "))
				for _, shard := range unread {
					shards[shard].Moved = map[gtid.Shard]gtid.Position{}
					for _, next := range all(c.journals[shard.Name]) {
						shards[shard].Moved[next] = at(t, 10)
					}
				}
			}
			if !slices.Equal(rounds, c.rounds) {
				t.Errorf("read were %q", rounds)
			}
			Inherit(shards, existing, true, c.reference)
			for _, shard := range existing {
				got := shards[shard]
				none, copied := slices.Contains(all(c.none), shard), slices.Contains(all(c.copied), shard)
				if (got == nil) != none || got != nil && (got.Copy != nil) != copied {
					t.Errorf("shard %s: %+v", shard.Name, got)
				}
			}
		})
	}

	// Of the shards that a former one led to, those without rows of a wanted one are not read.
	some := Shards{in("-"): {Position: at(t, 5), Moved: map[gtid.Shard]gtid.Position{in("-80"): at(t, 10), in("80-"): at(t, 10)}}}
	if Descend(some, all("c0-"), all("-40 40-80 80-c0 c0-"), true, false); some[in("-80")] != nil || some[in("80-")] == nil {
		t.Errorf("with c0- wanted, read are %v", some)
	}

	// The sync that read one of two was killed before it had read the other, and their successor was split before the next.
	shards := Shards{in("-80"): {Position: at(t, 5), Moved: map[gtid.Shard]gtid.Position{in("-"): at(t, 10)}}, in("80-"): {Position: at(t, 5)}}
	if Descend(shards, all("-40 40-"), all("-40 40-"), true, false); shards[in("-")] != nil {
		t.Errorf("shard - does not wait for 80-: %+v", shards[in("-")])
	}
}

// Journals lead to different positions in a shard if traffic went back and forth: one of them is older. Nothing may be skipped.
func TestJournalsThatDisagree(t *testing.T) {
	another, err := gtid.Parse("88b1039f-22b6-11ed-b765-0a43f95f28a3:1-5")
	if err != nil {
		t.Fatal(err)
	}
	five, ten := at(t, 5), at(t, 10)
	for _, c := range []struct {
		name            string
		one, two, three gtid.Position
		want            gtid.Position // zero for a copy
	}{
		{"the first is older", five, ten, ten, five},
		{"the second is older", ten, five, ten, five},
		{"the third is older", ten, ten, five, five},
		{"they agree", ten, ten, ten, ten},
		{"the first has nothing in common with the others", another, ten, ten, gtid.Position{}},
		{"the last has nothing in common with the others", ten, ten, another, gtid.Position{}},
	} {
		to := func(p gtid.Position) *state.Shard {
			return &state.Shard{Position: at(t, 3), Moved: map[gtid.Shard]gtid.Position{in("-"): p}}
		}
		shards := Shards{in("-40"): to(c.one), in("40-80"): to(c.two), in("80-"): to(c.three)}
		Inherit(shards, []gtid.Shard{in("-")}, true, false)
		if got := shards[in("-")]; (got.Copy != nil) != c.want.IsZero() || !got.Position.Equal(c.want) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
