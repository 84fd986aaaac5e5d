package connector

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"source-planetscale/internal/config"
	"source-planetscale/internal/dial"
	"source-planetscale/internal/engine"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/vstream"
)

// checkTimeout bounds the whole check. Airbyte's acceptance tests allow 30 s.
const checkTimeout = 20 * time.Second

func (a *app) checkCommand() *cobra.Command {
	configFile := file{flag: "config"}
	c := &cobra.Command{
		Use: "check", Short: "Prove that a sync with this configuration can work", Args: noArgs,
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
				return a.w.Succeeded(connected(cfg, found))
			case errors.Is(context.Cause(c.Context()), failure.ErrTerminated):
				return err
			}
			return a.w.Failed(failure.Judge(err).Message() + " " + tried(cfg))
		},
	}
	configFile.register(c, "the configuration `file`")
	return c
}

// check asks for everything that a sync needs, in the order in which one thing needs the other. What it returns is told to
// the user: what it found, or the reason why the connection cannot be used.
func (a *app) check(ctx context.Context, cfg *config.Config) (*found, error) {
	if err := cfg.Dial().Resolve(ctx); err != nil {
		if v := dial.Judge(err); v != nil {
			return nil, v
		}
		return nil, err
	}
	db, err := openDB(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	f := &found{keyspace: cfg.Database}
	server := engine.ServerOf(db, cfg.Database)
	if f.shards, err = checkKeyspace(ctx, cfg, server); err != nil {
		return nil, err
	}
	if f.tablets, err = a.checkTablets(ctx, cfg, db, f.shards); err != nil {
		return nil, err
	}
	// Before the stream, which a server that logs minimal rows refuses with many words.
	if err := engine.CheckRowImages(ctx, a.log, server, f.shards); err != nil {
		return nil, err
	}
	if err := engine.WarnOfCascades(ctx, a.log, server, f.shards, engine.AllTables); err != nil {
		return nil, err
	}
	if err := checkStream(ctx, cfg, f.shards); err != nil {
		return nil, err
	}
	f.tables, err = db.Count(ctx)
	return f, err
}

// checkKeyspace proves that the keyspace and the configured shards exist, and returns the shards to read.
func checkKeyspace(ctx context.Context, cfg *config.Config, server engine.Server) ([]gtid.Shard, error) {
	existing, err := server.Shards(ctx)
	if err != nil {
		return nil, err
	}
	return cfg.Pick(existing)
}

// checkTablets proves that a tablet of the asked type serves every shard, and returns those that do. Without this question a
// stream from a type that does not exist hangs for 90 s.
func (a *app) checkTablets(ctx context.Context, cfg *config.Config, db *schema.DB, shards []gtid.Shard) ([]schema.Tablet, error) {
	tablets, err := db.Tablets(ctx)
	if err != nil {
		return nil, engine.GoOn(ctx, a.log, err, "which tablets serve the shards")
	}
	if len(tablets) == 0 {
		a.log.Info("The server lists no tablets; the check goes on without knowing which serve the shards.")
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
	return "switch off use_replica and use_rdonly, or add such a tablet"
}

// checkStream proves that every shard can be streamed.
func checkStream(ctx context.Context, cfg *config.Config, shards []gtid.Shard) error {
	client, err := vstream.New(cfg.VStream())
	if err != nil {
		return err
	}
	_, err = client.Peek(ctx, shards...)
	if err == nil {
		return nil
	}
	v := vstream.Judge(err, "keyspace "+cfg.Database, strings.Join(gtid.Names(shards), ", "))
	switch {
	case vstream.KindOf(err) != vstream.Transient, dial.Judge(err) != nil:
	case vstream.IsAnswer(err):
		return failure.Transient("check that the tablets of its shards are well", "The server cannot stream keyspace "+
			"%s: %s", cfg.Database, err).Because(err)
	default:
		return failure.Transient("check host and grpc_port, the TLS options (a server that wants a client certificate may just hang up), and "+
			"whether a firewall lets this machine through",
			"VStream over gRPC does not work with %s: %s", cfg.Dial().GRPCAddr(), err).Because(err)
	}
	return v
}
