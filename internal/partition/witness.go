package partition

import (
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// witness notices that a table is another one than it was, though no statement in the binary log says so: vttablet does not send those of
// sessions with another default database, nor those that it takes for comments.
type witness struct {
	now                 table.Incarnation
	replaced, explained bool
}

// Witness notes which table it is now.
func (p *Partition) Witness(now table.Incarnation) {
	p.now = now
	if saved := p.Saved(); saved != nil && saved.Copy == nil && p.Stream.Incremental() {
		p.replaced = now.Since(saved.Incarnation) == table.Replaced
	}
}

// Explain is that a statement in the binary log may be the reason.
func (w *witness) Explain() { w.explained = true }

// Unexplained reports whether the table was replaced, and nothing says why.
func (w *witness) Unexplained() bool { return w.replaced && !w.explained }

// testify saves which table it is, where the position is one at which that is known.
func (w *witness) testify(saved *state.Shard, known bool) {
	if (known || w.explained) && len(w.now.IDs) > 0 {
		saved.Incarnation = w.now
	}
}
