package vstream

import (
	"errors"
	"sync/atomic"
	"time"
)

// Silence is how long a stream may be silent, without even heartbeats, before it is dropped as dead: a vttablet that was killed, or a
// connection left half-open, shows no other sign.
const Silence = 30 * time.Second

// ErrSilent reports that a stream sent no packet for Silence.
var ErrSilent = errors.New("the stream fell silent")

// trickle is how many bytes within Silence count as a part of a message, and not as the frames by which gRPC maintains a connection: the
// answers to its pings are less than a hundred bytes each.
const trickle = 16 << 10

// notListening is the value of a watch's heard while the stream's owner is busy.
const notListening = -1

// watch calls silent if a stream that is being read sends nothing: no message, and no part of one.
type watch struct {
	limit    time.Duration
	received *atomic.Int64 // bytes of the connection
	silent   func()
	heard    atomic.Int64 // of received, when the timer was set
	timer    *time.Timer
}

func newWatch(limit time.Duration, received *atomic.Int64, silent func()) *watch {
	w := &watch{limit: limit, received: received, silent: silent}
	w.heard.Store(notListening)
	w.timer = time.AfterFunc(limit, w.ring)
	return w
}

func (w *watch) start() {
	w.heard.Store(w.received.Load())
	w.timer.Reset(w.limit)
}

func (w *watch) stop() {
	w.heard.Store(notListening)
	w.timer.Stop()
}

func (w *watch) ring() {
	heard, now := w.heard.Load(), w.received.Load()
	switch {
	case heard == notListening:
	case now-heard < trickle:
		w.silent()
	case w.heard.CompareAndSwap(heard, now): // otherwise it was stopped, or restarted
		w.timer.Reset(w.limit)
	}
}
