package source

import (
	"context"
	"errors"
	"fmt"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/schema"
)

// checkMoved asks, once it is known where this sync stops, which tables are in another keyspace now: up to there a stream of
// this keyspace has their changes, but later on it may just fall silent. Their streams are moved from s.streams to failures.
func (s *syncer) checkMoved(ctx context.Context, db *schema.DB, failures map[airbyte.StreamDescriptor]*failure) error {
	names := make([]string, len(s.streams))
	for i, st := range s.streams {
		names[i] = st.table.Name
	}
	moved, err := db.Moved(ctx, names)
	if errors.Is(err, schema.ErrRefused) {
		s.log.Info(fmt.Sprintf("The server does not say whether tables of %s were moved to another keyspace; the sync goes on without knowing.", s.cfg.Database))
		return nil
	}
	if err != nil {
		return err
	}
	var here []*stream
	for _, st := range s.streams {
		keyspace, ok := moved[st.table.Name]
		if !ok {
			here = append(here, st)
			continue
		}
		failures[st.descriptor] = classify(configErrorf("Vitess takes table %s from keyspace %s now, as once MoveTables has moved it there (or before it has moved it here): its rows are changed there, and the changes are not sure to reach this keyspace. Read it with a source of database %s, and remove the stream from this connection.", st.descriptor, keyspace, keyspace))
	}
	s.streams = here
	return nil
}
