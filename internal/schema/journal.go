package schema

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"source-planetscale/internal/gtid"

	"google.golang.org/protobuf/encoding/prototext"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
)

// journalsQuery reads what SwitchTraffic recorded in a shard that it switched traffic away from: the tables, where they went, and the
// positions of both sides at that time. Vitess never removes such a row, not even when the traffic is switched back.
const journalsQuery = "select val from _vt.resharding_journal"

// Journals queries shards of any keyspace for their journals of MoveTables. Shards that the server does not let us query, or whose
// journals cannot be read, are missing from the result.
func (db *DB) Journals(ctx context.Context, shards []gtid.Shard) (map[gtid.Shard][]*binlogdatapb.Journal, error) {
	var mu sync.Mutex
	journals := map[gtid.Shard][]*binlogdatapb.Journal{}
	err := EachShard(ctx, shards, func(ctx context.Context, shard gtid.Shard) error {
		here, err := db.journals(ctx, shard)
		if isRefused(err) {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		journals[shard] = here
		return err
	})
	return journals, err
}

// journals queries the primary: a replica may lag behind the one whose position ends this sync.
func (db *DB) journals(ctx context.Context, shard gtid.Shard) ([]*binlogdatapb.Journal, error) {
	rows, err := db.show(ctx, shard.Keyspace+":"+shard.Name+"@primary", journalsQuery)
	if err != nil {
		return nil, fmt.Errorf("reading the journals of %s: %w", shard, err)
	}
	var journals []*binlogdatapb.Journal
	for _, row := range rows {
		j, err := parseJournal([]byte(row["val"]))
		if err != nil {
			return nil, fmt.Errorf("reading the journals of %s: %w", shard, err)
		}
		if j.MigrationType == binlogdatapb.MigrationType_TABLES { // not a Reshard's
			journals = append(journals, j)
		}
	}
	return journals, nil
}

// parseJournal reads a journal as Vitess writes it: in protobuf's text format, whose whitespace varies.
func parseJournal(text []byte) (*binlogdatapb.Journal, error) {
	j := &binlogdatapb.Journal{}
	if err := (prototext.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, j); err != nil {
		return nil, errors.Join(ErrRefused, err)
	}
	return j, nil
}
