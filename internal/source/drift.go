package source

import (
	"context"
	"fmt"
	"slices"

	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/row"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
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
	if t.layout.Stale {
		return t.failf(airbyte.ConfigError, nil, "The columns of %s were changed, and rows that were changed before that are still to be read from shard %s, which the server would give under wrong names; refresh the source's schema and clear the stream's data.", t.stream.descriptor, r.shard)
	}
	t.replayed = true
	if t.layout.Assumed == state.Assumed {
		t.layout.Assumed = state.Relied
	}
	return nil
}

// columns are those to give of rows with these fields: without the ones that were added at the table's end after the rows
// were written. Without such an addition, or at least the chance of one, a missing column is an error.
func (t *tableReader) columns(phase row.Phase, fields []*querypb.Field) []string {
	s := t.stream
	had := t.layout.Had
	if phase == row.Copy {
		return t.has(s.columns)
	}
	if had == 0 && t.layout.Assumed == state.Known || len(fields) < had || len(fields) > len(t.table.Columns) {
		return s.columns
	}
	var columns []string
	for i, f := range fields {
		if f.Name != t.table.Columns[i].Name {
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

// has are those of the columns that the table has now. A copy leaves out what was dropped before it began: the server does not
// open a stream that names such a column.
func (t *tableReader) has(columns []string) []string {
	return slices.DeleteFunc(slices.Clone(columns), func(name string) bool { return t.table.Column(name) == nil })
}

// ddl notes what a statement did to the reader's tables.
func (r *reader) ddl(ctx context.Context, statement string) error {
	ddl, ok := table.ParseDDL(statement)
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
			t.layout.Assumed = max(t.layout.Assumed, state.Assumed)
		}
		if err := r.dropIf(ctx, err); err != nil {
			return err
		}
	}
	return nil
}

// nextPosition is what the next boundary makes the position, zero if nothing was said of it.
func (r *reader) nextPosition() (gtid.Position, error) {
	if r.next.gtid == "" {
		return gtid.Position{}, nil
	}
	return r.at.Follow(r.next.gtid)
}

// altered notes that the table's columns may be today's from here on. Rows between two such changes are neither the old
// columns' nor today's. So are rows between the addition of a column and such a change, which may have removed it again.
func (t *tableReader) altered(r *reader) error {
	if t.layout.Assumed == state.Relied {
		return t.failf(airbyte.ConfigError, nil, "The columns of %s were changed, and the rows read from shard %s before that may have been written under yet other columns, and stand under wrong names; refresh the source's schema and clear the stream's data.", t.stream.descriptor, r.shard)
	}
	t.layout.Stale, t.layout.Assumed = false, state.Assumed
	return nil
}

// layoutOf is the layout of the changes after where the reader stands. At the position that the sync was to reach it is that
// of the tables as they were looked up before and after it was asked for.
func (r *reader) layoutOf(t *tableReader) state.Layout {
	if _, moved := r.sync.moved.Load(r.shard); r.done && !moved && r.at.Contains(r.stop) {
		return state.Layout{}
	}
	return t.layout
}

// checkDrift looks, before states are written, whether columns were changed while rows of the binary log were read.
func (r *reader) checkDrift(ctx context.Context) error {
	if !slices.ContainsFunc(r.names, func(name string) bool { return r.tables[name].replayed }) {
		return nil
	}
	return r.look(ctx, false)
}

// look looks the reader's tables up again. At a snapshot, which the server reads, the tables have the columns that they have
// now: until it has read all of it, changes of columns wait.
func (r *reader) look(ctx context.Context, snapshot bool) error {
	only := ""
	if len(r.names) == 1 {
		only = r.names[0]
	}
	tables, err := r.sync.tables(ctx, r.shard, only, r.copying) // a copy goes on by its key
	if err != nil {
		return fmt.Errorf("looking for changed columns: %w", err)
	}
	for _, name := range slices.Clone(r.names) {
		t := r.tables[name]
		now, exists := tables[name]
		if t == nil || !exists && !t.replayed {
			continue // ended in this loop; or dropped from the database, as its stream will say
		}
		if err := r.dropIf(ctx, t.compare(r, now, snapshot)); err != nil {
			return err
		}
	}
	return nil
}

// compare compares the table with what it is now. Rows that were read while its columns were changed may stand under wrong
// names, and so may those that were written before, if they are still to be read.
func (t *tableReader) compare(r *reader, now table.Table, snapshot bool) error {
	former, was := t.stream.state.Columns, t.stream.state.Columns
	if t.layout.Columns != nil {
		was = t.layout.Columns
	}
	extends := table.Extends(now.Columns, was)
	if !extends && t.replayed {
		return t.failf(airbyte.ConfigError, nil, "The columns of %s were changed while changes made before that were read from shard %s, which may stand under wrong names; refresh the source's schema and clear the stream's data.", t.stream.descriptor, r.shard)
	}
	t.replayed = false
	now.Key = t.stream.table.Key
	t.table = &now
	switch {
	case snapshot:
		t.layout = state.Layout{}
	case extends:
		return nil
	default:
		t.layout.Stale, t.layout.Had, t.layout.Columns = true, 0, nil
	}
	if len(now.Columns) != len(former) || !table.Extends(now.Columns, former) {
		t.layout.Columns = now.Columns
	}
	return nil
}
