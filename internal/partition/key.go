package partition

import (
	"slices"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/record"
	"source-planetscale/internal/row"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// CheckKey compares what a stream's destination uses, the key and the cursor, with the table and the catalog. The catalog also decides
// whether a TINYINT(1) is an integer; chosen are the user's options. The warnings, also of changes that Vitess does not send, are sentences
// without the stream's name.
func CheckKey(s *Stream, c *airbyte.ConfiguredStream, chosen row.Options) (warnings []string, err error) {
	schemas, err := c.Stream.Schemas()
	if err != nil {
		return nil, err
	}
	s.Records.Types = chosen.InCatalog(s.Table, schemas)
	key, err := c.Key()
	if err != nil {
		return nil, refused(s.Descriptor, err)
	}
	key = slices.DeleteFunc(key, record.IsOwn)
	gives := func(column string) bool { return schemas[column] != nil }
	keyless, err := s.Table.CheckKey(key, gives, c.Deduplicates())
	if err != nil {
		return nil, refused(s.Descriptor, err)
	}
	if len(key) == 0 { // the catalog does not say it
		key = slices.DeleteFunc(slices.Clone(s.Table.MySQLKey), func(column string) bool { return !gives(column) })
	}
	if keyless != "" {
		warnings = append([]string{keyless}, row.KeyWarnings(s.Table, key, s.Records.Types)...)
	}
	if s.Incremental() {
		warnings = append(warnings, row.TableWarnings(s.Table)...)
	}
	discovered := slices.DeleteFunc(slices.Clone(key), func(column string) bool { // otherwise discover does not make it an integer
		return !s.Table.InUniqueKey(column) && !slices.ContainsFunc(c.Stream.SourceDefinedPrimaryKey, func(path []string) bool {
			return slices.Equal(path, []string{column})
		})
	})
	if err := row.CheckKey(s.Table, discovered, s.Records.Types); err != nil {
		return nil, refused(s.Descriptor, err)
	}
	cursor, err := c.CursorWarning(record.ColumnCursor)
	if cursor != "" {
		warnings = append(warnings, cursor)
	}
	return warnings, err
}

// CheckSavedKey refuses a stream whose rows in the destination may have another key than in the table: ALTER TABLE emits no row events,
// so changes of those rows would not find them. They have no value in a column that did not exist, under its name, when the state was
// saved, and the former value in one whose values were converted.
func CheckSavedKey(c *airbyte.ConfiguredStream, t *table.Table, saved *state.Stream) error {
	if _, err := c.Key(); err != nil {
		return refused(c.Stream.Descriptor(), err)
	}
	if saved.FullRefresh || len(saved.Columns) == 0 {
		return nil
	}
	const remedy = "clear the stream's data and sync again"
	for _, name := range keyAtDestination(c) {
		at := slices.IndexFunc(saved.Columns, func(c table.Column) bool { return c.Name == name })
		if at < 0 {
			return failure.Config(remedy, "Stream %s cannot be continued: the column %q of its primary key was "+
				"added or renamed since the last sync, and rows already in the destination have no value in it", c.Stream.Descriptor(), name)
		}
		if now := t.Column(name); now != nil && !row.KeepsValues(saved.Columns[at], *now) {
			return failure.Config(remedy, "Stream %s cannot be continued: the column %q of its primary key was changed from %s to %s since the "+
				"last sync, which may have changed its values, and rows already in the destination have the former ones",
				c.Stream.Descriptor(), name, row.Describe(saved.Columns[at]), row.Describe(*now))
		}
	}
	return nil
}

// keyAtDestination are the table's columns by which the destination deduplicates; none if it keeps all records.
func keyAtDestination(c *airbyte.ConfiguredStream) []string {
	key, err := c.Key()
	if err != nil || !c.Deduplicates() {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(key), record.IsOwn)
}

func refused(d airbyte.StreamDescriptor, err error) error {
	return failure.Config("", "Stream %s cannot be read: %s", d, err).Because(err)
}
