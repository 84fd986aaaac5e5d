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
	// Expected is how many rows its copy gives by the server's estimate, 0 if unknown. Of a copy that is Resumed, after a key, it is
	// the whole table's: it gives at most that many.
	Expected int64
	Resumed  bool
	reported record.Count // at the last report

	// From is what it has already: transactions that it holds are skipped.
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

// Expect notes how many rows the server believes the table to have in the shard. Nothing is read of it yet.
func (p *Partition) Expect(rows int64) { p.Expected, p.Resumed = rows, p.Saved().Copy.LastPK != nil }

// Name is the table's.
func (p *Partition) Name() string { return p.Stream.Table.Name }

// Saved is what is saved of it. Only its reader changes that, and others look at it under a Tx.
func (p *Partition) Saved() *state.Shard { return p.Stream.state.Shards[p.Shard] }

// Key is the table's as it was last looked up.
func (p *Partition) Key() table.Key { return table.KeyOf(p.Table) }

// Read prepares it to be read: it has everything up to a position, and the changes to be read have a layout.
func (p *Partition) Read(from gtid.Position, layout table.Layout) {
	p.From, p.View = from, View{stream: p.Stream, shard: p.Shard, Table: p.Stream.Table, layout: layout, reached: layout}
}

// StartCopy notes that the copy begins with the first row, from a snapshot at that position. It is no position to replicate from
// until the copy is complete.
func (p *Partition) StartCopy(_ *airbyte.Tx, at gtid.Position) {
	if !p.Stream.Incremental() {
		return
	}
	saved := p.Saved()
	p.testify(saved, !saved.Begun()) // else rows are at the destination of the table that it was
	saved.Copy.Start(at, p.layout)
}

// Advance moves what is saved to where the reader of its changes is, never back, and reports whether there is something new to say.
// A copy that waits for the shards that replaced this one stays as it is. atTarget says that the position is the one at which the
// sync looked the columns up.
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

// AdvanceCopy moves what is saved to the key that the copy reached, if it can resume after it.
func (p *Partition) AdvanceCopy(_ *airbyte.Tx, at gtid.Position, last *querypb.QueryResult) {
	if saved := p.Saved(); p.Key().Resumes(last) {
		saved.Position, saved.Layout, saved.Copy.LastPK = at, p.layout, last
	}
	p.forgetSnapshot()
}

// CompleteCopy notes that the copy is complete at that position, from where to replicate.
func (p *Partition) CompleteCopy(_ *airbyte.Tx, at gtid.Position) {
	saved := p.Saved()
	again := saved.Copy.Restarted // what was changed since the first attempt is still to be read
	saved.Complete(at, p.layout)
	p.testify(saved, !again)
	p.forgetSnapshot()
}

// forgetSnapshot leaves a full refresh without a position: a snapshot is not followed by changes.
func (p *Partition) forgetSnapshot() {
	if !p.Stream.Incremental() {
		p.Saved().Position = gtid.Position{}
	}
}

// Replace notes that the shard was read to the journal that says where the shards that replaced it continue. again says that an earlier
// sync had read it to there.
func (p *Partition) Replace(_ *airbyte.Tx, moved map[gtid.Shard]gtid.Position) (again bool) {
	saved := p.Saved()
	again = saved.Moved != nil
	saved.Moved, saved.Layout = moved, p.layout
	return again
}

// Forget notes that its position is no longer usable: it is copied from the first row. The readers of the stream's other shards look
// theirs up in the meantime, so that the map stays as it is.
func (p *Partition) Forget(*airbyte.Tx) { *p.Saved() = state.Shard{Copy: &state.Copy{}} }

// Confine changes its saved positions to what is meant by them.
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

// UpToDate notes that it is at the position at which the sync looked the columns up.
func (p *Partition) UpToDate(*airbyte.Tx) {
	p.Saved().Layout.Reach()
	p.testify(p.Saved(), true)
}

// Report is what it has counted, and had when Report was last called. Only the goroutine that reports calls it.
func (p *Partition) Report() (now, before record.Count) {
	now, before = p.Origin.Count(), p.reported
	p.reported = now
	return now, before
}
