package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"

	"source-planetscale/internal/destination"
)

func (d *demo) spec(ctx context.Context) error {
	r, err := d.connect(ctx, "spec.jsonl", "spec")
	if err != nil {
		return err
	}
	groups, err := parseSpec(r.Spec)
	if err != nil {
		return err
	}
	for _, g := range groups {
		d.list(fmt.Sprintf("  %-13s", g.title), g.options)
	}
	return nil
}

// configure writes a configuration: the sandbox's, for its unsharded keyspace, with other options.
func (d *demo) configure(file string, options map[string]any) error {
	raw, err := os.ReadFile(d.sandbox.ConfigUnsharded)
	if err != nil {
		return err
	}
	var config map[string]any
	if err := json.Unmarshal(raw, &config); err != nil {
		return fmt.Errorf("the sandbox's configuration %s is not JSON: %w", d.sandbox.ConfigUnsharded, err)
	}
	maps.Copy(config, options)
	if raw, err = json.MarshalIndent(config, "", "  "); err != nil {
		return err
	}
	return os.WriteFile(file, raw, 0o600)
}

// check is shown twice: with the source's configuration, and with a wrong password.
func (d *demo) check(ctx context.Context) error {
	d.say("One source reads both keyspaces: its option database is %s, its option keyspaces is [%s].", commerce, customer)
	wrong := d.path("source-wrong-password.json")
	if err := d.configure(wrong, map[string]any{"keyspaces": []string{customer}, "password": "not the password"}); err != nil {
		return err
	}
	for _, one := range []struct{ file, config, want string }{
		{"check.jsonl", d.source.config, "SUCCEEDED"},
		{"check-wrong-password.jsonl", wrong, "FAILED"},
	} {
		r, err := d.connect(ctx, one.file, "check", "--config", one.config)
		if err != nil {
			return err
		}
		if r.Check == nil || r.Check.Status != one.want {
			return fmt.Errorf("check should have said %s; what it said is in %s", one.want, r.file)
		}
		d.checked(r.Check)
	}
	return nil
}

func (d *demo) checked(c *destination.Check) {
	if c.Status == "SUCCEEDED" {
		d.good("%s: %s", c.Status, c.Message)
		return
	}
	d.say("%s: %s", d.paint(red, c.Status), c.Message)
}

// discover finds the streams, and configures those of the demo as a user does on Airbyte's page.
func (d *demo) discover(ctx context.Context) error {
	r, err := d.connect(ctx, "discover.jsonl", "discover", "--config", d.source.config)
	if err != nil {
		return err
	}
	if d.source.catalog, err = destination.Configure(r.Catalog, "incremental", tableNames(shop)...); err != nil {
		return errors.Join(errors.New("discover did not find all of the demo's tables"), err)
	}
	streams, err := parseStreams(d.source.catalog)
	if err != nil {
		return err
	}
	for _, s := range streams {
		d.say("%-26s %2d columns, key: %s", s.Stream, len(s.columns), s.key)
		d.list("      ", s.columns)
	}
	if err := os.WriteFile(d.catalogFile(), d.source.catalog, 0o600); err != nil {
		return err
	}
	if d.source.tables, err = destination.NewTables(d.source.catalog); err != nil {
		return err
	}
	d.good("%d streams of %d keyspaces, chosen for incremental sync in %s", len(streams), len(keyspaces), d.catalogFile())
	d.say("Each stream also has the columns %s.", strings.Join(cdcColumns, ", "))
	return nil
}

func (d *demo) catalogFile() string { return d.path("catalog.json") }
