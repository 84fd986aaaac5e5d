package record

import (
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/crash"
)

// job is what one goroutine encodes into a batch.
type job struct {
	rows  [][]byte // binlogdata.RowChanges
	runs  []Run
	bytes int
	read  Moment // when the rows were read
	first int    // the response of the first row, by its number
	batch *airbyte.Batch
	err   error
	done  chan struct{}
	// taken reports that done was received; next is the run with which Take continues if it takes one after another.
	taken bool
	next  int
}

// close reserves what the records need that has to increase in the order of the rows.
func (j *job) close(now time.Time) {
	j.read.set(now)
	j.batch.SetTime(now)
	for i := range j.runs {
		u := &j.runs[i]
		u.read, u.made = &j.read, u.Made
		if u.made == nil {
			u.made = u.read
		}
		most := perRow * (u.to - u.from)
		s := u.Origin.Stream
		u.cursor = s.Cursors(most, now)
		u.sequence = s.sequence.Add(int64(most)) - int64(most)
	}
}

func (j *job) encode() {
	j.err = crash.Guard(func() error {
		for i := range j.runs {
			if err := j.runs[i].encode(j.batch, j.rows); err != nil {
				return err
			}
		}
		return nil
	})
	j.done <- struct{}{}
}
