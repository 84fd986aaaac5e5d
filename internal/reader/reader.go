// Package reader reads one VStream at a time: the copy of one table of a shard, the changes of one or more, or the remainder of a shard
// that was split or merged. There is a constructor for each. What a reader needs from the rest of the program is in its Env.
package reader

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/row"
	"source-planetscale/internal/table"
	"source-planetscale/internal/vstream"
)

// flushBytes is the size at which records are written even without a boundary: it limits the memory of a reader.
const flushBytes = 1 << 20

// Env is what a reader needs from the rest of the program.
type Env struct {
	// Open opens a stream from a position that every replica has, and after a replica's own transactions, which the others lack.
	Open func(ctx context.Context, r vstream.Request, own gtid.Position) (*vstream.Stream, error)
	// Peek queries a shard's current position.
	Peek func(context.Context, ...gtid.Shard) (map[gtid.Shard]gtid.Position, error)
	// Serving queries the existing shards.
	Serving func(context.Context) ([]gtid.Shard, error)
	// Tables queries some of a shard's tables by name, as they are now. Without keys, only their columns are queried, which takes a third
	// of the time, and views may be among them.
	Tables func(ctx context.Context, shard gtid.Shard, only []string, keys bool) (map[string]table.Table, error)
	// Sorts returns the server's error if it cannot sort a table as a copy does.
	Sorts func(ctx context.Context, shard gtid.Shard, t *table.Table) error
	// TableAt queries a table, with its keys, from a replica, or from a server that may have a position, if one is given.
	TableAt func(ctx context.Context, shard gtid.Shard, name string, at gtid.Position) (Seen, error)
	// Incarnations distinguish tables of a shard from others that replaced them.
	Incarnations func(ctx context.Context, shard gtid.Shard, tables []string) (map[string]table.Incarnation, error)
	// Migration is one of Vitess' online DDLs, as made in a shard; the zero value if it may not be queried.
	Migration func(ctx context.Context, at gtid.Shard, uuid string) (table.OnlineDDL, error)
	// Targets are where reading of shards ends.
	Targets *Targets
	// End ends a partition, successfully if err is nil. It returns only what ends the whole sync.
	End func(ctx context.Context, p *partition.Partition, err error) error
	// Changed records when the last change read from a shard was made.
	Changed func(gtid.Shard, time.Time)

	Writer   *airbyte.Writer
	Log      *slog.Logger
	Settings Settings
}

// Settings are the parts of the configuration that concern readers.
type Settings struct {
	// Checkpoint is how often progress is saved.
	Checkpoint time.Duration
	// Timeout is how long a stream may send neither a row nor a newer position.
	Timeout time.Duration
	// Primary reports that primaries are read, not replicas.
	Primary bool
	// Processors is how many may encode one reader's rows.
	Processors int
}

// Reader reads one shard's VStream. One goroutine owns it.
type Reader struct {
	shard gtid.Shard
	*output
	path
	// at is the position at the last boundary, target where reading ends.
	at, target gtid.Position
	// copying is set only for a reader of a copy, former only for one of a shard that was split or merged.
	copying *copying
	former  *former

	attempts   int
	past       gtid.Position // what the streams before have reached, together
	progressed bool          // since the stream was opened
	own        gtid.Position // what the server wrote whose transaction the last stream sent again and again: it may be one replica's alone
	done       bool
	again      bool // an earlier sync has already read the shard up to its journal
}

// copying is the state of a copy that is not complete.
type copying struct {
	key       *querypb.QueryResult // at the last boundary
	asked     *querypb.QueryResult // the one after which the stream was to resume; nil for none
	certain   reached              // the last boundary of the copy, as saved or since, whose key every server compares
	back      *querypb.QueryResult // the key to which the last attempts went back
	retreats  int                  // how many of them did
	described description
	seen      Seen // the table before its copy was requested
	restarts  int  // after rows had been sent
	altered   bool // the last one because columns were changed
	refused   bool // the last one because the server refused the key
}

// reached is a boundary of a copy.
type reached struct {
	at  gtid.Position
	key *querypb.QueryResult
}

// pass remembers a boundary if every server compares its key.
func (c *copying) pass(at gtid.Position) {
	if row.Comparable(c.key) {
		c.certain = reached{at, c.key}
	}
}

// last is the boundary to save, at that position or before: a key that servers may refuse to compare is better than none, but does not
// replace one that every server compares.
func (c *copying) last(at gtid.Position) reached {
	if c.key == nil || c.certain.key == nil || row.Comparable(c.key) {
		return reached{at, c.key}
	}
	return c.certain
}

