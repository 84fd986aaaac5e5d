package partition

import (
	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/record"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// Partition is one stream in one shard.
type Partition struct {
	Stream *Stream
	Shard  gtid.Shard
	Origin record.Origin // of its records
	// Expected is how many rows its copy will have by the server's estimate, 0 if unknown. For a copy that is Resumed after a key, it is
	// the whole table's: at most that many are sent.
	Expected int64
	Resumed  bool
	reported record.Count // at the last report

	// From is what it already has: transactions contained in it are skipped.
	From gtid.Position
	witness
	View
}

func newPartition(s *Stream, shard gtid.Shard) *Partition {
	return &Partition{
		Stream: s, Shard: shard, Origin: record.Origin{Stream: s.Records, Shard: shard},
		View: View{stream: s, shard: shard, Table: s.Table},
	}
}

// Expect records how many rows the server estimates for the table in the shard. None of it has been read yet.
func (p *Partition) Expect(rows int64) { p.Expected, p.Resumed = rows, p.Saved().Copy.LastPK != nil }

// Name is the table's name.
func (p *Partition) Name() string { return p.Stream.Table.Name }

// Saved is its saved state. Only its reader changes it, and others read it under a Tx.
func (p *Partition) Saved() *state.Shard { return p.Stream.state.Shards[p.Shard] }

// Key is the table's key as last queried.
func (p *Partition) Key() table.Key { return table.KeyOf(p.Table) }

// Read prepares it for reading: it has everything up to a position, and the changes to be read have a layout.
func (p *Partition) Read(from gtid.Position, layout table.Layout) {
	p.From, p.View = from, View{stream: p.Stream, shard: p.Shard, Table: p.Stream.Table, layout: layout, reached: layout}
}

// StartCopy records that the copy begins with the first row, from a snapshot at that position. Changes cannot be replicated from it until
// the copy is complete.
func (p *Partition) StartCopy(_ *airbyte.Tx, at gtid.Position) {
	if !p.Stream.Incremental() {
		return
	}
	saved := p.Saved()
	p.testify(saved, !saved.Begun()) // otherwise the destination has rows of the table that it was before
	saved.Copy.Start(at, p.layout)
}

// Advance moves the saved state to the position of the reader of its changes, never back, and reports whether there is something new to
// save. A copy that waits for the shards that replaced this one stays unchanged. atTarget reports that the position is the one at which
// the sync queried the columns.
func (p *Partition) Advance(_ *airbyte.Tx, at gtid.Position, atTarget bool) bool {
	saved := p.Saved()
	if saved.Copy != nil || !at.Contains(p.From) || at.Equal(saved.Position) {
		return false
	}
	layout := p.layout
	if atTarget {
		layout.Reach()
	}
	saved.Position, saved.Layout = at, layout
	p.testify(saved, atTarget)
	return true
}

// AdvanceCopy moves the saved state to the key that the copy has reached, if it can resume after it.
func (p *Partition) AdvanceCopy(_ *airbyte.Tx, at gtid.Position, last *querypb.QueryResult) {
	if saved := p.Saved(); p.Key().Resumes(last) {
		saved.Position, saved.Layout, saved.Copy.LastPK = at, p.layout, last
	}
	p.forgetSnapshot()
}

// CompleteCopy records that the copy is complete at that position, from which to replicate.
func (p *Partition) CompleteCopy(_ *airbyte.Tx, at gtid.Position) {
	saved := p.Saved()
	again := saved.Copy.Restarted // what was changed since the first attempt has yet to be read
	saved.Complete(at, p.layout)
	p.testify(saved, !again)
	p.forgetSnapshot()
}

// forgetSnapshot removes the position of a full refresh: a snapshot is not followed by changes.
func (p *Partition) forgetSnapshot() {
	if !p.Stream.Incremental() {
		p.Saved().Position = gtid.Position{}
	}
}

// Replace records that the shard was read up to the journal that says where the shards that replaced it continue. again reports that an
// earlier sync had already read it up to there.
func (p *Partition) Replace(_ *airbyte.Tx, moved map[gtid.Shard]gtid.Position) (again bool) {
	saved := p.Saved()
	again = saved.Moved != nil
	saved.Moved, saved.Layout = moved, p.layout
	return again
}

// Forget records that its position is no longer usable: it is copied from the first row. The readers of the stream's other shards look up
// theirs in the meantime, so the map itself is not changed.
func (p *Partition) Forget(*airbyte.Tx) { *p.Saved() = state.Shard{Copy: &state.Copy{}} }

// Confine replaces its saved positions by what they mean.
func (p *Partition) Confine(_ *airbyte.Tx, to func(gtid.Position) gtid.Position) {
	saved := p.Saved()
	if saved == nil {
		return
	}
	saved.Position = to(saved.Position)
	if saved.Copy != nil {
		saved.Copy.Oldest = to(saved.Copy.Oldest)
	}
}

// UpToDate records that it is at the position at which the sync queried the columns.
func (p *Partition) UpToDate(*airbyte.Tx) {
	p.Saved().Layout.Reach()
	p.testify(p.Saved(), true)
}

// Report returns its counts, and those at the previous call of Report. Only the reporting goroutine calls it.
func (p *Partition) Report() (now, before record.Count) {
	now, before = p.Origin.Count(), p.reported
	p.reported = now
	return now, before
}
