package reader

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"source-planetscale/internal/failure"
	"source-planetscale/internal/table"
)

// ddl handles the effect of a statement on the reader's tables.
func (s *session) ddl(ctx context.Context, text string) error {
	ddl, err := table.ParseDDL(text)
	if err != nil {
		return fmt.Errorf("preparing to read DDL statements: %w", err)
	}
	at, err := s.next.after(s.at)
	if err != nil {
		return err
	}
	for _, name := range slices.Clone(s.tables.names) {
		t := s.tables.find(name)
		if t == nil || !at.IsZero() && !t.From.IsZero() && s.at.Union(t.From).Contains(at) {
			continue // it has ended in this loop, or already contains the statement's effect
		}
		if err := s.dropIf(ctx, changed(ctx, s, t, ddl, text)); err != nil {
			return err
		}
	}
	return nil
}

// changed handles a statement that changed the table, or others.
func changed(ctx context.Context, s *session, t *tableReader, ddl table.DDL, text string) error {
	name, d, shard := t.Name(), t.Stream.Descriptor, t.Shard.Name
	if !t.Stream.Incremental() {
		return nil // a snapshot
	}
	if ddl.Explains(name) {
		t.Explain()
	}
	switch {
	case slices.Contains(ddl.Emptied, name):
		return failure.Config("clear the stream's data and sync again",
			"Table %s was dropped, renamed or truncated in shard %s, or one of its partitions or its tablespace was exchanged, which removes rows without a delete event for each", d, shard).Of(name)
	case slices.Contains(ddl.Pruned, name) && s.scouted == nil:
		s.env.Log.Warn(fmt.Sprintf("Partitions of table %s were dropped or truncated in shard %s, which removes their rows without a delete event for each: they stay in the destination until the stream is refreshed.", d, shard))
	case slices.Contains(ddl.Altered, name):
		if table.IsLookalike(ddl.Swapped[name], name) && s.scouted == nil && t.Stream.Swaps() {
			s.env.Log.Warn(fmt.Sprintf("Stream %s: the table was swapped in shard %s for one named like a copy made by gh-ost or pt-online-schema-change, and is treated as such a copy. If it was a different table with fewer rows, the missing rows are still in the destination; refresh the stream.", d, shard))
		}
		return altered(ctx, s, t, statement{text: text, swapped: ddl.Swapped[name]})
	case slices.Contains(ddl.Extended, name), slices.Contains(ddl.Declared, name) && s.known():
		return altered(ctx, s, t, statement{text: text, extends: true})
	}
	return nil
}

// altered handles a statement that may have changed the table's columns.
func altered(ctx context.Context, s *session, t *tableReader, by statement) error {
	switch {
	case s.scouted != nil:
		return s.scouted.note(ctx, s.Reader, by)
	case s.followed != nil:
		if err := s.followed.meet(by.text); err != nil {
			return failure.Transient("", "The column changes of %s in shard %s cannot be followed: %s", t.Stream.Descriptor, t.Shard.Name, err).Of(t.Name())
		}
		t.Step(s.followed.columns())
		t.warnAltered(s.env.Log)
		return nil
	case s.copying != nil:
		if err := replacedInCopy(ctx, s.Reader, t, by); err != nil {
			return err
		}
	}
	if t.Given() {
		if err := s.lookAt(ctx, []string{t.Name()}, false); err != nil {
			return err
		}
	}
	return apart(s.Reader, t)
}

// warnAltered warns once that rows may have changed without row events.
func (t *tableReader) warnAltered(log *slog.Logger) {
	if t.Stream.Alters() {
		log.Warn(fmt.Sprintf("Stream %s: the table was altered in shard %s. ALTER TABLE emits no row events: rows already in the "+
			"destination keep their old values (of a generated column with another expression, say) until they change or the stream "+
			"is refreshed.", t.Stream.Descriptor, t.Shard.Name))
	}
}

// dml handles a change that the server logged as a statement: there is no way to know which rows it changed.
func (s *session) dml(ctx context.Context, statement string) error {
	written, err := table.WrittenBy(statement)
	if err != nil {
		return fmt.Errorf("preparing to read statements: %w", err)
	}
	for _, name := range slices.Clone(s.tables.names) {
		t := s.tables.find(name)
		if t == nil || !slices.Contains(written, name) || !t.Stream.Incremental() {
			continue
		}
		if skip, err := t.skips(s.at, s.eventGTID); err != nil {
			return err
		} else if skip {
			continue
		}
		err := failure.Config("set binlog_format=ROW for the server and for every session, then clear the stream's data and sync again",
			"A change of table %s in shard %s was logged as a statement (binlog_format is STATEMENT or MIXED), so the changed rows are not known",
			t.Stream.Descriptor, s.shard.Name).Of(name)
		if err := s.dropIf(ctx, err); err != nil {
			return err
		}
	}
	return nil
}