// description is how the server describes the columns of a copy's rows.
type description struct {
	fields []*querypb.Field
	fresh  bool // its position has yet to arrive
}

// Outcome is how a successful attempt ended.
type Outcome int

// The outcomes.
const (
	// Arrived: everything requested has been sent.
	Arrived Outcome = iota
	// Replaced: the shard was split or merged, and all its changes were sent.
	Replaced
)

func newReader(env *Env, shard gtid.Shard) *Reader {
	return &Reader{shard: shard, output: newOutput(env, shard), target: env.Targets.Of(shard)}
}

// Copy reads the copy of a table, from where it was left off.
func Copy(env *Env, p *partition.Partition) *Reader {
	r := newReader(env, p.Shard)
	saved := p.Saved()
	p.Read(gtid.Position{}, saved.Layout)
	r.tables.add(p)
	r.at, r.copying = saved.Position, &copying{key: saved.Copy.LastPK}
	r.copying.pass(r.at)
	if saved.Layout.Differs() {
		r.copying.key = nil // changes of other columns would arrive before the server resumes after the key
	}
	return r
}

// Replicate reads the changes of tables of one shard since a position that all their positions contain.
func Replicate(env *Env, shard gtid.Shard, from gtid.Position, parts []*partition.Partition) *Reader {
	r := newReader(env, shard)
	r.at = from
	for _, p := range parts {
		saved := p.Saved()
		p.Read(saved.Position, saved.Layout)
		r.tables.add(p)
		r.tables.find(p.Name()).began = from
	}
	return r
}

// Former reads a shard that was split or merged up to its journal. The parts have one position.
func Former(env *Env, shard gtid.Shard, parts []*partition.Partition) *Reader {
	r := newReader(env, shard)
	r.former = &former{}
	for _, p := range parts {
		at, layout := p.Saved().Replay()
		r.at = at
		p.Read(gtid.Position{}, layout)
		r.tables.add(p)
	}
	return r
}

// Partitions are those that it is still reading.
func (r *Reader) Partitions() []*partition.Partition { return r.tables.parts() }

// Left are those that it has read to its end, and those that must be read again from their own positions: an older server does not reveal
// which of the received rows they already have, or the stream cannot pass something that may lie before them.
func (r *Reader) Left() (read, again []*partition.Partition) {
	again = r.tables.further
	for _, p := range r.tables.parts() {
		if r.tables.find(p.Name()).missed() {
			again = append(again, p)
		} else {
			read = append(read, p)
		}
	}
	return read, again
}

// What describes what it reads, for messages.
func (r *Reader) What() string {
	return fmt.Sprintf("The stream of %s in shard %s", r.tables.descriptors(), r.shard.Name)
}

// Attempt opens the stream at the reader's position and reads it to its end: the copy's completion, the journal, or the first boundary
// that contains the target. progress reports that another attempt would begin further on.
func (r *Reader) Attempt(ctx context.Context) (o Outcome, progress bool, err error) {
	r.progressed = false
	if r.attempts++; r.attempts > 1 || r.former != nil && r.target.IsZero() {
		if err := r.retarget(ctx); err != nil {
			return Arrived, false, r.judge(err)
		}
	}
	o, err = r.attempt(ctx)
	if err == nil {
		return o, true, nil
	}
	if reason := r.unreadable(err); reason != nil {
		return o, false, unknowable(r.tables.only(), reason)
	}
	if v := notLoaded(ctx, r, err); v != nil {
		return o, r.progressed, v
	}
	if v := alteredMeanwhile(ctx, r, err); v != nil {
		return o, r.progressed, v
	}
	if table := r.tables.blamed(err); table != "" {
		return r.reopen(ctx, table, vstream.Judge(err, r.shard.Keyspace+"."+table, r.shard.Name))
	}
	if r.copying != nil && vstream.KindOf(err) == vstream.BadKey {
		return o, r.copying.retreat(r) && r.progressed, refused(r.tables.only(), err)
	}
	// A copy that will start over has made no progress.
	startsOver := r.copying != nil && !r.resumable()
	return o, r.progressed && !startsOver, r.judge(err)
}

// notLoaded is the verdict on a table that vttablet does not know, unless MySQL reports that it does not exist: vttablet will know it
// soon. A shard that cannot be queried, as in the middle of a reshard, is no proof that its table is gone. nil for another error.
func notLoaded(ctx context.Context, r *Reader, err error) *failure.Verdict {
	name := vstream.NotLoaded(err)
	if name == "" || r.tables.find(name) == nil {
		return nil
	}
	tables, lookErr := r.env.Tables(ctx, r.shard, []string{name}, false)
	if _, exists := tables[name]; lookErr == nil && !exists {
		return nil
	}
	return failure.Transient("try again, or run ReloadSchemaShard on the shard",
		"The tablet that streams %s.%s in shard %s has not loaded the table yet", r.shard.Keyspace, name, r.shard.Name).Because(err).Of(name)
}

