package engine

import (
	"context"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/table"
)

// refuseViews distinguishes the streams that are views from those that no longer exist. A catalog has views if another connector created
// it, or if a table became one.
func (s *survey) refuseViews(ctx context.Context, catalog *airbyte.ConfiguredCatalog, tables map[string]*table.Table,
	refused map[string]error,
) error {
	for _, c := range catalog.Streams {
		d := c.Stream.Descriptor()
		if tables[d.Name] != nil || refused[d.Name] != nil || unsent(d.Name) != nil {
			continue
		}
		view, err := s.isView(ctx, d.Name)
		if err != nil {
			return err
		}
		if view {
			refused[d.Name] = failure.Config("remove the stream from the connection, and sync the tables that the view selects from",
				"Stream %s is a view, and Vitess streams no changes of views", d)
		}
	}
	return nil
}

// isView reports whether the name belongs to something that has columns and is not a table. Tables are queried last: one that was created
// in the meantime is not a view.
func (s *survey) isView(ctx context.Context, name string) (bool, error) {
	for i, keys := range []bool{false, true} {
		found, err := s.server.Tables(ctx, s.wanted[0], []string{name}, keys)
		if err != nil {
			return false, err
		}
		if _, ok := found[name]; ok == (i > 0) {
			return false, nil
		}
	}
	return true, nil
}
