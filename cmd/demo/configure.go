package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// check is shown three times: for each keyspace, and with a wrong password.
func (d *demo) check(ctx context.Context) error {
	wrong, err := d.wrongPassword()
	if err != nil {
		return err
	}
	for _, one := range []struct{ name, config, want string }{
		{commerce, d.keyspaces[0].config, "SUCCEEDED"},
		{customer, d.keyspaces[1].config, "SUCCEEDED"},
		{"wrong-password", wrong, "FAILED"},
	} {
		r, err := d.connect(ctx, "check-"+one.name+".jsonl", "check", "--config", one.config)
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

// wrongPassword writes a configuration that the server is to refuse.
func (d *demo) wrongPassword() (string, error) {
	raw, err := os.ReadFile(d.sandbox.ConfigSharded)
	if err != nil {
		return "", err
	}
	var config map[string]any
	if err := json.Unmarshal(raw, &config); err != nil {
		return "", fmt.Errorf("the sandbox's configuration %s is not JSON: %w", d.sandbox.ConfigSharded, err)
	}
	config["password"] = "not the password"
	if raw, err = json.MarshalIndent(config, "", "  "); err != nil {
		return "", err
	}
	file := d.path("source-wrong-password.json")
	return file, os.WriteFile(file, raw, 0o600)
}

// discover finds the streams, and configures those of the demo as a user does on Airbyte's page.
func (d *demo) discover(ctx context.Context) error {
	for _, k := range d.keyspaces {
		r, err := d.connect(ctx, "discover-"+k.name+".jsonl", "discover", "--config", k.config)
		if err != nil {
			return err
		}
		names := tableNames(tablesOf(k.name))
		if k.catalog, err = destination.Configure(r.Catalog, "incremental", names...); err != nil {
			return errors.Join(errors.New("discover did not find all of the demo's tables"), err)
		}
		streams, err := parseStreams(k.catalog)
		if err != nil {
			return err
		}
		for _, s := range streams {
			d.say("%-17s %2d columns, key: %s", s.name, len(s.columns), s.key)
			d.list("      ", s.columns)
		}
		file := d.catalogOf(k)
		if err := os.WriteFile(file, k.catalog, 0o600); err != nil {
			return err
		}
		if k.tables, err = destination.NewTables(k.catalog); err != nil {
			return err
		}
		d.good("%d streams, chosen for incremental sync in %s", len(streams), file)
	}
	d.say("Each stream has the columns %s, too.", strings.Join(cdcColumns, ", "))
	return nil
}

func (d *demo) catalogOf(k *keyspace) string { return d.path("catalog-" + k.name + ".json") }
