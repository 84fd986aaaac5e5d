package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/lineage"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// A shard that one sync does not read keeps its position. Each shard has all rows of a reference table, and one is read; when it is no
// longer a reference table, the other shards are copied.
func TestShardsOfAReferenceTable(t *testing.T) {
	saved := func(shards ...string) *state.Stream {
		s := &state.Stream{Columns: testTable("users").Columns, Shards: map[gtid.Shard]*state.Shard{}}
		for _, name := range shards {
			s.Shards[in(name)] = &state.Shard{Position: at(5)}
		}
		return s
	}
	parts := []string{"-40", "40-80", "80-"}
	for name, c := range map[string]struct {
		saved     *state.Stream
		wanted    []string
		reference bool
		kept      []string // shards that keep their positions
		copied    []string
		starting  string   // starting_gtids has this shard, which was split since
		existing  []string // nil for -80 and 80-
		warns     string
	}{
		"a reference table of a split shard": {saved("-80"), []string{"-80", "80-"}, true, []string{"-80"}, nil, "-", nil, ""},
		"all shards are read":                {saved("-80", "80-"), []string{"-80", "80-"}, false, []string{"-80", "80-"}, nil, "", nil, ""},
		"one is not read this time":          {saved("-80", "80-"), []string{"-80"}, false, []string{"-80", "80-"}, nil, "", nil, ""},
		"a new reference table":              {nil, []string{"-80", "80-"}, true, nil, []string{"-80"}, "", nil, ""},
		"a reference table continues":        {saved("-80"), []string{"-80", "80-"}, true, []string{"-80"}, nil, "", nil, ""},
		"it was read from all shards":        {saved("-80", "80-"), []string{"-80", "80-"}, true, []string{"-80"}, nil, "", nil, ""},
		"it was read from the other one":     {saved("80-"), []string{"-80", "80-"}, true, []string{"80-"}, nil, "", nil, ""},
		"its shard is no longer read": {
			saved("-80"),
			[]string{"80-"},
			true, nil,
			[]string{"80-"},
			"", nil,
			"users is copied again: it is a reference table, and shard -80 is no longer read. Rows deleted",
		},
		"no longer a reference table": {saved("-80"), []string{"-80", "80-"}, false, []string{"-80"}, []string{"80-"}, "", nil, ""},
		"one that is not read was split": {
			saved("-80", "80-"),
			[]string{"80-"},
			false,
			[]string{"80-"},
			nil, "", parts,
			"users: shard -80, which is no longer read, was split or merged. If its rows are read again",
		},
		"one that is not read was split, of a reference table": {
			saved("-80"),
			[]string{"80-"},
			true, nil,
			[]string{"80-"},
			"", parts,
			"users: shard -80, which is no longer read, was split or merged.",
		},
		"one that is read in part was split": {saved("-80", "80-"), []string{"40-80"}, false, []string{"-80", "80-"}, nil, "", parts, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 7, nil)
			if r.newShards("-80", "80-"); c.existing != nil {
				r.newShards(c.existing...)
			}
			if c.starting != "" {
				r.configure(fmt.Sprintf(`,"starting_gtids":"{\"shop\":{\"%s\":\"%s\"}}"`, c.starting, at(3)))
			}
			s := &survey{Sync: r.engine().newSync(gtid.Shards("shop", c.wanted...), r.wanted())}
			s.references = map[string]bool{"users": c.reference}
			users := airbyte.ConfiguredStream{
				Stream:   airbyte.Stream{Name: "users", Namespace: "shop", JSONSchema: []byte(`{"properties":{"id":{}}}`)},
				SyncMode: airbyte.Incremental, PrimaryKey: [][]string{{"id"}},
			}
			states := map[airbyte.StreamDescriptor]*state.Stream{}
			if c.saved != nil {
				states[users.Stream.Descriptor()] = c.saved
			}
			refused := s.streamsOf(&airbyte.ConfiguredCatalog{Streams: []airbyte.ConfiguredStream{users}},
				map[string]*table.Table{"users": testTable("users")}, nil, states)
			if len(refused) > 0 || len(s.streams) != 1 {
				t.Fatalf("refused %v", refused)
			}
			var kept, copied []string
			for _, shard := range slices.SortedFunc(maps.Keys(s.streams[0].Saved()), lineage.ByName) {
				if s.streams[0].Saved()[shard].Copy == nil {
					kept = append(kept, shard.Name)
				} else {
					copied = append(copied, shard.Name)
				}
			}
			if !slices.Equal(kept, c.kept) || !slices.Equal(copied, c.copied) {
				t.Errorf("kept %v and copied %v", kept, copied)
			}
			if log := r.out.buf.String(); !strings.Contains(log, c.warns) || c.warns == "" && strings.Contains(log, "WARN") {
				t.Errorf("the log is %s", log)
			}
		})
	}
}
