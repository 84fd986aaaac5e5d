package reader

import (
	"context"
	"slices"

	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/failure"
	"source-planetscale/internal/row"
	"source-planetscale/internal/table"
)

// ReplicasAsked is how often in a row a shard whose replicas are read must give an answer to be believed: any of them may answer, and each
// has its own logs, and tables as of its own position.
const ReplicasAsked = 10

// sameTable checks that the server copies the table that was looked up, which one of the replicas may have as it was before a change of
// its columns, or after. The next attempt requests the columns that the table has then.
func sameTable(ctx context.Context, s *session, t *tableReader, fields []*querypb.Field) error {
	d := doubts{table: t.Table, fields: fields}
	for _, name := range slices.Concat(t.Stream.Columns, t.Stream.Table.Key) {
		if !slices.ContainsFunc(fields, func(f *querypb.Field) bool { return f.Name == name }) {
			d.lacking = append(d.lacking, name)
		}
	}
	lag, err := false, error(nil)
	switch {
	case s.env.Settings.Primary && len(t.Has(d.lacking)) > 0:
		return failure.Transient("", "Columns were added to %s in shard %s just before its copy began", t.Stream.Descriptor, s.shard.Name)
	case s.env.Settings.Primary:
	case !t.DescribesTypes(fields):
		lag = true
	case d.any():
		lag, err = d.confirmed(ctx, s, t.Name())
	}
	if err == nil && lag {
		err = failure.Transient("", "The columns of %s in shard %s differ from those on the replica that copies it, because replicas lag", t.Stream.Descriptor, s.shard.Name)
	}
	return err
}

// doubts are the differences between a table and the description of its copy that do not show whether replicas lag: a column may have
// been dropped, and an older Vitess may not know the character sets.
type doubts struct {
	table   *table.Table
	lacking []string // columns that the copy lacks
	fields  []*querypb.Field
}

func (d *doubts) any() bool {
	return len(d.lacking) > 0 || slices.ContainsFunc(d.fields, func(f *querypb.Field) bool { return !row.InCharset(f, d.table.Column(f.Name).Charset) })
}

// confirmed reports whether a replica has the table as the copy describes it where it differs, or has a column that the copy lacks.
func (d *doubts) confirmed(ctx context.Context, s *session, name string) (bool, error) {
	for range ReplicasAsked {
		tables, err := s.env.Tables(ctx, s.shard, []string{name}, false)
		if err != nil {
			return false, err
		}
		now := tables[name]
		if slices.ContainsFunc(d.lacking, func(name string) bool { return now.Column(name) != nil }) {
			return true, nil
		}
		if slices.ContainsFunc(d.fields, func(f *querypb.Field) bool {
			c := now.Column(f.Name)
			return c != nil && row.InCharset(f, c.Charset) && !row.InCharset(f, d.table.Column(f.Name).Charset)
		}) {
			return true, nil
		}
	}
	return false, nil
}
