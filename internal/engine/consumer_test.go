package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/state"
)

// The platform reads nothing for longer than timeout_seconds, while heartbeats are received: the server did not stall.
func TestSlowConsumerIsNoStall(t *testing.T) {
	t.Parallel()
	r := newRig(t, 6, nil)
	r.cfg.TimeoutSeconds = 1
	slow := &slowWriter{w: &r.out, began: make(chan struct{}), goOn: make(chan struct{})}
	goOn := sync.OnceFunc(func() { close(slow.goOn) })
	r.stream = func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(begin(7, 0), fields(7, "users"), rowOf(7, "users", nil, []string{"1", strings.Repeat("x", slowBytes+10)}))
		<-slow.began
		for began := time.Now(); time.Since(began) < 2*r.cfg.Timeout(); {
			send(fakevtgate.Heartbeat())
			select {
			case <-done:
				return nil
			case <-time.After(50 * time.Millisecond):
			}
		}
		goOn()
		send(fakevtgate.Heartbeat())
		send(rowOf(7, "users", nil, []string{"2", "a"}), script.VGTID(6, nil), commit(7))
		return hold(done)
	}
	r.w = airbyte.NewWriter(slow)
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	out := r.must()
	if n := len(r.requests()); n != 1 {
		t.Errorf("%d streams were opened, %d records", n, len(out.Records))
	}
}

// slowBytes are more than a reader collects before it writes.
const slowBytes = 1 << 20

// slowWriter blocks at its first long text until it may continue.
type slowWriter struct {
	w           io.Writer
	began, goOn chan struct{}
	slow        bool
}

func (s *slowWriter) Write(p []byte) (int, error) {
	if len(p) > slowBytes && !s.slow {
		s.slow = true
		close(s.began)
		<-s.goOn
	}
	return s.w.Write(p)
}

func TestStdoutThatClosesBeforeTheFirstRecordEndsTheSync(t *testing.T) {
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(begin(7, 6), fields(7, "users"), rowOf(7, "users", nil, []string{"1", "a"}))
		return hold(done)
	})
	r.w = airbyte.NewWriter(&closing{w: &r.out})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := r.sync().Run(ctx)
	if !errors.Is(err, airbyte.ErrWrite) || len(r.requests()) > 1 {
		t.Error("a closed stdout was retried")
	}
}

// closing fails from the first STREAM_STATUS RUNNING on, like a closed stdout.
type closing struct{ w io.Writer }

func (c *closing) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(`"RUNNING"`)) {
		return 0, errors.New("broken pipe")
	}
	return c.w.Write(p)
}
