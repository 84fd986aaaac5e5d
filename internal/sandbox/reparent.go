package sandbox

import (
	"context"
	"fmt"
)

// Primary returns the name of the shard's primary according to the topology: its processes are "mysqld-" and "vttablet-" plus that name.
func (s *Sandbox) Primary(ctx context.Context, keyspace, shard string) (string, error) {
	target := tablet{Keyspace: keyspace, Shard: shard}.target()
	record, err := s.shard(ctx, target)
	if err != nil {
		return "", err
	}
	for _, t := range s.tablets {
		if record.PrimaryAlias != nil && t.UID == record.PrimaryAlias.UID {
			return t.id(), nil
		}
	}
	return "", fmt.Errorf("%s has no primary", target)
}

// Replicas returns the names of the shard's other tablets.
func (s *Sandbox) Replicas(ctx context.Context, keyspace, shard string) ([]string, error) {
	primary, err := s.Primary(ctx, keyspace, shard)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range s.tablets {
		if t.Keyspace == keyspace && t.Shard == shard && t.id() != primary {
			names = append(names, t.id())
		}
	}
	return names, nil
}

// Reparent makes another tablet of the shard its primary, in cooperation with the current one (PlannedReparentShard). No transaction is
// lost.
func (s *Sandbox) Reparent(ctx context.Context, keyspace, shard string) error {
	_, err := s.vtctl(ctx, "PlannedReparentShard", tablet{Keyspace: keyspace, Shard: shard}.target())
	return err
}

// EmergencyReparent makes another tablet of the shard its primary if the current one does not answer (EmergencyReparentShard): Kill its
// processes first. What it had not yet sent to its replicas is lost. When started again it follows the new primary, unless it has
// transactions that are lost.
func (s *Sandbox) EmergencyReparent(ctx context.Context, keyspace, shard string) error {
	_, err := s.vtctl(ctx, "EmergencyReparentShard", "--wait-replicas-timeout", "3s", tablet{Keyspace: keyspace, Shard: shard}.target())
	return err
}
