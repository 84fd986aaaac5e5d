package record

import (
	"testing"
	"time"

	"source-planetscale/internal/airbyte"
)

// Between two states no cursor is larger than the first one's, and none repeats, wherever the clock jumps.
func TestCursorsKeepToWhatAStatePromised(t *testing.T) {
	s, err := NewStream(airbyte.StreamDescriptor{Name: "users"}, true, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	start := time.UnixMicro(1_000_000_000)
	s.SetCursor(start.Add(-time.Hour).UnixMicro())
	if !s.Promised() {
		t.Error("the saved state has promised the last cursor")
	}
	last := s.Cursor()
	for _, step := range []struct {
		clock, promise time.Duration // since the start; a promise of a state at that time, 0 for none
		follows        bool          // the cursor is what the clock says
		promised       bool
	}{
		{clock: 0, follows: true},
		{promise: 20 * time.Second, promised: true},
		{clock: 5 * time.Second, follows: true, promised: true},
		{clock: time.Hour, promised: true},
		{clock: -time.Hour, promised: true},
		{clock: 9 * time.Second, promised: true},
		{clock: 2 * time.Hour, promised: true},
		{promise: time.Hour, promised: true},
		{clock: 50 * time.Minute, follows: true, promised: true},
		{clock: 3 * time.Hour, promised: true},
	} {
		if step.promise > 0 {
			s.Promise(start.Add(step.promise).UnixMicro(), 10*time.Second)
			continue
		}
		now := start.Add(step.clock)
		before := s.Cursors(1000, now)
		if before < last || (before == now.UnixMicro()-1) != step.follows || s.Promised() != step.promised {
			t.Errorf("at %s: %d after %d, promised: %v", step.clock, before-start.UnixMicro(), last-start.UnixMicro(), s.Promised())
		}
		last = before + 1000
		if s.Cursor() != last {
			t.Errorf("at %s: the last one is %d", step.clock, s.Cursor())
		}
	}
}
