package connector

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/config"
	"source-planetscale/internal/engine"
	"source-planetscale/internal/record"
	"source-planetscale/internal/row"
	"source-planetscale/internal/schema"
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
	all, err := a.keyspaces(ctx, cfg, db)
	if err != nil {
		return err
	}
	found := make([]*schema.Contents, len(all))
	failed := each(ctx, all, func(ctx context.Context, i int, k *keyspace) (err error) {
		found[i], err = k.contents(ctx)
		return err
	})
	if len(failed) > 0 {
		return failed[0] // without it, a catalog would lack existing streams
	}
	catalog := &airbyte.Catalog{Streams: []airbyte.Stream{}}
	for i, k := range all {
		streams, err := k.streams(found[i])
		if err != nil {
			return err
		}
		catalog.Streams = append(catalog.Streams, streams...)
	}
	return a.w.Catalog(catalog)
}

// contents are the contents of the keyspace. It also warns about foreign keys, which do not affect the catalog.
func (k *keyspace) contents(ctx context.Context) (*schema.Contents, error) {
	c, err := k.db.Tables(ctx)
	if err == nil {
		err = k.db.AddVindexes(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	shards, err := k.server.Shards(ctx)
	if err != nil {
		return c, engine.GoOn(ctx, k.log, err, "which foreign keys change rows")
	}
	return c, engine.WarnOfCascades(ctx, k.log, k.server, shards, engine.AllTables)
}

// streams are those of the keyspace. It logs what is left out, and which columns need attention.
func (k *keyspace) streams(c *schema.Contents) ([]airbyte.Stream, error) {
	for _, w := range c.Warnings {
		k.log.Warn(w)
	}
	if len(c.Views) > 0 {
		k.log.Info(fmt.Sprintf("Views are not streams, and are left out: %s.", strings.Join(c.Views, ", ")))
	}
	k.sayExcluded(c.Excluded)
	streams := make([]airbyte.Stream, 0, len(c.Tables))
	for i := range c.Tables {
		if c.Excluded[c.Tables[i].Name] != nil {
			continue
		}
		s, err := k.describe(&c.Tables[i])
		if err != nil {
			return nil, err
		}
		streams = append(streams, *s)
	}
	return streams, nil
}

// sayExcluded logs the tables that are not in the catalog, one line for each reason.
func (k *keyspace) sayExcluded(excluded map[string]*table.Exclusion) {
	for _, group := range table.GroupExcluded(excluded) {
		level, names := slog.LevelInfo, strings.Join(group.Names, ", ")
		if group.Remedy != "" {
			level = slog.LevelWarn
		}
		sentence := fmt.Sprintf("Left out of the catalog, because they are %s: %s. %s", group.Whose, names, group.Remedy)
		k.log.Log(context.Background(), level, strings.TrimSpace(sentence))
	}
}

// describe creates a table's entry in the catalog.
func (k *keyspace) describe(t *table.Table) (*airbyte.Stream, error) {
	properties := record.OwnSchemas(k.cfg.IncludeMetadata)
	types := k.cfg.RowOptions().InKeys(t)
	for _, c := range t.Columns {
		if record.IsOwn(c.Name) {
			k.log.Warn(fmt.Sprintf("Table %s has a column %s, a name that this source uses for a column of its own; the table's column is left out.", t.Name, c.Name))
			continue
		}
		if w := row.Warning(c, types); w != "" {
			k.log.Warn(fmt.Sprintf("Table %s: %s.", t.Name, w))
		}
		properties[c.Name] = row.JSONSchema(c, types)
	}
	jsonSchema, err := json.Marshal(map[string]any{
		"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": properties,
	})
	if err != nil {
		return nil, fmt.Errorf("the schema of table %s: %w", t.Name, err)
	}
	for _, w := range slices.Concat(row.KeyWarnings(t, t.Key, types), row.TableWarnings(t)) {
		k.log.Warn(fmt.Sprintf("Table %s: %s.", t.Name, w))
	}
	s := &airbyte.Stream{
		Name: t.Name, Namespace: k.cfg.Database, JSONSchema: jsonSchema,
		SupportedSyncModes:  []airbyte.SyncMode{airbyte.FullRefresh, airbyte.Incremental},
		SourceDefinedCursor: true, DefaultCursorField: []string{record.ColumnCursor},
		IsResumable: table.KeyOf(t).Resumable(),
	}
	for _, c := range t.Key {
		s.SourceDefinedPrimaryKey = append(s.SourceDefinedPrimaryKey, []string{c})
	}
	return s, nil
}
