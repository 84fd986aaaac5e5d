package engine

import (
	"errors"
	"slices"
	"testing"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/state"
)

// A state that cannot be saved, such as one whose cursor cannot grow any more, fails only its own stream, wherever that is noticed: in a
// checkpoint, at the end, or if there is nothing to read.
func TestStateThatCannotBeSavedFailsItsStreamAlone(t *testing.T) {
	for name, c := range map[string]struct {
		saved      state.Shard
		checkpoint int // seconds
		records    []string
	}{
		"at the end":      {state.Shard{Position: at(5)}, 300, []string{"others 9:x", "users 9:x"}},
		"in a checkpoint": {state.Shard{Position: at(5)}, 0, []string{"others 9:x", "users 7:x"}},
		"in a copy":       {state.Shard{Copy: &state.Copy{}}, 300, []string{"others 9:x"}},
		"up to date":      {state.Shard{Position: at(9)}, 300, []string{"others 9:x"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 9, func(q *request, send func(...*event), done <-chan struct{}) error {
				if q.Vgtid.ShardGtids[0].Gtid == "" {
					copyOf(send, "users", 9)
					return hold(done)
				}
				if slices.Contains(tablesIn(q), "users") && c.checkpoint == 0 {
					send(insert(7, "users")...)
				}
				send(insert(9, tablesIn(q)...)...)
				return hold(done)
			})
			r.cfg.CheckpointIntervalSeconds = c.checkpoint
			users := &state.Stream{Cursor: 1<<53 + 1, Columns: testTable("users").Columns, Shards: map[gtid.Shard]*state.Shard{in("-"): &c.saved}}
			r.addStream(testTable("users"), airbyte.Incremental, users)
			r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
			out, err := r.run()
			if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 1 || out.Errors[0].Stream.Name != "users" || out.Errors[0].FailureType != "system_error" {
				t.Errorf("error %v, traces %+v", err, out.Errors)
			}
			if got := rowsByTable(out); !slices.Equal(got, c.records) || out.Statuses[streamNamed("users")] != "INCOMPLETE" {
				t.Errorf("records %v, statuses %v", got, out.Statuses)
			}
			if last := lastOf(t, out.States, "others"); !last.Position.Equal(at(9)) {
				t.Errorf("others are at %s", last.Position)
			}
			if slices.ContainsFunc(out.States, func(s destination.State) bool { return s.Stream.Name == "users" }) {
				t.Error("a state of users was saved")
			}
		})
	}
}
