package source

import (
	"context"
	"fmt"
	"slices"

	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/row"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/state"
	"source-planetscale/internal/vstream"
)

// VStream reads the rows of the binary log with the columns that the table has now, by their place. Rows written before a
// change of columns may so arrive under wrong names, without an error. This file makes sure that such rows are not given, or
// that the stream fails before a state covers them.

// tableError is a failure of one table among those that a stream reads.
type tableError struct {
	table   string
	failure error
}

func (e *tableError) Error() string { return e.failure.Error() }
func (e *tableError) Unwrap() error { return e.failure }

func (t *tableReader) failf(kind airbyte.FailureType, cause error, format string, args ...any) error {
	return &tableError{t.stream.table.Name, because(kind, cause, format, args...)}
}

// checkColumns refuses a row of the binary log that was written under other columns than the table's.
func (t *tableReader) checkColumns(r *reader) error {
	if t.stale {
		return t.failf(airbyte.ConfigError, nil, "The columns of %s were changed, and rows that were changed before that are still to be read from shard %s, which the server would give under wrong names; refresh the source's schema and clear the stream's data.", t.stream.descriptor, r.shard)
	}
	t.replayed = true
	if t.assumed == state.Assumed {
		t.assumed = state.Relied
	}
	return nil
}

// columns are those to give of rows with these fields: without the ones that were added at the table's end after the rows
// were written. Without such an addition, or at least the chance of one, a missing column is an error.
func (t *tableReader) columns(r *reader, phase row.Phase, fields []*querypb.Field) []string {
	s := t.stream
	had := s.state.Shards[r.shard].Had
	if phase == row.Copy || had == 0 && t.assumed == state.Known || len(fields) < had || len(fields) > len(s.table.Columns) {
		return s.columns
	}
	var columns []string
	for i, f := range fields {
		if f.Name != s.table.Columns[i].Name {
			return s.columns
		}
		if slices.Contains(s.columns, f.Name) {
			columns = append(columns, f.Name)
		}
	}
	if columns == nil {
		return s.columns
	}
	return columns
}

// ddl notes what a statement did to the reader's tables.
func (r *reader) ddl(ctx context.Context, statement string) error {
	ddl, ok := schema.ParseDDL(statement)
	if !ok {
		return nil // no harm: a change of columns that is not seen keeps the table's rows refused
	}
	at, err := r.nextPosition()
	if err != nil {
		return err
	}
	for _, name := range slices.Clone(r.names) {
		t := r.tables[name]
		var err error
		switch {
		case t == nil:
			continue // dropped in this loop
		case !at.IsZero() && t.from.Contains(at):
			continue // it has what the statement did
		case slices.Contains(ddl.Emptied, name) && t.stream.incremental:
			err = t.failf(airbyte.ConfigError, nil, "Table %s was dropped, renamed or truncated in shard %s, or a partition or tablespace of it exchanged, which removes its rows without a delete for each; clear the stream's data and sync again.", t.stream.descriptor, r.shard)
		case slices.Contains(ddl.Pruned, name) && t.stream.incremental:
			r.sync.log.Warn(fmt.Sprintf("Partitions of table %s were dropped or truncated in shard %s, which removes their rows without a delete for each: they stay at the destination unless the stream is refreshed.", t.stream.descriptor, r.shard))
		case slices.Contains(ddl.Altered, name):
			err = t.altered(r)
		case slices.Contains(ddl.Extended, name):
			t.assumed = max(t.assumed, state.Assumed)
		}
		if err := r.dropIf(ctx, err); err != nil {
			return err
		}
	}
	return nil
}

// nextPosition is what the next boundary makes the position, zero if nothing was said of it.
func (r *reader) nextPosition() (vstream.Position, error) {
	if r.next.gtid == "" {
		return vstream.Position{}, nil
	}
	return r.at.Follow(r.next.gtid)
}

// altered notes that the table's columns may be today's from here on. Rows between two such changes are neither the old
// columns' nor today's. So are rows between the addition of a column and such a change, which may have removed it again.
func (t *tableReader) altered(r *reader) error {
	if t.assumed == state.Relied {
		return t.failf(airbyte.ConfigError, nil, "The columns of %s were changed, and the rows read from shard %s before that may have been written under yet other columns, and stand under wrong names; refresh the source's schema and clear the stream's data.", t.stream.descriptor, r.shard)
	}
	t.stale, t.assumed = false, state.Assumed
	return nil
}

// saveColumns makes the state say of the columns what the reader knows where it stands. At the position that the sync was
// to reach, they are those that were looked up before and after it was asked for.
func (t *tableReader) saveColumns(r *reader, shard *state.Shard) {
	if r.done && r.at.Contains(r.stop) {
		shard.Stale, shard.Assumed, shard.Had = false, state.Known, 0
		return
	}
	shard.Stale, shard.Assumed = t.stale, t.assumed
}

// checkDrift looks, before states are written, whether columns were changed while rows of the binary log were read.
func (r *reader) checkDrift(ctx context.Context) error {
	if !slices.ContainsFunc(r.names, func(name string) bool { return r.tables[name].replayed }) {
		return nil
	}
	tables, err := r.sync.tables(ctx, r.shard)
	if err != nil {
		return fmt.Errorf("looking for changed columns: %w", err)
	}
	for _, name := range slices.Clone(r.names) {
		t := r.tables[name]
		if t == nil {
			continue // dropped in this loop
		}
		if !t.replayed || schema.Extends(tables[name].Columns, t.stream.table.Columns) {
			t.replayed = false
			continue
		}
		err := t.failf(airbyte.ConfigError, nil, "The columns of %s were changed while changes made before that were read from shard %s, which may stand under wrong names; refresh the source's schema and clear the stream's data.", t.stream.descriptor, r.shard)
		if err := r.dropIf(ctx, err); err != nil {
			return err
		}
	}
	return nil
}
