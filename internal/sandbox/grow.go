package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
)

// Grow adds tablets to a shard of a running sandbox, as replicas. A shard that does not exist is created, with its first tablet as the
// primary; it gets rows by a Reshard. Another Sandbox of the same folder does not know about them: Open it again.
func (s *Sandbox) Grow(ctx context.Context, keyspace, shard string, tablets int) error {
	release, err := s.lock(func() {})
	if err != nil {
		return err
	}
	defer release()
	_, r, err := open(s.Dir)
	if err != nil {
		return err
	}
	added := r.newTablets(keyspace, shard, tablets)
	r.Tablets = append(slices.Clone(r.tablets()), added...)
	if err := r.addPorts(ctx, added); err != nil {
		return err
	}
	if err := r.save(s.Dir); err != nil {
		return err
	}
	s.tablets, s.ports = r.Tablets, r.Ports
	return s.startTablets(ctx, added)
}

// newTablets gives new tablets the next free places and numbers.
func (r record) newTablets(keyspace, shard string, tablets int) []tablet {
	next := tablet{Keyspace: keyspace, Shard: shard, UID: firstTablet}
	for _, t := range r.tablets() {
		next.UID = max(next.UID, t.UID+1)
		if t.target() == next.target() {
			next.Index = max(next.Index, t.Index+1)
		}
	}
	var added []tablet
	for range tablets {
		added = append(added, next)
		next.UID++
		next.Index++
	}
	return added
}

func (r record) addPorts(ctx context.Context, added []tablet) error {
	for _, t := range added {
		for _, name := range t.listeners() {
			port, err := r.Ports.another(ctx)
			if err != nil {
				return err
			}
			r.Ports[name] = port
		}
	}
	return nil
}

func (s *Sandbox) startTablets(ctx context.Context, added []tablet) error {
	var mysqlds, vttablets []process
	for _, t := range added {
		mysqlds, vttablets = append(mysqlds, s.mysqld(t)), append(vttablets, s.vttablet(t))
	}
	if err := s.startAll(ctx, mysqlds...); err != nil {
		return err
	}
	if err := s.startAll(ctx, vttablets...); err != nil {
		return err
	}
	return s.electPrimaries(ctx)
}

// Remove deletes a shard from the cluster and the sandbox, with its tablets and their data, as is done with the old shards after a
// Reshard.
func (s *Sandbox) Remove(ctx context.Context, keyspace, shard string) error {
	release, err := s.lock(func() {})
	if err != nil {
		return err
	}
	defer release()
	_, r, err := open(s.Dir)
	if err != nil {
		return err
	}
	target := tablet{Keyspace: keyspace, Shard: shard}.target()
	gone := func(t tablet) bool { return t.target() == target }
	if !slices.ContainsFunc(r.tablets(), gone) {
		return fmt.Errorf("the sandbox has no shard %s", target)
	}
	if _, err := s.vtctl(ctx, "DeleteShards", "--recursive", "--even-if-serving", target); err != nil &&
		!strings.Contains(err.Error(), "node doesn't exist") {
		return err
	}
	for _, t := range r.tablets() {
		if gone(t) {
			if err := s.discard(ctx, t); err != nil {
				return err
			}
			for _, name := range t.listeners() {
				delete(r.Ports, name)
			}
		}
	}
	r.Tablets = slices.DeleteFunc(slices.Clone(r.tablets()), gone)
	s.tablets, s.ports = r.Tablets, r.Ports
	return r.save(s.Dir)
}

// discard ends a tablet's processes, without signing off from a topology that has forgotten them, and removes the data.
func (s *Sandbox) discard(ctx context.Context, t tablet) error {
	if err := s.stop(ctx, syscall.SIGKILL, t.vttablet(), t.mysqld()); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(s.data(t.mysqld())), os.RemoveAll(s.pidFile(t.mysqld())), os.RemoveAll(s.pidFile(t.vttablet())))
}
