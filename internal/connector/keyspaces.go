package connector

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"source-planetscale/internal/config"
	"source-planetscale/internal/crash"
	"source-planetscale/internal/engine"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/vstream"
)

// keyspace is one of those that a command handles.
type keyspace struct {
	cfg    *config.Config // its own
	db     *schema.DB
	server engine.Server
	log    *slog.Logger
}

func openDB(ctx context.Context, cfg *config.Config) (*schema.DB, error) {
	open := schema.Open
	if cfg.Several() {
		open = schema.OpenSeveral
	}
	return open(ctx, cfg.Dial(), cfg.Username, cfg.Password, cfg.Database, strings.ToLower(cfg.TabletType().String()))
}

// ahead opens connections for that many streams. In a tunnel each logs in to the SSH server, which may lock out a client after several
// wrong logins: there they wait for the first login, otherwise they do not.
func ahead(client *vstream.Client, cfg *config.Config, loggedIn bool, streams int) {
	if tunnelled := cfg.Dial().Tunnel != nil; tunnelled == loggedIn {
		client.Ahead(streams)
	}
}

// keyspaces are all that the configuration names, the option database's first.
func (a *app) keyspaces(ctx context.Context, cfg *config.Config, db *schema.DB) ([]*keyspace, error) {
	names := cfg.Named()
	if cfg.ReadsEvery() {
		serving, others, err := db.Keyspaces(ctx)
		if err != nil {
			return nil, err
		}
		for _, name := range serving {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		others = slices.DeleteFunc(others, func(name string) bool { return slices.Contains(names, name) })
		if len(others) > 0 {
			a.log.Info(fmt.Sprintf("Keyspaces left out, because they have no serving primary (snapshots, for example): %s.", strings.Join(others, ", ")))
		}
	}
	var all []*keyspace
	for _, name := range names {
		k := &keyspace{cfg: cfg.Of(name), db: db.Of(name), log: a.log}
		k.server = engine.ServerOf(k.db, name)
		if cfg.Several() {
			k.log = a.log.WithGroup("Keyspace " + name)
		}
		all = append(all, k)
	}
	return all, nil
}

// shards are the shards to read.
func (k *keyspace) shards(ctx context.Context) ([]gtid.Shard, error) {
	existing, err := k.server.Shards(ctx)
	if err != nil {
		return nil, err
	}
	return k.cfg.Pick(existing)
}

// failed adds to an error which keyspace's it is, if there are several.
func (k *keyspace) failed(err error) error {
	if err == nil || !k.cfg.Several() {
		return err
	}
	return failure.Judge(err).Within("Keyspace " + k.cfg.Database)
}

// keyspacesAtATime are queried in parallel.
const keyspacesAtATime = 8

// each runs a function for each keyspace, in parallel. All of them run, whatever happens to the others; the errors are returned in the
// keyspaces' order.
func each(ctx context.Context, all []*keyspace, do func(context.Context, int, *keyspace) error) []error {
	var group errgroup.Group
	group.SetLimit(keyspacesAtATime)
	failed := make([]error, len(all))
	for i, k := range all {
		group.Go(func() error {
			failed[i] = k.failed(crash.Guard(func() error { return do(ctx, i, k) }))
			return nil
		})
	}
	_ = group.Wait() // all errors are in failed
	return slices.DeleteFunc(failed, func(err error) bool { return err == nil })
}
