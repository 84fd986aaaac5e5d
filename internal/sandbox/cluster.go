package sandbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/errgroup"
)

// vtctl runs a command of vtctldclient.
func (s *Sandbox) vtctl(ctx context.Context, args ...string) ([]byte, error) {
	return run(ctx, "", nil, s.VTCtldClient, append([]string{"--server", s.VTCtld}, args...)...)
}

// createKeyspaces makes the cell, the keyspaces and their VSchemas where they
// are missing. A VSchema that someone has changed since stays.
func (s *Sandbox) createKeyspaces(ctx context.Context) error {
	// Update adds too, and etcd's port may be another one than last time.
	_, err := s.vtctl(ctx, "UpdateCellInfo", "--root", "/vitess/"+cell, "--server-address", s.ports.addr("etcd-client"), cell)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, ks := range s.topology {
		group.Go(func() error { return s.createKeyspace(ctx, ks) })
	}
	return group.Wait()
}

func (s *Sandbox) createKeyspace(ctx context.Context, ks Keyspace) error {
	_, err := s.vtctl(ctx, "CreateKeyspace", "--durability-policy", "none", ks.Name)
	if err != nil && !strings.Contains(err.Error(), "already exists") {
		return err
	}
	if ks.VSchema == "" {
		return nil
	}
	out, err := s.vtctl(ctx, "GetVSchema", ks.Name)
	if err != nil {
		return err
	}
	var has struct{ Sharded bool }
	if err := json.Unmarshal(out, &has); err != nil || has.Sharded {
		return err
	}
	_, err = s.vtctl(ctx, "ApplyVSchema", "--vschema", ks.VSchema, ks.Name)
	return err
}

// electPrimaries makes tablet 0 the primary of each shard that has none yet.
func (s *Sandbox) electPrimaries(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, t := range s.tablets {
		if t.Index == 0 {
			group.Go(func() error { return s.electPrimary(ctx, t) })
		}
	}
	return group.Wait()
}

func (s *Sandbox) electPrimary(ctx context.Context, t tablet) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var last error
	return poll(ctx, func() (bool, error) {
		shard, err := s.shard(ctx, t.target())
		if err == nil && shard.PrimaryAlias == nil {
			_, err = s.vtctl(ctx, "PlannedReparentShard", "--new-primary", t.alias(), t.target())
		}
		last = err
		return err == nil, nil
	}, func() error { return fmt.Errorf("electing the primary of %s: %w", t.target(), last) })
}

// shardRecord is Vitess' topology record of a shard (topodata.Shard).
type shardRecord struct {
	PrimaryAlias *struct {
		UID int `json:"uid"`
	} `json:"primary_alias"`
	// Serving is false before a reshard has switched to the shard, and after one has switched away from it.
	Serving bool `json:"is_primary_serving"`
}

func (s *Sandbox) shard(ctx context.Context, target string) (shardRecord, error) {
	var record struct {
		Shard shardRecord `json:"shard"`
	}
	out, err := s.vtctl(ctx, "GetShard", target)
	if err != nil {
		return shardRecord{}, err
	}
	err = json.Unmarshal(out, &record)
	return record.Shard, err
}

// awaitShards waits until vtgate answers for every shard that serves.
func (s *Sandbox) awaitShards(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, t := range s.tablets {
		if err := s.awaitShard(ctx, t.target()); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sandbox) awaitShard(ctx context.Context, target string) (err error) {
	config := mysql.NewConfig()
	config.Net, config.Addr, config.User, config.DBName = "tcp", s.PlainMySQL, "root", target
	config.Timeout, config.ReadTimeout = time.Second, time.Second
	config.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, db.Close()) }()
	var last error
	return poll(ctx, func() (bool, error) {
		if _, last = db.ExecContext(ctx, "select 1"); last == nil {
			return true, nil
		}
		shard, err := s.shard(ctx, target)
		return err == nil && !shard.Serving, nil
	}, func() error { return fmt.Errorf("vtgate does not reach %s: %w", target, last) })
}
