package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/config"
	"source-planetscale/internal/failure"
)

// ReadAll runs one sync of each keyspace that the catalog has streams of, side by side; of makes their engines, all of the same Shared. A
// keyspace that cannot be read fails its own streams. ErrIncomplete says that streams failed, and have said so; any other error ended all.
func ReadAll(ctx context.Context, cfg *config.Config, shared Shared, of func(keyspace string) *Engine,
	catalog *airbyte.ConfiguredCatalog, in *airbyte.State,
) error {
	if err := checkForeign(cfg, shared.Log, in); err != nil {
		return err
	}
	warnUnused(cfg, shared.Log, catalog, in)
	parts, refused := byKeyspace(cfg, catalog)
	if err := refused.say(shared.Writer, (*failure.Verdict).Trace); err != nil {
		return err
	}
	var incomplete atomic.Bool
	incomplete.Store(len(refused) > 0)
	group, ctx := newGroup(ctx)
	if in.Legacy != nil {
		group.SetLimit(1) // the one whose positions it has, the first, writes its states before any other does
	}
	for _, part := range parts {
		group.Go(func() error {
			err := of(part.keyspace).Read(ctx, part.catalog, in)
			if errors.Is(err, ErrIncomplete) {
				incomplete.Store(true)
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if incomplete.Load() {
		return ErrIncomplete
	}
	return nil
}

// part is what the catalog has of one keyspace.
type part struct {
	keyspace string
	catalog  *airbyte.ConfiguredCatalog
}

// byKeyspace takes the catalog apart, the keyspaces in the configuration's order. The streams of others are refused.
func byKeyspace(cfg *config.Config, catalog *airbyte.ConfiguredCatalog) ([]part, failures) {
	var parts []part
	for _, name := range cfg.Named() {
		parts = append(parts, part{name, &airbyte.ConfiguredCatalog{}})
	}
	refused := failures{}
	for i := range catalog.Streams {
		d := catalog.Streams[i].Stream.Descriptor()
		if !cfg.Reads(d.Namespace) {
			refused[d] = failure.Config("refresh the source's schema, or add the keyspace to "+failure.Option("Keyspaces", "keyspaces"),
				"Stream %s is in another database than the configured %s", d, configured(cfg))
			continue
		}
		at := slices.IndexFunc(parts, func(p part) bool { return p.keyspace == d.Namespace })
		if at < 0 {
			at, parts = len(parts), append(parts, part{d.Namespace, &airbyte.ConfiguredCatalog{}})
		}
		parts[at].catalog.Streams = append(parts[at].catalog.Streams, catalog.Streams[i])
	}
	return slices.DeleteFunc(parts, func(p part) bool { return len(p.catalog.Streams) == 0 }), refused
}

// configured names the keyspaces of the configuration.
func configured(cfg *config.Config) string {
	names := strings.Join(cfg.Named(), ", ")
	if cfg.Several() {
		return "ones, " + names
	}
	return "one, " + names
}

// warnUnused names the states of streams that the catalog has by name, but not in that namespace.
func warnUnused(cfg *config.Config, log *slog.Logger, catalog *airbyte.ConfiguredCatalog, in *airbyte.State) {
	for _, d := range in.Unused(catalog) {
		if cfg.Several() && cfg.Reads(d.Namespace) {
			continue // another table, which was taken out of the connection
		}
		log.Warn(fmt.Sprintf("The saved state of stream %s is not used: the catalog has a stream of that name in another namespace.", d))
	}
}

// checkForeign refuses a state of other keyspaces. Some streams of another one, beside those of ours, may be what the platform
// still has of a source whose database was changed: they are told.
func checkForeign(cfg *config.Config, log *slog.Logger, in *airbyte.State) error {
	var foreign []string
	for d := range in.Streams {
		if d.Namespace != "" && !cfg.Reads(d.Namespace) {
			foreign = append(foreign, d.String())
		}
	}
	switch {
	case len(foreign) == 0:
		return nil
	case len(foreign) == len(in.Streams):
		return failure.Config("correct "+failure.Option("Database", "database")+", or clear the connection's data to start over",
			"The saved state belongs to another database than the configured %s (stream %s, one of %d)", configured(cfg), slices.Min(foreign), len(foreign))
	default:
		log.Warn(fmt.Sprintf("The saved state belongs to another database than the configured %s (stream %s, one of %d). It is not used; streams without another state start over.", configured(cfg), slices.Min(foreign), len(foreign)))
		return nil
	}
}
