package vstream

import "time"

const (
	// large is the size in bytes from which messages are handled one after another: a row and what it is converted to take several times
	// as much.
	large = 32 << 20
	// patience is how long a large message waits for that of another stream. After that, both are handled at once, so that a stream does
	// not wait forever for one whose owner is waiting, too.
	patience = time.Minute
)

// turn is one stream's part in handling the large messages of a client's streams one after another: from before they are decompressed
// until their owner is done with them, and has written the resulting records. Other messages do not wait.
type turn struct {
	all   chan struct{} // the client's
	has   bool
	watch *watch
	done  <-chan struct{} // closed when the stream is no longer needed
}

// await waits for the turn if a message of that size needs one. It is called while a message is received.
func (t *turn) await(size int) {
	if size < large || t.has {
		return
	}
	t.watch.stop() // the stream is not silent
	defer t.watch.start()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case t.all <- struct{}{}:
		t.has = true
	case <-late.C:
	case <-t.done:
	}
}

// take passes the turn on to the received message, if it has it.
func (t *turn) take() bool {
	has := t.has
	t.has = false
	return has
}

// giveBack passes on the turn that a message has.
func (t *turn) giveBack(m *message) {
	if m.turn {
		m.turn = false
		<-t.all
	}
}
