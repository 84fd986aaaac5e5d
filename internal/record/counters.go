package record

import (
	"sync/atomic"
	"time"
)

// Counters count what a stream sends in one shard. Only the reader of both adds to them, a run of rows at a time; reports read them in
// the meantime.
type Counters struct {
	copied, replicated atomic.Int64 // records
	wasted             atomic.Int64 // of the copied records; their copy started over
	bytes              atomic.Int64 // of all records
	behind             atomic.Int64 // the age, a time.Duration, of the last change sent, when it was read
}

// Count is the result of Counters.
type Count struct {
	Copied, Replicated int64 // records
	Wasted             int64 // of the copied records; their copy started over
	Bytes              int64 // of all records
	// Behind is the age of the last change sent, when it was read.
	Behind time.Duration
}

// Records is the number of all records.
func (c Count) Records() int64 { return c.Copied + c.Replicated }

// Add adds to the counts; Behind is replaced if changes were sent.
func (c *Counters) Add(n Count) {
	c.copied.Add(n.Copied)
	c.replicated.Add(n.Replicated)
	c.bytes.Add(n.Bytes)
	if n.Replicated > 0 {
		c.behind.Store(int64(n.Behind))
	}
}

// StartOver records that what was copied so far is copied again.
func (c *Counters) StartOver() { c.wasted.Store(c.copied.Load()) }

// Count returns the counts so far.
func (c *Counters) Count() Count {
	return Count{c.copied.Load(), c.replicated.Load(), c.wasted.Load(), c.bytes.Load(), time.Duration(c.behind.Load())}
}
