package source

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/row"
	"source-planetscale/internal/wire"
)

const (
	// jobBytes of rows are encoded by one goroutine at a time: enough to be worth handing over.
	jobBytes = 32 << 10
	// queueBytes of rows may wait while others are looked at.
	queueBytes = 512 << 10
)

// queue holds rows that a reader has looked at, in their order, but has not made records of. That takes most of the time, and
// is done in jobs by the reader and, when it falls behind, by helpers. The rows lie in the stream's responses, which
// are kept as long.
//
// The reader may be past these rows already. So all are encoded before a state is written, or a stream is left.
type queue struct {
	processors int
	filling    *job
	jobs       []*job    // all others, the oldest first
	todo       chan *job // those that nobody has begun
	helpers    atomic.Int32
	bytes      int // of all rows
	spare      []*job
	received   int // responses of the stream
}

// job is what one goroutine encodes into a batch.
type job struct {
	rows  [][]byte // binlogdata.RowChanges
	runs  []run
	bytes int
	read  moment // when the rows were read
	first int    // the response of the first row, by its number
	batch *airbyte.Batch
	err   error
	done  chan struct{}
}

// run is rows of one table in one phase, which are given alike.
type run struct {
	reader   *reader
	table    *tableReader
	plan     *row.Plan
	from, to int     // in the job's rows
	made     *moment // when the rows were changed at the source; nil in a copy until the job is closed, then read
	read     *moment
	position string
	copied   bool // and not replicated
	// The last cursor and number that were set aside before those of these rows.
	cursor, sequence int64
	// What came of them.
	records, withheld int64
	bytes             int64 // of the records
	nulled            []row.Change
}

// todoJobs may wait; one response may have more.
const todoJobs = 64

func newQueue(processors int) *queue {
	return &queue{processors: processors, todo: make(chan *job, todoJobs)}
}

// perRow is how many records may come of a row: an update may be a delete and a new row.
const perRow = 2

// add queues the rows of an event.
func (q *queue) add(u run, rows wire.Rows) error {
	if q.filling == nil {
		q.filling = q.newJob()
		q.filling.first = q.received
	}
	j := q.filling
	if n := len(j.runs); n == 0 || !j.runs[n-1].like(&u) {
		u.from = len(j.rows)
		j.runs = append(j.runs, u)
	}
	var failed error
	for {
		change, err := rows.Next()
		if err != nil || change == nil {
			failed = err
			break
		}
		j.rows = append(j.rows, change)
		j.bytes += len(change)
		q.bytes += len(change)
	}
	j.runs[len(j.runs)-1].to = len(j.rows)
	if j.bytes >= jobBytes {
		q.close()
	}
	return failed
}

func (u *run) like(other *run) bool {
	return u.table == other.table && u.plan == other.plan && u.made == other.made && u.position == other.position
}

func (q *queue) newJob() *job {
	if n := len(q.spare); n > 0 {
		j := q.spare[n-1]
		q.spare = q.spare[:n-1]
		return j
	}
	return &job{batch: airbyte.NewBatch(), done: make(chan struct{}, 1)}
}

// close makes a job of the rows that came since the last one.
func (q *queue) close() {
	j := q.filling
	if j == nil {
		return
	}
	q.filling = nil
	now := time.Now()
	j.read.set(now)
	j.batch.SetTime(now)
	for i := range j.runs {
		u := &j.runs[i]
		if u.read = &j.read; u.made == nil {
			u.made = u.read
		}
		most := perRow * (u.to - u.from)
		u.cursor = u.table.stream.cursors(most, now)
		u.sequence = u.reader.sync.sequence.Add(int64(most)) - int64(most)
	}
	q.jobs = append(q.jobs, j)
	for len(q.todo) == cap(q.todo) {
		q.doOne()
	}
	q.todo <- j
}

// callHelp lets others do jobs, too, until there are no more. It is for a reader that is slower than its stream: else waking
// others costs more than it saves.
func (q *queue) callHelp() {
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

// doOne does the oldest job that nobody has begun, if there is one.
func (q *queue) doOne() bool {
	select {
	case j := <-q.todo:
		j.encode()
		return true
	default:
		return false
	}
}

func (j *job) encode() {
	j.err = nil
	for i := range j.runs {
		if j.err = j.runs[i].encode(j.batch, j.rows); j.err != nil {
			break
		}
	}
	j.done <- struct{}{}
}

func (q *queue) empty() bool { return len(q.jobs) == 0 && q.filling == nil }

// encode makes records of all queued rows.
func (r *reader) encode(ctx context.Context) error {
	for !r.queue.empty() {
		if err := r.encodeOldest(ctx); err != nil {
			return err
		}
	}
	return nil
}

// encodeOldest makes records of the oldest job's rows, and of others while somebody else does that. A table with a row that
// cannot be read ends its stream, as in applyAll.
func (r *reader) encodeOldest(ctx context.Context) error {
	q := r.queue
	if len(q.jobs) == 0 {
		q.close()
	}
	oldest := q.jobs[0]
	for len(oldest.done) == 0 && q.doOne() {
	}
	<-oldest.done
	if oldest.err != nil {
		return r.encodeEach(ctx)
	}
	r.batch.Take(oldest.batch)
	for i := range oldest.runs {
		oldest.runs[i].settle()
	}
	q.bytes -= oldest.bytes
	q.jobs = slices.Delete(q.jobs, 0, 1) // clears the last place, too
	q.recycle(oldest)
	return nil
}

// recycle keeps a job for later.
func (q *queue) recycle(j *job) {
	if len(q.spare) == todoJobs {
		return
	}
	clear(j.rows) // else they would keep the responses that they lie in
	clear(j.runs)
	j.rows, j.runs, j.bytes = j.rows[:0], j.runs[:0], 0
	j.batch.Clear()
	q.spare = append(q.spare, j)
}

// encodeEach does all jobs anew, because a row of the oldest one cannot be read: one run after the other, so that no record of
// a table follows what ends its stream.
func (r *reader) encodeEach(ctx context.Context) error {
	q := r.queue
	q.close()
	for q.doOne() {
	}
	for _, j := range q.jobs[1:] {
		<-j.done
	}
	jobs := q.jobs
	q.jobs, q.bytes = nil, 0 // ending a stream comes here again
	for _, j := range jobs {
		r.batch.SetTime(j.read.time)
		for i := range j.runs {
			u := &j.runs[i]
			if r.tables[u.table.stream.table.Name] != u.table {
				continue // its stream has ended
			}
			err := u.encode(r.batch, j.rows)
			u.settle()
			if err := r.dropIf(ctx, err); err != nil {
				return err
			}
		}
		q.recycle(j)
	}
	return nil
}

// settle adds what came of the rows to what is counted.
func (u *run) settle() {
	s := u.table.stream
	u.table.tally.add(u)
	s.withheld.Add(u.withheld)
	s.nulled.count(u.nulled)
}

// held is how many responses, the last ones, may have rows in the queue.
func (q *queue) held() int {
	oldest := q.filling
	if len(q.jobs) > 0 {
		oldest = q.jobs[0]
	}
	if oldest == nil {
		return 0
	}
	return q.received - oldest.first + 1
}
