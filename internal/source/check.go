package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	topodatapb "vitess.io/vitess/go/vt/proto/topodata"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/dial"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/vstream"
)

// checkTimeout bounds the whole check. Airbyte's acceptance tests allow 30 s.
const checkTimeout = 20 * time.Second

func (a *app) checkCommand() *cobra.Command {
	config := file{flag: "config"}
	c := &cobra.Command{
		Use: "check", Short: "Prove that a sync with this configuration can work", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), checkTimeout)
			defer cancel()
			err := a.check(ctx, &config)
			switch {
			case err == nil:
				return a.w.Succeeded()
			case errors.Is(context.Cause(c.Context()), errTerminated):
				return err
			}
			return a.w.Failed(classify(err).message)
		},
	}
	config.register(c, "the configuration `file`")
	return c
}

// check asks for everything that a sync needs, in the order in which one thing needs the other. What it returns is told to
// the user as the reason why the connection cannot be used.
func (a *app) check(ctx context.Context, f *file) error {
	cfg, err := a.config(f)
	if err != nil {
		return err
	}
	if err := cfg.dial().Resolve(ctx); err != nil {
		return err
	}
	db, err := openDB(ctx, cfg)
	if err != nil {
		return err
	}
	defer db.Close()
	shards, err := checkKeyspace(ctx, cfg, db)
	if err != nil {
		return err
	}
	if err := a.checkTablets(ctx, cfg, db, shards); err != nil {
		return err
	}
	// Before the stream, which a server that logs minimal rows refuses with many words.
	if err := checkRowImages(ctx, a.log, db, shards); err != nil {
		return err
	}
	return checkStream(ctx, cfg, shards)
}

// checkKeyspace proves that the keyspace and the configured shards exist, and returns the shards to read.
func checkKeyspace(ctx context.Context, cfg *Config, db *schema.DB) ([]string, error) {
	existing, err := db.Shards(ctx)
	if err != nil {
		return nil, err
	}
	shards, err := cfg.shards(existing)
	if err != nil {
		return nil, configErrorf("The option shards cannot be used: %s.", err)
	}
	return shards, nil
}

// checkTablets proves that a tablet of the asked type serves every shard. Without this question a stream from a type that
// does not exist hangs for 90 s.
func (a *app) checkTablets(ctx context.Context, cfg *Config, db *schema.DB, shards []string) error {
	tablets, err := db.Tablets(ctx)
	if err != nil {
		return goOn(ctx, a.log, err, "which tablets serve the shards")
	}
	if len(tablets) == 0 {
		a.log.Info("The server lists no tablets; the check goes on without knowing which serve the shards.")
		return nil
	}
	for _, shard := range shards {
		serves := slices.ContainsFunc(tablets, func(t schema.Tablet) bool {
			return t.Shard == shard && strings.EqualFold(t.Type, cfg.tabletType().String()) && t.Serving
		})
		if !serves {
			return configErrorf("No %s tablet serves shard %s of keyspace %s; %s.", cfg.tabletType(), shard, cfg.Database, tabletRemedy(cfg))
		}
	}
	return nil
}

func tabletRemedy(cfg *Config) string {
	if cfg.tabletType() == topodatapb.TabletType_PRIMARY {
		return "try again when the shard has a primary"
	}
	return "switch off use_replica and use_rdonly, or add such a tablet"
}

// checkStream proves that every shard can be streamed.
func checkStream(ctx context.Context, cfg *Config, shards []string) error {
	client, err := vstream.New(cfg.vstream())
	if err != nil {
		return err
	}
	if _, err := client.Peek(ctx, cfg.Database, shards); err != nil {
		if vstream.KindOf(err) == vstream.Transient && tunnelFailure(err) == nil && !dial.IsTLSError(err) {
			return because(airbyte.TransientError, err, "VStream over gRPC does not work with %s: %s. Check host and grpc_port, the TLS options (a server that wants a client certificate may just hang up), and whether a firewall lets this machine through.", cfg.dial().GRPCAddr(), err)
		}
		return classifyStream(err, "keyspace "+cfg.Database, strings.Join(shards, ", "))
	}
	return nil
}

// checkRowImages proves that the servers log whole rows: what they leave out would show as NULLs that are none.
func checkRowImages(ctx context.Context, log *slog.Logger, db *schema.DB, shards []string) error {
	for _, shard := range shards {
		v, err := db.Variables(ctx, shard)
		if err != nil {
			return goOn(ctx, log, err, "how shard "+shard+" logs rows")
		}
		if err := usableRowImage(v, shard); err != nil {
			return err
		}
	}
	return nil
}

func usableRowImage(v schema.Variables, shard string) error {
	switch {
	case !strings.EqualFold(v.RowImage, "FULL"):
		return configErrorf("The server of shard %s logs only parts of rows (binlog_row_image is %s); set binlog_row_image=FULL.", shard, v.RowImage)
	case v.RowValueOptions != "":
		return configErrorf("The server of shard %s logs only parts of JSON documents (binlog_row_value_options is %s); set it to an empty string.", shard, v.RowValueOptions)
	}
	return nil
}

// goOn lets a command go on without a question that the service refused to answer; a lost connection is no such refusal.
func goOn(ctx context.Context, log *slog.Logger, err error, question string) error {
	if ctx.Err() != nil || !errors.Is(err, schema.ErrRefused) {
		return err
	}
	log.Info(fmt.Sprintf("The server does not say %s; the connector goes on without it.", question))
	return nil
}
