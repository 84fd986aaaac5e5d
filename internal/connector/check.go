package connector

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"source-planetscale/internal/config"
	"source-planetscale/internal/crash"
	"source-planetscale/internal/dial"
	"source-planetscale/internal/engine"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/vstream"
)

// checkTimeout limits the whole check. Airbyte's acceptance tests allow 30 s.
const checkTimeout = 20 * time.Second

func (a *app) checkCommand() *cobra.Command {
	configFile := file{flag: "config"}
	c := &cobra.Command{
		Use: "check", Short: "Check that a sync with this configuration can work", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), checkTimeout)
			defer cancel()
			cfg, err := a.config(&configFile)
			if err != nil {
				return a.w.Failed(failure.Judge(err).Message())
			}
			found, err := a.check(ctx, cfg)
			switch {
			case err == nil:
				return a.w.Succeeded(connected(cfg, found...))
			case errors.Is(context.Cause(c.Context()), failure.ErrTerminated):
				return err
			}
			return a.w.Failed(failure.Judge(err).Message() + " " + tried(cfg))
		},
	}
	configFile.register(c, "the configuration `file`")
	return c
}

// check queries everything that a sync needs, in order of dependency. What it returns is shown to the user: what it found, or the reason
// why the connection cannot be used.
func (a *app) check(ctx context.Context, cfg *config.Config) ([]*found, error) {
	client, err := vstream.New(cfg.VStream())
	if err != nil {
		return nil, err
	}
	ahead(client, cfg, false, len(cfg.Named()))
	defer client.Close()
	var db *schema.DB
	err = inOrder(ctx, // the name service best explains what is wrong with a name
		func(ctx context.Context) error { return resolve(ctx, cfg) },
		func(ctx context.Context) (err error) { db, err = openDB(ctx, cfg); return err },
	)
	if db != nil {
		defer db.Close()
	}
	if err != nil {
		return nil, err
	}
	ahead(client, cfg, true, len(cfg.Named()))
	all, err := a.keyspaces(ctx, cfg, db)
	if err != nil {
		return nil, err
	}
	found := make([]*found, len(all))
	return found, joined(each(ctx, all, func(ctx context.Context, i int, k *keyspace) (err error) {
		found[i], err = k.check(ctx, client)
		return err
	}))
}

func resolve(ctx context.Context, cfg *config.Config) error {
	err := cfg.Dial().Resolve(ctx)
	if v := dial.Judge(err); v != nil {
		return v
	}
	return err
}

// joined is one verdict that says what is wrong with each keyspace.
func joined(failed []error) error {
	if len(failed) < 2 {
		return errors.Join(failed...)
	}
	var texts []string
	for _, err := range failed {
		texts = append(texts, strings.TrimSuffix(failure.Judge(err).Message(), "."))
	}
	v := *failure.Judge(failed[0])
	v.What, v.Remedy = strings.Join(texts, ". "), ""
	return &v
}

func (k *keyspace) check(ctx context.Context, client *vstream.Client) (f *found, err error) {
	f = &found{keyspace: k.cfg.Database}
	if f.shards, err = k.shards(ctx); err != nil {
		return nil, err
	}
	return f, inOrder(ctx,
		func(ctx context.Context) (err error) { f.tablets, err = k.checkTablets(ctx, f.shards); return err },
		// Before the stream, for which a server that logs minimal rows returns a long error.
		func(ctx context.Context) error { return engine.CheckRowImages(ctx, k.log, k.server, f.shards) },
		func(ctx context.Context) error {
			return engine.WarnOfCascades(ctx, k.log, k.server, f.shards, engine.AllTables)
		},
		func(ctx context.Context) (err error) { f.tables, err = k.db.Count(ctx); return err },
		func(ctx context.Context) error { return checkStream(ctx, k.cfg, client, f.shards) },
	)
}

// inOrder runs queries in parallel. Of several errors it returns that of the first query, which may be the cause of the others: queries
// after a failed one are not waited for.
func inOrder(ctx context.Context, questions ...func(context.Context) error) error {
	var group errgroup.Group
	errs := make([]error, len(questions))
	for i, ask := range questions {
		its := ctx
		rest, end := context.WithCancel(ctx)
		defer end()
		ctx = rest // a query's context ends with those of all before it
		group.Go(func() error {
			if errs[i] = crash.Guard(func() error { return ask(its) }); errs[i] != nil {
				end()
			}
			return nil
		})
	}
	_ = group.Wait() // all errors are in errs
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkTablets verifies that a tablet of the requested type serves every shard, and returns those that do. Without this query, a stream
// from a type that does not exist hangs for 90 s.
func (k *keyspace) checkTablets(ctx context.Context, shards []gtid.Shard) ([]schema.Tablet, error) {
	cfg := k.cfg
	tablets, err := k.db.Tablets(ctx)
	if err != nil {
		return nil, engine.GoOn(ctx, k.log, err, "which tablets serve the shards")
	}
	if len(tablets) == 0 {
		k.log.Info("The server lists no tablets; the check continues without knowing which serve the shards.")
		return nil, nil
	}
	var serving []schema.Tablet
	for _, shard := range shards {
		before := len(serving)
		for _, t := range tablets {
			if t.Shard == shard.Name && strings.EqualFold(t.Type, cfg.TabletType().String()) && t.Serving {
				serving = append(serving, t)
			}
		}
		if len(serving) == before {
			return nil, failure.Config(tabletRemedy(cfg), "No %s tablet serves shard %s of keyspace %s", cfg.TabletType(), shard.Name, cfg.Database)
		}
	}
	return serving, nil
}

func tabletRemedy(cfg *config.Config) string {
	if cfg.Primary() {
		return "try again when the shard has a primary"
	}
	return "switch off " + failure.Option("Read from replicas", "use_replica") + " and " + failure.Option("Read from RDONLY tablets", "use_rdonly") + ", or add such a tablet"
}

// checkStream verifies that every shard can be streamed.
func checkStream(ctx context.Context, cfg *config.Config, client *vstream.Client, shards []gtid.Shard) error {
	_, err := client.Peek(ctx, shards...)
	if err == nil {
		return nil
	}
	v := vstream.Judge(err, "keyspace "+cfg.Database, strings.Join(gtid.Names(shards), ", "))
	switch {
	case vstream.KindOf(err) != vstream.Transient, dial.Judge(err) != nil:
	case vstream.IsAnswer(err):
		return failure.Transient("check that the tablets of its shards are healthy", "The server cannot stream keyspace "+
			"%s: %s", cfg.Database, err).Because(err)
	default:
		return failure.Transient("check "+failure.Option("gRPC port", "grpc_port")+", the TLS settings (a server that requires a client certificate may just close the connection), and "+
			"whether a firewall blocks this machine",
			"VStream over gRPC does not work with %s: %s", cfg.Dial().GRPCAddr(), err).Because(err)
	}
	return v
}
