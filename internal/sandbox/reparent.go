package sandbox

import (
	"context"
	"fmt"
)

// Primary returns the name of the shard's primary as the topology has it: its
// processes are "mysqld-" and "vttablet-" and that name.
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

// Reparent makes another tablet of the shard its primary, with the consent of
// the one that is (PlannedReparentShard). No transaction is lost.
func (s *Sandbox) Reparent(ctx context.Context, keyspace, shard string) error {
	_, err := s.vtctl(ctx, "PlannedReparentShard", tablet{Keyspace: keyspace, Shard: shard}.target())
	return err
}

// EmergencyReparent makes another tablet of the shard its primary when the one
// that is does not answer (EmergencyReparentShard): Kill its processes first.
// What it had not yet given to its replicas is lost. Started again it follows
// the new primary, unless it holds transactions that are lost.
func (s *Sandbox) EmergencyReparent(ctx context.Context, keyspace, shard string) error {
	_, err := s.vtctl(ctx, "EmergencyReparentShard", "--wait-replicas-timeout", "3s", tablet{Keyspace: keyspace, Shard: shard}.target())
	return err
}
