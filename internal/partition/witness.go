package partition

import (
	"fmt"
	"log/slog"

	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// witness notices that a table was replaced although no statement in the binary log says so: vttablet does not send those of sessions
// with another default database, nor those that it treats as comments.
type witness struct {
	now                 table.Incarnation
	replaced, explained bool
}

// Witness records the table's current identity.
func (p *Partition) Witness(now table.Incarnation) {
	p.now = now
	if saved := p.Saved(); saved != nil && saved.Begun() && p.Stream.Incremental() {
		p.replaced = now.Since(saved.Incarnation) == table.Replaced
	}
}

// Witnessed reports whether the table's identity is known.
func (w *witness) Witnessed() bool { return len(w.now.IDs) > 0 }

// Identify records the identity that the table has since a copy of it began, later than the sync: no statement that follows explains why
// it is another one than at the beginning. Of an unknown one, nothing is saved.
func (w *witness) Identify(now table.Incarnation) { w.now = now }

// Explain records that a statement in the binary log may be the reason.
func (w *witness) Explain() { w.explained = true }

// WarnUnexplained warns that the table was replaced, if nothing explains it. Call it before a state with the table's new identity is
// written, because no later sync can notice it. After a copy that started over, the explanation may still arrive.
func (p *Partition) WarnUnexplained(log *slog.Logger) {
	if c := p.Saved().Copy; c != nil && c.Restarted {
		return
	}
	if p.replaced && !p.explained {
		p.replaced = false
		log.Warn(fmt.Sprintf("Table %s in shard %s, or one of its partitions, was replaced since the last sync, and no statement in the binary log says why: it was truncated, exchanged or recreated by a session that Vitess does not follow, or it was rebuilt. If that removed rows, they are still in the destination; refresh the stream.", p.Stream.Descriptor, p.Shard.Name))
	}
}

// testify saves the table's identity, if it is known at the position. After a statement that may be the reason for another one, the
// former is worth nothing.
func (w *witness) testify(saved *state.Shard, known bool) {
	if w.explained || known && w.Witnessed() {
		saved.Incarnation = w.now
	}
}
