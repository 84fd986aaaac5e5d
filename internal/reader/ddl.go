package reader

import (
	"context"
	"fmt"
	"slices"

	"source-planetscale/internal/failure"
	"source-planetscale/internal/table"
)

// ddl notes what a statement did to the reader's tables.
func (s *session) ddl(ctx context.Context, statement string) error {
	ddl, ok := table.ParseDDL(statement)
	if !ok {
		return nil // no harm: a change of columns that is not seen keeps the table's rows refused
	}
	at, err := s.nextPosition()
	if err != nil {
		return err
	}
	for _, name := range slices.Clone(s.tables.names) {
		t := s.tables.find(name)
		if t == nil || !at.IsZero() && t.From.Contains(at) {
			continue // it has ended in this loop, or has what the statement did
		}
		if err := s.dropIf(ctx, s.changed(t, ddl)); err != nil {
			return err
		}
	}
	return nil
}

// changed is that a statement did something to the table, or to others.
func (s *session) changed(t *tableReader, ddl table.DDL) error {
	name, d := t.Name(), t.Stream.Descriptor
	switch {
	case slices.Contains(ddl.Emptied, name) && t.Stream.Incremental():
		return failure.Config("clear the stream's data and sync again",
			"Table %s was dropped, renamed or truncated in shard %s, or a partition or tablespace of it exchanged, which removes its rows without a delete for each", d, s.shard.Name).Of(name)
	case slices.Contains(ddl.Pruned, name) && t.Stream.Incremental():
		s.env.Log.Warn(fmt.Sprintf("Partitions of table %s were dropped or truncated in shard %s, which removes their rows without a delete for each: they stay at the destination unless the stream is refreshed.", d, s.shard.Name))
	case slices.Contains(ddl.Altered, name):
		return t.Alter()
	case slices.Contains(ddl.Extended, name):
		t.Extend()
	}
	return nil
}
