package engine

import (
	"fmt"
	"slices"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/record"
	"source-planetscale/internal/row"
)

// checkKey holds what the destination goes by, the key and the cursor, against the table and the catalog, which also decides
// whether a TINYINT(1) is an integer.
func (s *survey) checkKey(c *airbyte.ConfiguredStream, st *partition.Stream) error {
	schemas, err := c.Stream.Schemas()
	if err != nil {
		return err
	}
	types := s.cfg.RowOptions().InCatalog(st.Table, schemas)
	st.Records.Types = types
	refused := func(err error) error {
		return failure.Config("", "Stream %s cannot be read: %s", st.Descriptor, err).Because(err)
	}
	key, err := c.Key()
	if err != nil {
		return refused(err)
	}
	key = slices.DeleteFunc(key, record.IsOwn)
	gives := func(column string) bool { return schemas[column] != nil }
	warning, err := st.Table.CheckKey(key, gives, c.Deduplicates())
	if err != nil {
		return refused(err)
	}
	if key == nil {
		key = slices.DeleteFunc(slices.Clone(st.Table.MySQLKey), func(column string) bool { return !gives(column) })
	}
	warnings := []string{warning}
	if warning == "" {
		err = row.CheckKey(st.Table, key, types)
	} else { // the key is the user's own, and discover makes no integers for it
		warnings = append(warnings, row.KeyWarnings(st.Table, key, types)...)
	}
	if err != nil {
		return refused(err)
	}
	cursor, err := c.CursorWarning(record.ColumnCursor)
	if err != nil {
		return err
	}
	for _, w := range append(warnings, cursor) {
		if w != "" {
			s.shared.Log.Warn(fmt.Sprintf("Stream %s: %s.", st.Descriptor, w))
		}
	}
	return nil
}
