package record

import (
	"slices"
	"sync/atomic"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/crash"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/wire"
)

const (
	// jobBytes of rows are encoded by one goroutine at a time: enough to be worth a handover.
	jobBytes = 32 << 10
	// QueueBytes of rows may wait while others are examined.
	QueueBytes = 512 << 10
	// todoJobs may wait; one response may have more.
	todoJobs = 64
	// perRow is how many records a row may result in: an update may be a delete and a new row.
	perRow = 2
)

// Queue holds rows that a reader has examined, in order, but not yet turned into records. That takes most of the time, and is done in
// jobs by the reader and, when it falls behind, by helpers. The rows are part of the stream's responses, which are kept as long.
//
// The reader may already be past these rows. So all of them are taken before a state is written, or a stream is left.
type Queue struct {
	processors int
	filling    *job
	jobs       []*job    // all others, the oldest first
	todo       chan *job // those that nobody has started
	helpers    atomic.Int32
	bytes      int // of all rows
	spare      []*job
	received   int // responses of the stream
	forgotten  map[*Origin]bool
}

// NewQueue returns an empty queue whose rows at most that many processors encode.
func NewQueue(processors int) *Queue {
	return &Queue{processors: processors, todo: make(chan *job, todoJobs), forgotten: map[*Origin]bool{}}
}

// Bytes is the size of all waiting rows.
func (q *Queue) Bytes() int { return q.bytes }

// Empty reports whether no rows wait.
func (q *Queue) Empty() bool { return len(q.jobs) == 0 && q.filling == nil }

// Received records that another response of the stream arrived, which contains the rows that follow.
func (q *Queue) Received() { q.received++ }

// Reopened records that the rows that follow are from another stream. The queue is empty.
func (q *Queue) Reopened() { q.received = 0 }

// Held is how many of the last responses may have rows in the queue.
func (q *Queue) Held() int {
	oldest := q.filling
	if len(q.jobs) > 0 {
		oldest = q.jobs[0]
	}
	if oldest == nil {
		return 0
	}
	return q.received - oldest.first + 1
}

// rowCost is the memory that a row takes besides its bytes: it may have none.
const rowCost = 24

// Add queues rows of an event until enough wait; more reports that the event has others, to be added once some were taken. After an
// error, the rows before the one that cannot be read are queued.
func (q *Queue) Add(u *Run, rows *wire.Rows) (more bool, err error) {
	for q.bytes < 2*QueueBytes {
		if done, err := q.fill(u, rows); done || err != nil {
			return false, err
		}
	}
	return true, nil
}

// fill adds rows to the current job until it is full; done reports that there are no others.
func (q *Queue) fill(u *Run, rows *wire.Rows) (done bool, err error) {
	if q.filling == nil {
		q.filling = q.newJob()
		q.filling.first = q.received
	}
	j := q.filling
	if n := len(j.runs); n == 0 || !j.runs[n-1].like(u) {
		j.runs = append(j.runs, *u)
		j.runs[n].from = len(j.rows)
	}
	for j.bytes < jobBytes {
		var change []byte
		if change, err = rows.Next(); err != nil || change == nil {
			done = true
			break
		}
		j.rows = append(j.rows, change)
		j.bytes += len(change) + rowCost
		q.bytes += len(change) + rowCost
	}
	j.runs[len(j.runs)-1].to = len(j.rows)
	if j.bytes >= jobBytes {
		q.close()
	}
	return done, err
}

func (q *Queue) newJob() *job {
	if n := len(q.spare); n > 0 {
		j := q.spare[n-1]
		q.spare = q.spare[:n-1]
		return j
	}
	return &job{batch: airbyte.NewBatch(), done: make(chan struct{}, 1)}
}

// close turns the rows that arrived since the last job into a job.
func (q *Queue) close() {
	j := q.filling
	if j == nil {
		return
	}
	q.filling = nil
	j.close(time.Now())
	q.jobs = append(q.jobs, j)
	for len(q.todo) == cap(q.todo) {
		q.doOne()
	}
	q.todo <- j
}

// CallHelp lets others do jobs as well, until there are no more. It is for a reader that is slower than its stream: otherwise waking
// others costs more than it saves.
func (q *Queue) CallHelp() {
	if len(q.todo) < 2 || int(q.helpers.Load()) >= q.processors-1 {
		return
	}
	q.helpers.Add(1)
	go func() {
		defer q.helpers.Add(-1)
		for q.doOne() {
		}
	}()
}

// doOne does the oldest job that nobody has started, if there is one.
func (q *Queue) doOne() bool {
	select {
	case j := <-q.todo:
		j.encode()
		return true
	default:
		return false
	}
}

// Forget drops the rows of a stream that has ended: no record may follow its end.
func (q *Queue) Forget(o *Origin) { q.forgotten[o] = true }

// Take moves the records of the oldest rows to the batch, and encodes others while waiting for another goroutine to do that. At a row
// that cannot be read it stops, with the records before it in the batch: its error is a failure.Verdict of the row's table. Once that
// table is forgotten, Take continues after it.
func (q *Queue) Take(b *airbyte.Batch) error {
	if len(q.jobs) == 0 {
		q.close()
	}
	oldest := q.jobs[0]
	if !oldest.taken {
		for len(oldest.done) == 0 && q.doOne() {
		}
		<-oldest.done
		oldest.taken = true
	}
	if oldest.err == nil && oldest.next == 0 && !q.forgets(oldest) {
		b.Take(oldest.batch)
		for i := range oldest.runs {
			oldest.runs[i].settle()
		}
	} else if err := q.takeEach(oldest, b); err != nil {
		return err
	}
	q.bytes -= oldest.bytes
	q.jobs = slices.Delete(q.jobs, 0, 1) // clears the last slot, too
	q.recycle(oldest)
	return nil
}

func (q *Queue) forgets(j *job) bool {
	return len(q.forgotten) > 0 && slices.ContainsFunc(j.runs, func(u Run) bool { return q.forgotten[u.Origin] })
}

// takeEach creates the records of a job again, one run after another, so that none follows what ends its stream.
func (q *Queue) takeEach(j *job, b *airbyte.Batch) error {
	b.SetTime(j.read.time)
	for ; j.next < len(j.runs); j.next++ {
		u := &j.runs[j.next]
		if q.forgotten[u.Origin] {
			continue
		}
		err := crash.Guard(func() error { return u.encode(b, j.rows) })
		if err != nil && failure.In(err) == nil {
			err = u.unreadable(err)
		}
		u.settle()
		if err != nil {
			q.forgotten[u.Origin] = true // its records are already in the batch
			j.next++
			return err
		}
	}
	return nil
}

// recycle keeps a job for reuse.
func (q *Queue) recycle(j *job) {
	if len(q.spare) == todoJobs {
		return
	}
	clear(j.rows) // otherwise they would retain the responses that contain them
	clear(j.runs)
	j.rows, j.runs, j.bytes, j.next, j.taken, j.err = j.rows[:0], j.runs[:0], 0, 0, false, nil
	j.batch.Clear()
	q.spare = append(q.spare, j)
}
