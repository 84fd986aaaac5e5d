package connector

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"source-planetscale/internal/config"
	"source-planetscale/internal/engine"
	"source-planetscale/internal/vstream"
)

func (a *app) positionCommand() *cobra.Command {
	configFile := file{flag: "config"}
	c := &cobra.Command{
		Use: "position", Short: "Print the current position of each shard, in the format of the option starting_gtids", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			// The output is meant for a file: only the positions go to stdout.
			a.log = slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
			cfg, err := a.config(&configFile)
			if err != nil {
				return err
			}
			return a.position(c.Context(), cfg)
		},
	}
	configFile.register(c, "the configuration `file`")
	return c
}

func (a *app) position(ctx context.Context, cfg *config.Config) error {
	client, err := vstream.New(cfg.VStream())
	if err != nil {
		return err
	}
	ahead(client, cfg, false, len(cfg.Named()))
	defer client.Close()
	db, err := openDB(ctx, cfg)
	if err != nil {
		return err
	}
	defer db.Close()
	ahead(client, cfg, true, len(cfg.Named()))
	all, err := a.keyspaces(ctx, cfg, db)
	if err != nil {
		return err
	}
	positions := make([]map[string]string, len(all))
	failed := each(ctx, all, func(ctx context.Context, i int, k *keyspace) (err error) {
		positions[i], err = k.positions(ctx, client)
		return err
	})
	if len(failed) > 0 {
		return failed[0]
	}
	byKeyspace := map[string]map[string]string{}
	for i, k := range all {
		byKeyspace[k.cfg.Database] = positions[i]
	}
	line, err := json.Marshal(byKeyspace)
	if err != nil {
		return fmt.Errorf("the positions cannot be written as JSON: %w", err)
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", line)
	return err
}

// positions are the current positions of the keyspace's shards.
func (k *keyspace) positions(ctx context.Context, client *vstream.Client) (map[string]string, error) {
	shards, err := k.shards(ctx)
	if err != nil {
		return nil, err
	}
	byShard := make(map[string]string, len(shards))
	return byShard, engine.NewRetrier(k.cfg.MaxRetries, 0, k.log).Insist(ctx, "Asking for the current positions", func(ctx context.Context) error {
		now, err := engine.Peek(ctx, client, shards)
		for shard, at := range now {
			byShard[shard.Name] = at.String()
		}
		return err
	})
}
