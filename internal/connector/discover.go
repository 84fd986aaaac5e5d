package connector

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/config"
	"source-planetscale/internal/engine"
	"source-planetscale/internal/record"
	"source-planetscale/internal/row"
	"source-planetscale/internal/table"
)

func (a *app) discoverCommand() *cobra.Command {
	configFile := file{flag: "config"}
	c := &cobra.Command{
		Use: "discover", Short: "Print the catalog: the tables of the database and their columns", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.config(&configFile)
			if err != nil {
				return err
			}
			return a.discover(c.Context(), cfg)
		},
	}
	configFile.register(c, "the configuration `file`")
	return c
}

func (a *app) discover(ctx context.Context, cfg *config.Config) error {
	db, err := openDB(ctx, cfg)
	if err != nil {
		return err
	}
	defer db.Close()
	k, err := db.Tables(ctx)
	if err == nil {
		err = db.AddVindexes(ctx, k)
	}
	if err != nil {
		return err
	}
	for _, w := range k.Warnings {
		a.log.Warn(w)
	}
	if len(k.Views) > 0 {
		a.log.Info(fmt.Sprintf("Views are not streams, and are left out: %s.", strings.Join(k.Views, ", ")))
	}
	a.sayExcluded(k.Excluded)
	if err := a.discoverCascades(ctx, engine.ServerOf(db, cfg.Database)); err != nil {
		return err
	}
	catalog := &airbyte.Catalog{Streams: make([]airbyte.Stream, 0, len(k.Tables))}
	for i := range k.Tables {
		if k.Excluded[k.Tables[i].Name] != nil {
			continue
		}
		s, err := a.describe(cfg, &k.Tables[i])
		if err != nil {
			return err
		}
		catalog.Streams = append(catalog.Streams, *s)
	}
	return a.w.Catalog(catalog)
}

// discoverCascades warns of foreign keys; the catalog does not depend on it.
func (a *app) discoverCascades(ctx context.Context, server engine.Server) error {
	shards, err := server.Shards(ctx)
	if err != nil {
		return engine.GoOn(ctx, a.log, err, "which foreign keys change rows")
	}
	return engine.WarnOfCascades(ctx, a.log, server, shards, engine.AllTables)
}

// sayExcluded names the tables that are not in the catalog, one line for each reason.
func (a *app) sayExcluded(excluded map[string]*table.Exclusion) {
	for _, group := range table.GroupExcluded(excluded) {
		level, names := slog.LevelInfo, strings.Join(group.Names, ", ")
		if group.Remedy != "" {
			level = slog.LevelWarn
		}
		sentence := fmt.Sprintf("Left out of the catalog, as tables that are %s: %s. %s", group.Whose, names, group.Remedy)
		a.log.Log(context.Background(), level, strings.TrimSpace(sentence))
	}
}

// describe makes a table's entry of the catalog.
func (a *app) describe(cfg *config.Config, t *table.Table) (*airbyte.Stream, error) {
	properties := record.OwnSchemas(cfg.IncludeMetadata)
	types := cfg.RowOptions().InKeys(t)
	for _, c := range t.Columns {
		if record.IsOwn(c.Name) {
			a.log.Warn(fmt.Sprintf("Table %s has a column %s, which is the name of a column that this source adds; the table's own is left "+
				"out.", t.Name, c.Name))
			continue
		}
		if w := row.Warning(c, types); w != "" {
			a.log.Warn(fmt.Sprintf("Table %s: %s.", t.Name, w))
		}
		properties[c.Name] = row.JSONSchema(c, types)
	}
	jsonSchema, err := json.Marshal(map[string]any{
		"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": properties,
	})
	if err != nil {
		return nil, fmt.Errorf("the schema of table %s: %w", t.Name, err)
	}
	for _, w := range row.KeyWarnings(t, t.Key, types) {
		a.log.Warn(fmt.Sprintf("Table %s: %s.", t.Name, w))
	}
	s := &airbyte.Stream{
		Name: t.Name, Namespace: cfg.Database, JSONSchema: jsonSchema,
		SupportedSyncModes:  []airbyte.SyncMode{airbyte.FullRefresh, airbyte.Incremental},
		SourceDefinedCursor: true, DefaultCursorField: []string{record.ColumnCursor},
		IsResumable: table.KeyOf(t).Resumable(),
	}
	for _, c := range t.Key {
		s.SourceDefinedPrimaryKey = append(s.SourceDefinedPrimaryKey, []string{c})
	}
	return s, nil
}