// reopen ends the stream of a table that the server could not stream, so that the next attempt runs without it.
func (r *Reader) reopen(ctx context.Context, table string, cause error) (o Outcome, progress bool, err error) {
	progress = r.progressed
	if r.tables.find(table) != nil { // otherwise it has ended here, and the server's stream still had it
		progress = true
		if err := r.drop(ctx, table, cause); err != nil {
			return Arrived, true, err
		}
	}
	return Arrived, progress, failure.Transient("", "One table ended the stream that it shared with others")
}

func (r *Reader) attempt(ctx context.Context) (Outcome, error) {
	switch {
	case r.arrived():
		return Arrived, r.finish(ctx)
	case r.copying == nil && r.at.IsZero(): // vtgate would copy the tables
		return Arrived, failure.System("", "The stream of %s in shard %s cannot be opened without a position", r.tables.descriptors(), r.shard.Name)
	}
	r.rewind()
	if r.copying != nil || r.followed != nil {
		r.tables.only().Rewind()
	}
	// The tables were read along with the peek, which may be long ago for a copy.
	if r.attempts > 1 || r.copying != nil && r.copying.key != nil {
		if err := r.look(ctx, false); err != nil {
			return Arrived, err
		}
	}
	if r.copying != nil && !r.resumable() {
		if err := r.copying.startOver(r.tables.only()); err != nil {
			return Arrived, err
		}
		r.at = gtid.Position{}
	}
	if r.copying != nil {
		if err := r.copying.foresee(ctx, r); err != nil {
			return Arrived, err
		}
	}
	if r.copying != nil {
		r.copying.asked = r.copying.key
	}
	own := r.own
	r.own, r.past = gtid.Position{}, r.past.Union(r.at)
	stream, err := r.env.Open(ctx, r.request(), own)
	if err != nil {
		return Arrived, err
	}
	defer stream.Close()
	s := newSession(r, stream)
	outcome, err := s.listen(ctx)
	if err != nil && !own.IsZero() {
		err = beyond(r, own, err)
	}
	// Whatever ended the stream, the reader is past the rows that arrived before.
	if err := r.encode(ctx); err != nil {
		return Arrived, err
	}
	if err != nil || outcome != Arrived {
		return outcome, err
	}
	return Arrived, r.finish(ctx)
}

// beyond handles the error of a stream that started after one replica's own transactions.
func beyond(r *Reader, own gtid.Position, err error) error {
	switch {
	case vstream.KindOf(err) == vstream.Purged:
		return failure.Transient("", "The stream of %s in shard %s was to start where only one replica can, and another one answered", r.tables.descriptors(), r.shard.Name).
			Because(err)
	case !r.own.IsZero(): // it repeats those of another server
		r.own = r.own.Union(own)
	case vstream.IsUnexplained(err) && !r.progressed: // which must be repeated to be believed
		r.own = own
	}
	return err
}

// mostRestarts is how often a copy that cannot be resumed may start over after rows were sent: it sends them all again each time.
const mostRestarts = 2

// startOver makes the copy begin with the first row.
func (c *copying) startOver(p *tableReader) error {
	if given := p.Origin.Count(); given.Copied > given.Wasted {
		c.restarts++
	}
	if c.restarts > mostRestarts && c.altered {
		return failure.Transient("try again when the change is done", "The columns of %s in shard %s were changed each time it was copied", p.Stream.Descriptor, p.Shard.Name).
			Do(failure.GiveUp)
	}
	if c.restarts > mostRestarts {
		return failure.Config("give the table a primary key of other types, raise the server's limits (vttablet's copy ends after an hour), or leave the table out",
			"The copy of %s in shard %s broke %d times and cannot resume where it stopped, because %s",
			p.Stream.Descriptor, p.Shard.Name, c.restarts, c.whyNot(p))
	}
	c.key, c.altered, c.refused = nil, false, false
	p.Origin.StartOver()
	return nil
}

// whyNot says why the copy cannot resume where it stopped, as the end of a sentence.
func (c *copying) whyNot(p *tableReader) string {
	if c.refused {
		return "the server refused to compare the last key, as MySQL does if it has a zero date"
	}
	return p.Key().WhyNot()
}

