package reader

import (
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/table"
	"source-planetscale/internal/wire"
)

// candidate is a position that becomes the reader's at the next boundary.
type candidate struct {
	gtid    string // "" for none
	key     *querypb.QueryResult
	copying bool // the server is copying, after the key if there is one
}

// after is the position that results from the candidate and the one before, zero if the candidate has none.
func (c candidate) after(at gtid.Position) (gtid.Position, error) {
	if c.gtid == "" {
		return gtid.Position{}, nil
	}
	return at.Follow(c.gtid)
}

// vgtid records a position. Those of a copy are decoded; of the others there is one per transaction.
func (s *session) vgtid(ctx context.Context, ev *wire.Event) error {
	if shard, at, ok := ev.Position(); ok {
		return s.reaches(ctx, string(shard) == s.shard.Name, candidate{gtid: string(at)})
	}
	m, err := ev.Message()
	if err != nil {
		return err
	}
	shards := m.Vgtid.GetShardGtids()
	if len(shards) != 1 {
		return s.reaches(ctx, false, candidate{})
	}
	next := candidate{gtid: shards[0].Gtid}
	if pks := shards[0].TablePKs; len(pks) > 0 {
		next.copying, next.key = true, pks[0].Lastpk
		if s.copying != nil {
			next.key = table.Describe(next.key, s.copying.described.fields)
		}
	}
	return s.reaches(ctx, shards[0].Shard == s.shard.Name, next)
}

func (s *session) reaches(ctx context.Context, ours bool, next candidate) error {
	if !ours {
		return ReplacedMeanwhile(s.shard)
	}
	s.next = next
	if err := checkCopied(ctx, s); err != nil {
		return err
	}
	switch {
	case s.copying == nil || next.copying:
		return nil
	case s.at.IsZero():
		return s.copyStarted(ctx)
	case s.replaying:
		return errRestart() // the server has dropped the copy, and will not complete it
	}
	return nil
}

// ReplacedMeanwhile reports that the shard was split or merged during the sync, which looks for the new ones only at its start.
func ReplacedMeanwhile(shard gtid.Shard) error {
	return failure.Transient("the next attempt reads the new shards", "Shard %s of keyspace %s was split or merged while it was read", shard.Name, shard.Keyspace).
		Do(failure.GiveUp)
}

// copyStarted saves the position of a copy's snapshot before its first row. Changes cannot be replicated from it until the copy is
// complete.
func (s *session) copyStarted(ctx context.Context) error {
	if s.exist == nil { // there was no description of columns
		if err := askServing(ctx, s); err != nil {
			return err
		}
	}
	// vtgate also copies from a shard that no longer serves. The position would be past the journal, a dead end.
	if !slices.Contains(s.exist, s.shard) {
		return ReplacedMeanwhile(s.shard)
	}
	at, err := s.at.Follow(s.next.gtid)
	if err != nil {
		return err
	}
	s.at = at
	s.moves()
	p := s.tables.only()
	if !at.Equal(s.target) && p.Witnessed() {
		now, err := s.env.Incarnations(ctx, s.shard, []string{p.Name()})
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			now = nil // the sync can do without
		}
		p.Identify(now[p.Name()])
	}
	return s.commit(ctx, func(tx *airbyte.Tx) error {
		p.StartCopy(tx, at)
		return p.Stream.Put(tx)
	})
}

func askServing(ctx context.Context, s *session) (err error) {
	s.exist, err = s.env.Serving(ctx)
	return err
}

// mostRepeats is how often a stream may send, without anything new in between, transactions that it has already sent.
const mostRepeats = 10

// committed handles the end of a transaction. vttablet sends no position for one that ends in a COMMIT statement: an empty one, or one of
// tables without transactions. The position comes from the transaction's own GTID (since Vitess 23); otherwise see count.
func (s *session) committed() error {
	switch {
	case s.next.gtid != "" || s.copying != nil || !s.replaying:
		return nil
	case s.eventGTID == "":
		if s.counted {
			s.nameless, s.counted = 0, false
		}
		s.nameless++
		s.unnamed = 0
		return nil
	}
	own, err := gtid.Parse(s.eventGTID)
	if err != nil {
		return err
	}
	s.next = candidate{gtid: s.at.Union(own).String()}
	if !s.at.Contains(own) {
		return nil
	}
	// Seen on Vitess 24: vtgate begins again where the last position was sent, and counts consecutive errors, but this transaction between
	// two errors makes it start counting anew. A stream from here on shows the error.
	if s.repeats++; s.repeats > mostRepeats {
		if server, _, _ := strings.Cut(own.GTIDSet(), ":"); !s.env.Settings.Primary {
			s.own = s.at.Of(server)
		}
		return failure.Transient("", "The stream of %s in shard %s sends the same transaction again and again, probably because VTGate cannot read the next one",
			s.tables.descriptors(), s.shard.Name)
	}
	return nil
}

