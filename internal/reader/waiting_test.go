package reader

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"source-planetscale/internal/failure"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/row"
	"source-planetscale/internal/wire"
)

// A stream of changes that sends nothing may wait for a target that no longer exists, as after a failover on an idle shard: the shard is
// queried every minute, whatever the timeout, and the log says what the sync is waiting for.
func TestStreamThatGivesNothingIsAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		waited, again time.Duration // when the stream is checked
		now           gtid.Position
		err           error
		asked         int
		arrives       bool
		says          string
	}{
		"not yet":                {askPause - time.Second, askPause - time.Second, at(5), nil, 0, false, ""},
		"the target is lost":     {askPause, askPause, at(5), nil, 1, true, "no longer has the position"},
		"it is there":            {askPause, askPause + time.Second, at(9), nil, 1, false, "has sent nothing for 1m0s"},
		"it is lost later":       {askPause, 2 * askPause, at(9), nil, 2, false, "has sent nothing for 1m0s"},
		"no answer":              {askPause, askPause, at(5), errors.New("hangs"), 1, false, "did not report its position"},
		"something was received": {askPause, 0, at(9), nil, 1, false, "has sent nothing for 1m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			users, tab := stream(t, "users")
			r := newRig(io.Discard, at(9), tab)
			var log bytes.Buffer
			r.env.Log = slog.New(slog.NewTextHandler(&log, nil))
			asked := 0
			r.env.Peek = func(context.Context, ...gtid.Shard) (map[gtid.Shard]gtid.Position, error) {
				asked++
				return map[gtid.Shard]gtid.Position{in("-"): c.now}, c.err
			}
			s := r.session(users)
			for _, waited := range []time.Duration{c.waited, c.again} {
				s.waited = waited
				if err := s.checkMoving(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			done, err := s.applyAll(t.Context(), wire.NewResponse(encodeEvents(t, fakevtgate.Heartbeat())))
			if err != nil || done != c.arrives || asked != c.asked {
				t.Errorf("done %v, error %v, queried %d times", done, err, asked)
			}
			if !strings.Contains(log.String(), c.says) || strings.Count(log.String(), "has sent nothing") > 1 || c.says == "" && log.Len() > 0 {
				t.Errorf("log %s", log.String())
			}
			if done && !r.env.Targets.Of(in("-")).Equal(c.now) {
				t.Errorf("the target is %s", r.env.Targets.Of(in("-")))
			}
		})
	}
}

// On a busy shard the next checkpoint may be an hour away. That the target no longer exists is noticed before.
func TestStopIsHeldAgainstThePositionEachMinute(t *testing.T) {
	for name, checked := range map[string]time.Duration{"a minute": askPause, "less": 0} {
		users, tab := stream(t, "users")
		r := newRig(io.Discard, at(9), tab)
		r.env.Peek = func(context.Context, ...gtid.Shard) (map[gtid.Shard]gtid.Position, error) {
			return map[gtid.Shard]gtid.Position{in("-"): at(6)}, nil
		}
		s := r.session(users)
		s.checked = time.Now().Add(-checked)
		other := "MySQL56/" + fakevtgate.UUID + ":1-6,26b1039f-22b6-11ed-b765-0a43f95f28a3:1"
		v := script.VGTID(6, nil)
		v.Vgtid.ShardGtids[0].Gtid = other
		apply(t, s, fakevtgate.Begin(7, 0), v, fakevtgate.Commit(7))
		if moved := s.target.Equal(at(6)); moved != (checked > 0) {
			t.Errorf("%s: the target is %s", name, s.target)
		}
	}
}

// A copy that fails at the same row each time still catches up with newer changes, and a vtgate that keeps retrying it
// does so forever.
func TestCopyThatOnlyCatchesUpIsStuck(t *testing.T) {
	for name, c := range map[string]struct {
		target gtid.Position
		comes  func(*session)
		gone   time.Duration
		stuck  bool
	}{
		"behind the stop":   {at(5), func(s *session) { s.movesOn(s.Reader) }, 0, true},
		"up to the stop":    {at(9), func(s *session) { s.movesOn(s.Reader) }, 0, false},
		"a replicated row":  {at(5), func(s *session) { s.rowCame(row.Replicate) }, 0, true},
		"a copied row":      {at(5), func(s *session) { s.rowCame(row.Copy) }, 0, false},
		"a key":             {at(5), func(s *session) { s.moves() }, 0, false},
		"not for so long":   {at(5), func(s *session) { s.movesOn(s.Reader) }, -time.Minute, false},
		"a patient timeout": {at(5), func(s *session) { s.env.Settings.Timeout = 3 * copyPatience; s.movesOn(s.Reader) }, 0, false},
	} {
		users, tab := stream(t, "users")
		r := newRig(io.Discard, c.target, tab)
		s := r.session(users)
		s.copying = &copying{}
		s.tables.only().copied = true
		s.waits(copyPatience + c.gone)
		c.comes(s)
		s.waits(time.Second)
		v := failure.In(s.checkMoving(t.Context()))
		if (v != nil) != c.stuck || v != nil && v.Action != failure.GiveUp {
			t.Errorf("%s: %v", name, v)
		}
	}
}