// retreat makes the next attempt at a copy resume after the last key that every server compares, or start over if that is what the server
// refused or if several attempts got no further; it reports which. The server may have refused a later key than the last one that was
// asked for, since it also resumes by itself.
func (c *copying) retreat(r *Reader) (resumes bool) {
	saved := r.tables.only().Saved()
	back := c.certain
	if back.key == nil {
		back = reached{saved.Position, saved.Copy.LastPK}
	}
	if !proto.Equal(back.key, c.back) {
		c.back, c.retreats = back.key, 0
	}
	c.retreats++
	if back.key == nil || proto.Equal(back.key, c.asked) || c.retreats > mostRestarts {
		c.key, c.refused = nil, true
		return false
	}
	r.at, c.key = back.at, back.key
	return true
}

// refused is the verdict on a key that the server does not compare.
func refused(p *tableReader, err error) *failure.Verdict {
	return failure.Transient("", "The server refused to compare the key that the copy of %s in shard %s had reached", p.Stream.Descriptor, p.Shard.Name).
		Because(err)
}

// judge gives an error of the stream its verdict. An error that ends the whole sync has none.
func (r *Reader) judge(err error) error {
	if errors.Is(err, airbyte.ErrWrite) || failure.In(err) != nil {
		return err
	}
	if r.former != nil {
		if v := r.former.judge(err); v != nil {
			return v
		}
	}
	if kind := vstream.KindOf(err); kind == vstream.Unreadable || kind == vstream.Purged {
		r.tables.release(r.at)
	}
	v := vstream.Judge(err, r.tables.descriptors(), r.shard.Name)
	if r.copying != nil && !r.resumable() && v.Action == failure.Retry {
		v.Remedy = "the next attempt starts over with the table's first row, because " + r.copying.whyNot(r.tables.only())
	}
	return v
}

// resumable reports whether the server can continue the copy from the reader's position.
func (r *Reader) resumable() bool { return r.tables.only().Key().Resumes(r.copying.key) }

// arrived reports whether all requested changes have been sent.
func (r *Reader) arrived() bool {
	return r.copying == nil && r.former == nil && r.at.Contains(r.target)
}

func (r *Reader) request() vstream.Request {
	req := vstream.Request{Shard: r.shard, Position: r.at, Older: r.known(), Statements: r.scouted != nil}
	for _, name := range r.tables.names {
		req.Tables = append(req.Tables, vstream.Table{Name: name})
	}
	if r.copying == nil {
		return req
	}
	p := r.tables.only()
	req.Tables[0].Columns = p.Selected()
	if req.LastPK = r.copying.key; !p.Stream.Incremental() {
		req.Position = gtid.Position{} // resume after the key without replaying changes
	}
	return req
}

// retarget moves the reader's target if the source no longer has it: after a failover the old position may contain transactions that are
// lost, and would never be reached.
func (r *Reader) retarget(ctx context.Context) error {
	positions, err := r.env.Peek(ctx, r.shard)
	if r.former != nil {
		r.former.reachable = err == nil
	}
	if err != nil {
		return err
	}
	now := positions[r.shard]
	if r.former != nil && r.target.IsZero() {
		r.target = now
	}
	if !now.Contains(r.target) {
		r.env.Log.Warn(fmt.Sprintf("Shard %s no longer has the position at which this sync was to stop, because of a failover or a lagging replica; the sync stops at %s instead.", r.shard.Name, now))
		r.target = now
		r.env.Targets.Move(r.shard, now)
	}
	return nil
}

// look queries the reader's tables again. A copy's snapshot has the columns that they have now, if they had them before it was requested:
// see checkDescribed.
func (r *Reader) look(ctx context.Context, snapshot bool) error {
	return r.lookAt(ctx, slices.Clone(r.tables.names), snapshot)
}

func (r *Reader) lookAt(ctx context.Context, names []string, snapshot bool) error {
	if r.known() {
		return nil // the columns are known from the statements
	}
	tables, err := r.env.Tables(ctx, r.shard, names, r.copying != nil) // a copy resumes by its key
	if err != nil {
		return fmt.Errorf("looking for changed columns: %w", err)
	}
	for _, name := range names {
		t := r.tables.find(name)
		now, exists := tables[name]
		if t == nil || !exists && !t.Given() {
			continue // ended in this loop; or dropped from the database, as its stream will say
		}
		look := t.Look
		if snapshot {
			look = t.Snapshot
		}
		if look(now) {
			continue
		}
		if err := r.dropIf(ctx, misread(r, t, now)); err != nil {
			return err
		}
	}
	return nil
}