// mostSilence is how long vtgate may be silent before it sends a transaction again, or ends the stream: after an error it looks for a
// tablet for 90 s (tabletPickerContextTimeout, Vitess 22).
const mostSilence = 100 * time.Second

// mostSteps is how many streams are opened, each after some seconds without an event, to end at the target.
const mostSteps = 10

// count concludes, once the server is silent, from transactions that ended without a position. Several may be the same one: vtgate begins
// again after an error. The first is certain, if no replica can have sent one of its own, and a stream that starts after it shows the
// next. Otherwise there must be as many as the target is ahead, and a silence that is longer than vtgate takes to begin again; those after
// a silence are counted anew.
func count(s *session) error {
	s.counted = true
	if s.next.gtid != "" || s.copying != nil || s.nameless == 0 {
		return nil
	}
	lacks := s.at.Lacks(s.target)
	first, certain := s.at.First(s.target)
	switch certain = certain && s.env.Settings.Primary; {
	case certain && lacks == 1, lacks <= s.nameless && s.unnamed > mostSilence:
		s.next = candidate{gtid: s.at.Union(s.target).String()}
	case certain && lacks <= mostSteps:
		s.next = candidate{gtid: s.at.Union(first).String()}
		if err := s.pass(); err != nil {
			return err
		}
		return failure.Transient("", "The stream of %s in shard %s has sent transactions that may be one that it sent again; the next are read by another stream",
			s.tables.descriptors(), s.shard.Name)
	}
	return nil
}

// boundary is a point where a position may be saved: between transactions.
func (s *session) boundary(ctx context.Context) (done bool, err error) {
	if err := s.pass(); err != nil {
		return false, err
	}
	s.saved.passed++
	if s.arrived() {
		return true, nil
	}
	if s.former != nil {
		if err := s.former.check(s.at, s.target, s.env.Settings.Primary); err != nil {
			return false, err
		}
	}
	if s.saved.due(s.batch.Size() + s.queue.Bytes()) {
		return false, s.checkpoint(ctx)
	}
	if time.Since(s.checked) >= askPause {
		s.checked = time.Now()
		return false, s.checkTarget(ctx) // the next checkpoint may be an hour away
	}
	return false, nil
}

// pass makes the candidate the position.
func (s *session) pass() error {
	if s.next.gtid == "" {
		return nil
	}
	at, err := s.at.Follow(s.next.gtid)
	if err != nil {
		return err
	}
	if key := s.next.key; s.copying != nil && key != nil {
		former := s.copying.key
		if s.copying.key = key; former == nil {
			s.copying.certain = reached{} // the copy has started over
		}
		if !proto.Equal(former, key) {
			s.moves()
		}
		if former != nil && !table.SameColumns(former, key) {
			s.copying.key = nil // must not resume after the new key, which the table has now
			return errRestart() // the table's key was changed, and rows may have been left out under the new one
		}
	}
	if !at.Equal(s.at) {
		s.repeats, s.waited = 0, 0
		if !s.past.Contains(at) { // otherwise one replica's own transactions come again
			s.movesOn(s.Reader)
		}
	}
	s.at, s.next, s.nameless = at, candidate{}, 0
	if s.copying != nil {
		s.copying.pass(at)
	}
	if s.eventGTID == "" && s.replaying {
		s.tables.reach(at)
	}
	s.bind()
	if s.copying != nil || s.followed != nil {
		s.tables.only().Bound()
	}
	return nil
}

// copyCompleted ends the copy at the last position of its stream; its rows are as of that position or newer.
func (s *session) copyCompleted(ctx context.Context) (done bool, err error) {
	if s.copying == nil {
		return false, nil
	}
	s.transaction = false
	_, err = s.boundary(ctx)
	return err == nil, err
}
