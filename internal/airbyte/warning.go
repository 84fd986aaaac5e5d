package airbyte

import (
	"fmt"
	"slices"
	"strings"
)

// CursorWarning says what is wrong with the field by which the destination orders the records of a row, which should be our column named
// cursor; it is empty if nothing is wrong, or if the destination keeps all records.
func (c *ConfiguredStream) CursorWarning(cursor string) (string, error) {
	schemas, err := c.Stream.Schemas()
	switch {
	case err != nil, c.SyncMode != Incremental, !c.Deduplicates():
		return "", err
	case len(c.CursorField) > 0 && !slices.Equal(c.CursorField, []string{cursor}):
		return fmt.Sprintf("the connection's cursor field is %s instead of %s, as in connections made for another connector: "+
			"the destination may keep an old version of a row. Set it with Airbyte's API (PATCH /v1/connections/{connectionId}), "+
			"or create a new connection", strings.Join(c.CursorField, "."), cursor), nil
	case schemas[cursor] == nil:
		return fmt.Sprintf("the catalog does not select the column %s, which orders the changes of a row: the destination may keep an old version. Refresh the source's schema and select the column", cursor), nil
	}
	return "", nil
}
