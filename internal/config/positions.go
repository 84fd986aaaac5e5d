package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
)

// parseStartingGTIDs parses the option of that name. One keyspace's positions may come in a file of several; if several keyspaces are
// read, an unknown one is a typo, which would lead to tables being copied.
func parseStartingGTIDs(text string, configured keyspaces) (map[gtid.Shard]gtid.Position, error) {
	positions := map[gtid.Shard]gtid.Position{}
	if strings.TrimSpace(text) == "" {
		return positions, nil
	}
	var byKeyspace map[string]map[string]string
	if err := json.Unmarshal([]byte(text), &byKeyspace); err != nil {
		return nil, errors.New(failure.Option("Starting positions", "starting_gtids") + ` must have the form {"keyspace": {"shard": "MySQL56/…"}}`)
	}
	for keyspace, byShard := range byKeyspace {
		switch {
		case configured.has(keyspace) && byShard != nil:
		case configured.several():
			return nil, errors.New(failure.Option("Starting positions", "starting_gtids") + " names a keyspace that the source does not read; add it to " + failure.Option("Keyspaces", "keyspaces") + ", or remove it")
		default:
			continue
		}
		for shard, text := range byShard {
			p, err := parseStartingPosition(text, keyspace)
			if err != nil {
				return nil, err
			}
			positions[gtid.Shard{Keyspace: keyspace, Name: shard}] = p
		}
	}
	if first := configured.names[0]; len(byKeyspace) > 0 && !configured.several() && byKeyspace[first] == nil {
		return nil, fmt.Errorf(failure.Option("Starting positions", "starting_gtids")+" does not name the keyspace %q, which is the configured database", first)
	}
	return positions, nil
}

func parseStartingPosition(text, keyspace string) (gtid.Position, error) {
	p, err := gtid.Parse(text)
	if err != nil {
		return p, fmt.Errorf(failure.Option("Starting positions", "starting_gtids")+", keyspace %s: a shard's position is not a MySQL GTID set such as "+
			"MySQL56/16b1039f-22b6-11ed-b765-0a43f95f28a3:1-615", keyspace)
	}
	if p.IsZero() {
		return p, fmt.Errorf(failure.Option("Starting positions", "starting_gtids")+" has a shard of keyspace %s without a position; leave the shard out to copy it", keyspace)
	}
	return p, nil
}

// StartingPositions are where incremental streams of the keyspace without a state begin instead of copying.
func (c *Config) StartingPositions() map[gtid.Shard]gtid.Position {
	here := map[gtid.Shard]gtid.Position{}
	for shard, p := range c.startingPositions {
		if shard.Keyspace == c.Database {
			here[shard] = p
		}
	}
	return here
}
