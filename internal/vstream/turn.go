package vstream

import "time"

const (
	// large is from how many bytes on a message is one of few: its row, and what becomes of it, are several times as many.
	large = 32 << 20
	// patience is how long a large message waits for that of another stream. Then both are handled at once, lest a stream wait for ever
	// whose owner does, too.
	patience = time.Minute
)

// turn is one stream's part in that the large messages of a client's streams are handled one after the other: from before they are
// decompressed until their owner is done with them, and has written what became of them. Other messages do not wait.
type turn struct {
	all   chan struct{} // the client's
	has   bool
	watch *watch
	done  <-chan struct{} // closed when the stream is not wanted any more
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

// take hands the turn on to the message received, if it has it.
func (t *turn) take() bool {
	has := t.has
	t.has = false
	return has
}

// giveBack lets the next one have the turn that a message has.
func (t *turn) giveBack(m *message) {
	if m.turn {
		m.turn = false
		<-t.all
	}
}
