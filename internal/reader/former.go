package reader

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/vstream"
)

// When shards are split or merged, Vitess writes a journal into the binary log of every old shard: it says where the new shards' logs
// continue. A position of an old shard is carried over by reading that shard up to its journal. That works as long as the old shard
// exists.

// former is the state of a reader of a shard that was split or merged.
type former struct {
	reachable bool      // the shard reported its position before the last attempt
	passed    time.Time // when it was first seen to be past its journal
}

// Lost says why a former shard does not lead to those that replaced it: the text continues "its shard … was split or merged and".
func Lost(why string) *failure.Verdict { return failure.Config("", "%s", why).Do(failure.Resync) }

// NoJournal reports that a former shard is a dead end: it was read past its journal, for example by a copy that began while the traffic
// was switched (vtgate copies from shards that no longer serve), or its journal does not name what replaced it.
func NoJournal() *failure.Verdict {
	return Lost("does not record where the new shards continue after the saved position, for example because a copy of it began while traffic was being switched")
}

// judge gives a verdict on errors that mean that the changes are gone; nil for others.
func (f *former) judge(err error) *failure.Verdict {
	switch vstream.KindOf(err) {
	case vstream.NoShard:
		return Lost("no longer exists, and with it the changes since the last sync").Because(err)
	case vstream.Purged:
		return Lost("has purged the binary logs since the last sync").Because(err)
	}
	return nil
}

// GaveUp is the verdict on an error that retries did not overcome. Whether a former shard whose tablets exist, but do not stream from the
// position, has purged its binary logs cannot be queried: vtgate sends no queries to a shard that does not serve. A vtgate before 21 does
// not stream from one either, and does not report it.
func (r *Reader) GaveUp(ctx context.Context, err error) error {
	switch {
	case r.former == nil || err == nil:
		return err
	case r.former.reachable && vstream.IsNoTablet(err):
		return Lost("does not stream from the saved position, probably because its binary logs were purged since the last sync").Because(err)
	case !r.former.reachable && vstream.IsUnanswered(err) && servingAnswer(ctx, r.env):
		return Lost("does not answer, while the shards that replaced it do: a VTGate before Vitess 21 streams from no shard that does not serve").Because(err)
	}
	return err
}

// servingAnswer reports whether the serving shards report their positions, which rules out a hanging VTGate or network.
func servingAnswer(ctx context.Context, env *Env) bool {
	shards, err := env.Serving(ctx)
	if err != nil || len(shards) == 0 {
		return false
	}
	_, err = env.Peek(ctx, shards...)
	return err == nil
}

// journalPatience is how long a replica may lag behind the journal that its primary has written.
const journalPatience = 2 * time.Minute

// check ends reading a former shard which is past its journal: the journal is written before the new shards serve (Vitess'
// SwitchTraffic), so before the shard was found to be a former one, and peeked. The shard itself continues for as long as Vitess writes
// changes back to it.
func (f *former) check(at, target gtid.Position, primary bool) error {
	if target.IsZero() || !at.Contains(target) {
		return nil
	}
	if f.passed.IsZero() {
		f.passed = time.Now()
	}
	if !primary && time.Since(f.passed) < journalPatience {
		return nil
	}
	return NoJournal()
}

// journal ends the reader at its shard's split or merge: at this point all changes of the old shard have been sent.
func (s *session) journal(ctx context.Context, j *binlogdatapb.Journal) (done bool, err error) {
	if j.GetMigrationType() != binlogdatapb.MigrationType_SHARDS || s.copying != nil {
		return false, nil // the next position, of other shards, ends a copy
	}
	moved := map[gtid.Shard]gtid.Position{}
	var names []string
	for _, g := range j.ShardGtids {
		p, err := gtid.Parse(g.Gtid)
		if err != nil {
			return false, err
		}
		moved[gtid.Shard{Keyspace: s.shard.Keyspace, Name: g.Shard}] = p
		names = append(names, g.Shard)
	}
	if s.scouted != nil {
		s.outcome, s.scouted.moved = Replaced, moved
		return true, nil
	}
	if err := s.lookIfGiven(ctx); err != nil {
		return false, err
	}
	if err := s.encode(ctx); err != nil { // a row that cannot be read ends its table, which has not passed the journal then
		return false, err
	}
	news, err := s.tables.lacking(s.at, s.eventGTID)
	if err != nil {
		return false, err
	}
	slices.Sort(names)
	s.env.Log.Info(fmt.Sprintf("Shard %s was replaced by the shards %s.", s.shard.Name, strings.Join(names, ", ")))
	err = s.commit(ctx, func(tx *airbyte.Tx) error {
		for _, p := range news {
			s.again = p.Replace(tx, moved) || s.again
			if err := p.Stream.Put(tx); err != nil {
				return err
			}
		}
		return nil
	})
	s.outcome = Replaced
	return true, err
}

// Retired is the outcome of replication that ends at a journal: success, since the next sync continues with the shards that replaced this
// one. If an earlier sync already did so and the shard still exists, that would repeat forever.
func (r *Reader) Retired() error {
	if !r.again {
		return nil
	}
	return failure.Transient("if traffic was switched back (ReverseTraffic), the changes since then cannot be read: clear the data of the streams",
		"Shard %s was split or merged according to its journal, but it is still the serving shard", r.shard.Name).Do(failure.GiveUp)
}
