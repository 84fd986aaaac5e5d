package source

import (
	"strings"
	"testing"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/state"
)

// The server has fewer transactions than the state. A replica may lag; a primary was set back, unless it is about to commit.
func TestPositionAheadOfTheServers(t *testing.T) {
	for name, c := range map[string]struct {
		replica bool
		commits bool
		want    string
	}{
		"primary":                 {want: "shard - no longer has some of its transactions"},
		"primary about to commit": {commits: true},
		"replica":                 {replica: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 6, nil)
			if c.commits {
				r.stands = 9 // after the sync peeked
			}
			r.sync.cfg.UseReplica = c.replica
			r.sync.aheadUntil = time.Now().Add(aheadPoll) // instead of aheadPatience
			r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(9)})
			failures := map[airbyte.StreamDescriptor]*failure{}
			if err := r.sync.checkPositions(t.Context(), nil, failures); err != nil {
				t.Fatal(err)
			}
			f := failures[airbyte.StreamDescriptor{Name: "users", Namespace: "shop"}]
			switch {
			case c.want == "" && (f != nil || len(r.sync.streams) != 1):
				t.Errorf("the stream fails: %v", f)
			case c.want != "" && (f == nil || f.kind != airbyte.ConfigError || !strings.Contains(f.message, c.want)):
				t.Errorf("the failure is %v", f)
			}
			if warned := strings.Contains(r.out.buf.String(), "is behind a saved position"); warned != c.replica {
				t.Errorf("a lag is told: %v", warned)
			}
		})
	}
}
