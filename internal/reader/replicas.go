package reader

import (
	"context"
	"slices"
	"time"

	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/table"
)

// Any replica may answer a query, and another one copy: each has the table as of its own position. A change of columns between two of
// them would make a copy's rows, or the changes after it, be read with columns that they do not have. So the table is queried before the
// copy is requested and after it has begun, each time with the answering server's position. If the copy's position lies between the two,
// and the table is the same, it is the one that is copied.

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

// seen is what was known of a copy's table before it was requested.
func seen(ctx context.Context, r *Reader) (Seen, error) {
	p := r.tables.only()
	if r.attempts == 1 && r.env.Targets.Sure(r.shard) {
		return Seen{Table: *p.Stream.Table, Until: r.target}, nil
	}
	return r.env.TableAt(ctx, r.shard, p.Name(), gtid.Position{})
}

// checkCopied checks, at a copy's position, that its table is the one that was looked up.
func checkCopied(ctx context.Context, s *session) error {
	c := s.copying
	if c == nil || !c.described.fresh || s.env.Settings.Primary || s.next.gtid == "" {
		return nil
	}
	c.described.fresh = false
	t := s.tables.only()
	at, err := s.at.Follow(s.next.gtid)
	if err != nil {
		return err
	}
	now, err := seenAt(ctx, s.Reader, t.Name(), at)
	if err != nil || now.Refused || c.seen.Refused {
		return err
	}
	if !now.Has || !at.Contains(c.seen.Until) || !c.seen.Table.SameRows(t.Table) || !now.Table.SameRows(t.Table) {
		return lagging(s, t)
	}
	c.seen = now
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

func lagging(s *session, t *tableReader) error {
	return failure.Transient("", "Replicas of shard %s lag, so that it is not certain which columns %s has where its copy begins", s.shard.Name, t.Stream.Descriptor)
}

// checkDescribed checks that the server describes all columns of a copy that the table has, as it has them.
func checkDescribed(s *session, t *tableReader, fields []*querypb.Field) error {
	lacks := slices.ContainsFunc(t.Selected(), func(name string) bool {
		return !slices.ContainsFunc(fields, func(f *querypb.Field) bool { return f.Name == name })
	})
	switch primary := s.env.Settings.Primary; {
	case !primary && (lacks || !t.DescribesTypes(fields)):
		return lagging(s, t)
	case lacks:
		return failure.Transient("", "Columns were added to %s in shard %s just before its copy began", t.Stream.Descriptor, s.shard.Name)
	}
	return nil
}
