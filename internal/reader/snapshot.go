package reader

import (
	"context"
	"slices"
	"time"

	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/table"
	"source-planetscale/internal/vstream"
)

// The columns of a copy's rows are those that the table has at the copy's snapshot. The server may have read all of a small table, and
// allow changes of it again, before its first event arrives; and of replicas, any may answer a query, each with the table as of its own
// position. So the table is queried before the copy is requested and after it has begun: it is the one that is copied if it is the same
// both times, and if the copy's position lies between those of the servers that answered.

// Seen is a table as one server had it.
type Seen struct {
	Table table.Table
	// Until is the server's position after it was queried.
	Until gtid.Position
	// Has reports that the server had a given position before.
	Has bool
	// Refused reports that the service does not allow the query.
	Refused bool
}

const (
	// ReplicasAsked is how often a shard whose replicas are read is asked for what one of them may not have.
	ReplicasAsked = 10
	replicaPause  = 500 * time.Millisecond
)

// foresee records what is known of a copy's table before it is requested. An earlier attempt's is kept if nothing has changed: a replica
// that always lags has that position sooner.
func (c *copying) foresee(ctx context.Context, r *Reader) (err error) {
	p := r.tables.only()
	switch {
	case r.env.Settings.Primary:
		c.seen = Seen{Table: *p.Table}
	case r.attempts == 1 && r.env.Targets.Sure(r.shard):
		c.seen = Seen{Table: *p.Stream.Table, Until: r.target, Has: true}
	case !c.seen.Refused && !(c.seen.Has && c.seen.Table.SameRows(p.Table)):
		c.seen, err = r.env.TableAt(ctx, r.shard, p.Name(), gtid.Position{})
	}
	return err
}

// checkDescribed checks, once the server has described the rows of a copy, that the table is the one that was requested, and is described
// as it is.
func checkDescribed(s *session, t *tableReader, fields []*querypb.Field) error {
	lacks := slices.ContainsFunc(t.Selected(), func(name string) bool {
		return !slices.ContainsFunc(fields, func(f *querypb.Field) bool { return f.Name == name })
	})
	altered := s.copying != nil && !s.copying.seen.Refused && !s.copying.seen.Table.SameRows(t.Table)
	if lacks || altered || !s.env.Settings.Primary && !t.DescribesTypes(fields) {
		return uncertain(s.Reader, t)
	}
	return nil
}

// checkCopied checks, at the copy's position, that it lies between those of the replicas that answered.
func checkCopied(ctx context.Context, s *session) error {
	c := s.copying
	if c == nil || !c.described.fresh || s.env.Settings.Primary || s.next.gtid == "" {
		return nil
	}
	c.described.fresh = false
	if c.seen.Refused {
		return nil
	}
	t := s.tables.only()
	at, err := s.at.Follow(s.next.gtid)
	if err != nil {
		return err
	}
	now, err := seenAt(ctx, s.Reader, t.Name(), at)
	if err != nil || now.Refused {
		return err
	}
	if !now.Has || !at.Contains(c.seen.Until) || !now.Table.SameRows(t.Table) {
		return uncertain(s.Reader, t)
	}
	return nil
}

// seenAt queries a table from a server that has a position; the last answer's Has is false if none had it.
func seenAt(ctx context.Context, r *Reader, name string, at gtid.Position) (now Seen, err error) {
	for range ReplicasAsked {
		if now, err = r.env.TableAt(ctx, r.shard, name, at); err != nil || now.Has || now.Refused {
			return now, err
		}
		select {
		case <-time.After(replicaPause):
		case <-ctx.Done():
			return now, context.Cause(ctx)
		}
	}
	return now, nil
}

// alteredMeanwhile is the verdict on an error of a copy whose table was altered while it was requested: the server may have prepared its
// query with the columns from before. nil for another error.
func alteredMeanwhile(ctx context.Context, r *Reader, err error) *failure.Verdict {
	if r.copying == nil || vstream.KindOf(err) != vstream.BadTable {
		return nil
	}
	t := r.tables.only()
	now, lookErr := r.env.Tables(ctx, r.shard, []string{t.Name()}, true)
	if found, exists := now[t.Name()]; lookErr == nil && exists && !found.SameRows(t.Table) {
		return uncertain(r, t)
	}
	return nil
}

func uncertain(r *Reader, t *tableReader) *failure.Verdict {
	if r.env.Settings.Primary {
		return failure.Transient("", "The columns of %s in shard %s were changed just as its copy began", t.Stream.Descriptor, r.shard.Name)
	}
	return failure.Transient("try again when the replicas have caught up",
		"Replicas of shard %s lag, or the columns of %s were changed just as its copy began", r.shard.Name, t.Stream.Descriptor)
}
