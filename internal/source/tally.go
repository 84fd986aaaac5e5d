package source

import (
	"iter"
	"sync/atomic"
)

// tally counts what a stream gives in one shard. Nobody but the one reader of both adds to it, a run of rows at a time;
// reports look at it meanwhile.
type tally struct {
	copied, replicated atomic.Int64 // records
	wasted             atomic.Int64 // of the copied ones; their copy started over
	bytes              atomic.Int64 // of all records
	behind             atomic.Int64 // the age, a time.Duration, of the change given last when it was read

	// Known before anything is read.
	expected int64 // how many rows the copy gives by the server's estimate, 0 if unknown
	resumed  bool  // the copy goes on after a key: it gives only a part of these

	said struct{ copied, replicated int64 } // at the last report
}

func (t *tally) add(u *run) {
	t.bytes.Add(u.bytes)
	if u.copied {
		t.copied.Add(u.records)
		return
	}
	t.behind.Store(int64(max(0, u.read.time.Sub(u.made.time))))
	t.replicated.Add(u.records)
}

// startOver notes that what was copied so far is copied again.
func (t *tally) startOver() { t.wasted.Store(t.copied.Load()) }

// tally returns the stream's tally of a shard.
func (s *stream) tally(shard string) *tally {
	t, _ := s.tallies.LoadOrStore(shard, &tally{})
	return t.(*tally)
}

// counted are the stream's tallies by shard.
func (s *stream) counted() iter.Seq2[string, *tally] {
	return func(yield func(string, *tally) bool) {
		s.tallies.Range(func(shard, t any) bool { return yield(shard.(string), t.(*tally)) })
	}
}

// given is what the stream has given in all shards.
func (s *stream) given() (records, bytes int64) {
	for _, t := range s.counted() {
		records += t.copied.Load() + t.replicated.Load()
		bytes += t.bytes.Load()
	}
	return records, bytes
}
