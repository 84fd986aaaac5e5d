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
		Use: "position", Short: "Print the current position of each shard, as the option starting_gtids takes it", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			// What is printed is for a file: only the positions go to stdout.
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
	db, err := openDB(ctx, cfg)
	if err != nil {
		return err
	}
	defer db.Close()
	existing, err := engine.ServerOf(db, cfg.Database).Shards(ctx)
	if err != nil {
		return err
	}
	shards, err := cfg.Pick(existing)
	if err != nil {
		return err
	}
	client, err := vstream.New(cfg.VStream())
	if err != nil {
		return err
	}
	byShard := make(map[string]string, len(shards))
	err = engine.NewRetrier(cfg.MaxRetries, 0, a.log).Insist(ctx, "Asking for the current positions", func(ctx context.Context) error {
		now, err := engine.Peek(ctx, client, shards)
		for shard, at := range now {
			byShard[shard.Name] = at.String()
		}
		return err
	})
	if err != nil {
		return err
	}
	line, err := json.Marshal(map[string]map[string]string{cfg.Database: byShard})
	if err != nil {
		return fmt.Errorf("the positions cannot be written as JSON: %w", err)
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", line)
	return err
}
