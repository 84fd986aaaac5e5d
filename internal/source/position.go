package source

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"source-planetscale/internal/vstream"
)

func (a *app) positionCommand() *cobra.Command {
	config := file{flag: "config"}
	c := &cobra.Command{
		Use: "position", Short: "Print the current position of each shard, as the option starting_gtids takes it", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			// What is printed is for a file: only the positions go to stdout.
			a.log = slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
			cfg, err := a.config(&config)
			if err != nil {
				return err
			}
			return a.position(c.Context(), cfg)
		},
	}
	config.register(c, "the configuration `file`")
	return c
}

func (a *app) position(ctx context.Context, cfg *Config) error {
	db, err := openDB(ctx, cfg)
	if err != nil {
		return err
	}
	defer db.Close()
	existing, err := db.Shards(ctx)
	if err != nil {
		return err
	}
	client, err := vstream.New(cfg.vstream())
	if err != nil {
		return err
	}
	s := &syncer{cfg: cfg, log: a.log, w: a.w, client: client}
	if s.shards, err = cfg.shards(existing); err != nil {
		return configErrorf("The option shards cannot be used: %s.", err)
	}
	if err := s.insist(ctx, "Asking for the current positions", s.peek); err != nil {
		return err
	}
	byShard := make(map[string]string, len(s.shards))
	for _, shard := range s.shards {
		byShard[shard] = s.stopOf(shard).String()
	}
	line, err := json.Marshal(map[string]map[string]string{cfg.Database: byShard})
	if err != nil {
		return fmt.Errorf("the positions cannot be written as JSON: %w", err)
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", line)
	return err
}
