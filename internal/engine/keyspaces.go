package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/config"
	"source-planetscale/internal/failure"
)

// ReadAll runs one sync for each keyspace that the catalog has streams of, in parallel; of creates their engines, all with the same
// Shared. A keyspace that cannot be read fails its own streams. ErrIncomplete reports that streams failed, and have been reported; any
// other error ended everything.
func ReadAll(ctx context.Context, cfg *config.Config, shared Shared, of func(keyspace string) *Engine,
	catalog *airbyte.ConfiguredCatalog, in *airbyte.State,
) error {
	if err := checkForeign(cfg, shared.Log, in); err != nil {
		return err
	}
	warnUnused(cfg, shared.Log, catalog, in)
	parts, refused := byKeyspace(cfg, catalog)
	if err := refused.say(shared.Writer, (*failure.Verdict).Trace, nil); err != nil {
		return err
	}
	var incomplete atomic.Bool
	incomplete.Store(len(refused) > 0)
	group, ctx := newGroup(ctx)
	if in.Legacy != nil {
		group.SetLimit(1) // the first keyspace, whose positions the state has, writes its states before any other does
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

// part is the part of the catalog that belongs to one keyspace.
type part struct {
	keyspace string
	catalog  *airbyte.ConfiguredCatalog
}

// byKeyspace splits the catalog, with the keyspaces in the configuration's order. The streams of other keyspaces are refused.
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

// warnUnused names the states of streams that the catalog has by name, but in another namespace.
func warnUnused(cfg *config.Config, log *slog.Logger, catalog *airbyte.ConfiguredCatalog, in *airbyte.State) {
	for _, d := range in.Unused(catalog) {
		if cfg.Several() && cfg.Reads(d.Namespace) {
			continue // another table, which was removed from the connection
		}
		log.Warn(fmt.Sprintf("The saved state of stream %s is not used: the catalog has a stream of that name in another namespace.", d))
	}
}

// checkForeign refuses a state of other keyspaces. Some streams of another keyspace, next to ours, may be left over at the platform or in
// the former connector's document from a source whose database was changed: these are reported.
func checkForeign(cfg *config.Config, log *slog.Logger, in *airbyte.State) error {
	legacy, err := legacyStates(in)
	if err != nil {
		return err
	}
	all := rawStates{}
	maps.Copy(all, in.Streams)
	maps.Copy(all, legacy)
	var foreign []string
	for d := range all {
		if d.Namespace != "" && !cfg.Reads(d.Namespace) {
			foreign = append(foreign, d.String())
		}
	}
	switch {
	case len(foreign) == 0:
		return nil
	case len(foreign) == len(all):
		return failure.Config("correct "+failure.Option("Database", "database")+", or clear the connection's data to start over",
			"The saved state belongs to another database than the configured %s (stream %s, one of %d)", configured(cfg), slices.Min(foreign), len(foreign))
	default:
		log.Warn(fmt.Sprintf("The saved state belongs to another database than the configured %s (stream %s, one of %d). It is not used; streams without another state start over.", configured(cfg), slices.Min(foreign), len(foreign)))
		return nil
	}
}
