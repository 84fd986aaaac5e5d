package source

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/row"
	"source-planetscale/internal/table"
)

func (a *app) discoverCommand() *cobra.Command {
	config := file{flag: "config"}
	c := &cobra.Command{
		Use: "discover", Short: "Print the catalog: the tables of the database and their columns", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.config(&config)
			if err != nil {
				return err
			}
			return a.discover(c.Context(), cfg)
		},
	}
	config.register(c, "the configuration `file`")
	return c
}

func (a *app) discover(ctx context.Context, cfg *Config) error {
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
	catalog := &airbyte.Catalog{Streams: make([]airbyte.Stream, 0, len(k.Tables))}
	for i := range k.Tables {
		s, err := a.describe(cfg, &k.Tables[i])
		if err != nil {
			return err
		}
		catalog.Streams = append(catalog.Streams, *s)
	}
	return a.w.Catalog(catalog)
}

// describe makes a table's entry of the catalog.
func (a *app) describe(cfg *Config, t *table.Table) (*airbyte.Stream, error) {
	properties := map[string]json.RawMessage{
		columnCursor:    json.RawMessage(`{"type":["null","number"],"airbyte_type":"integer"}`),
		columnUpdatedAt: json.RawMessage(`{"type":["null","string"],"format":"date-time","airbyte_type":"timestamp_with_timezone"}`),
		columnDeletedAt: json.RawMessage(`{"type":["null","string"],"format":"date-time","airbyte_type":"timestamp_with_timezone"}`),
	}
	if cfg.IncludeMetadata {
		properties[columnMetadata] = json.RawMessage(`{"type":["null","object"],"properties":{"vgtid_position":{"type":["null","string"]},"extracted_at":{"type":["null","number"],"airbyte_type":"integer"},"sequence_number":{"type":["null","number"],"airbyte_type":"integer"}}}`)
	}
	for _, c := range t.Columns {
		if isOurs(c.Name) {
			a.log.Warn(fmt.Sprintf("Table %s has a column %s, which is the name of a column that this source adds; the table's own is left out.", t.Name, c.Name))
			continue
		}
		if w := row.Warning(c, cfg.rowOptions()); w != "" {
			a.log.Warn(fmt.Sprintf("Table %s: %s.", t.Name, w))
		}
		properties[c.Name] = row.JSONSchema(c, cfg.rowOptions())
	}
	jsonSchema, err := json.Marshal(map[string]any{
		"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": properties,
	})
	if err != nil {
		return nil, fmt.Errorf("the schema of table %s: %w", t.Name, err)
	}
	for _, name := range t.Key {
		if table.ParseType(t.Column(name).Type).Base == "float" {
			a.log.Warn(fmt.Sprintf("Table %s has the FLOAT column %s in its key: a copy gives six digits of it, so that several rows may share a key at the destination, and changes of them miss their row. Give the table another key.", t.Name, name))
		}
	}
	s := &airbyte.Stream{
		Name: t.Name, Namespace: cfg.Database, JSONSchema: jsonSchema,
		SupportedSyncModes:  []airbyte.SyncMode{airbyte.FullRefresh, airbyte.Incremental},
		SourceDefinedCursor: true, DefaultCursorField: []string{columnCursor},
		IsResumable: comparableColumns(t, t.MySQLKey),
	}
	for _, c := range t.Key {
		s.SourceDefinedPrimaryKey = append(s.SourceDefinedPrimaryKey, []string{c})
	}
	return s, nil
}
