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
	// The planner knows of a table from SwitchTraffic until MoveTables is completed, the journals since then, too.
	routed, err := db.Moved(ctx, names)
	if err != nil && !errors.Is(err, schema.ErrRefused) {
		return err
	}
	answers := err == nil
	left, all, err := s.departed(ctx, db)
	if err != nil {
		return err
	}
	if !answers || !all {
		s.log.Info(fmt.Sprintf("The server does not say whether tables of %s were moved to another keyspace; the sync goes on without knowing.", s.cfg.Database))
	}
	s.leaveOutMoved(routed, left, failures)
	return nil
}

func (s *syncer) leaveOutMoved(routed map[string]string, left map[*stream]whereabouts, failures map[airbyte.StreamDescriptor]*failure) {
	var here []*stream
	for _, st := range s.streams {
		keyspace, gone := routed[st.table.Name]
		if !gone {
			keyspace, gone = left[st].keyspace, left[st].sure
		}
		if gone {
			failures[st.descriptor] = classify(configErrorf("The rows of table %s are in keyspace %s now, as once MoveTables has moved them there (or before it has moved them here): they are changed there, and the changes are not sure to reach this keyspace. Read the table with a source of database %s, and remove the stream from this connection.", st.descriptor, keyspace, keyspace))
			continue
		}
		if keyspace != "" {
			s.log.Warn(fmt.Sprintf("MoveTables has moved table %s to keyspace %s, and whether it is here again (moved back, or made anew) cannot be seen. If it is not, its rows here are not changed any more: read it with a source of database %s, and remove the stream from this connection.", st.descriptor, keyspace, keyspace))
		}
		here = append(here, st)
	}
	s.streams = here
}
