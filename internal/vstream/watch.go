package vstream

import (
	"errors"
	"sync/atomic"
	"time"
)

// Silence is how long a stream may say nothing, heartbeats included, before it is given up as dead: a vttablet that was
// killed, or a connection left half-open, shows no other sign.
const Silence = 30 * time.Second

// ErrSilent says that a stream gave no packet for Silence.
var ErrSilent = errors.New("the stream fell silent")

// trickle is how many bytes within Silence are part of a message, not the frames by which gRPC looks after a connection: the
// answers to its pings are less than a hundred bytes each.
const trickle = 16 << 10

// notListening is a watch's heard while the stream's owner is busy.
const notListening = -1

// watch calls silent when a stream that is listened to gives nothing: no message, and no part of one.
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
	case w.heard.CompareAndSwap(heard, now): // else it was stopped, or started anew
		w.timer.Reset(w.limit)
	}
}
