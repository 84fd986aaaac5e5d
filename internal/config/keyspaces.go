package config

import (
	"fmt"
	"slices"
	"strings"

	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/lineage"
)

// everyKeyspace, in the option keyspaces, stands for all that the server has.
const everyKeyspace = "*"

// keyspaces are those to be read.
type keyspaces struct {
	names []string // the option database first, each once
	every bool     // and all that the server has
}

func (c *Config) keyspaces() keyspaces {
	k := keyspaces{names: []string{c.Database}}
	for _, name := range c.Keyspaces {
		switch name = strings.TrimSpace(name); {
		case name == everyKeyspace:
			k.every = true
		case !slices.Contains(k.names, name):
			k.names = append(k.names, name)
		}
	}
	return k
}

func (k keyspaces) several() bool { return k.every || len(k.names) > 1 }

// has reports whether a keyspace is to be read. Vitess' name for a shard or a tablet type is not a keyspace's.
func (k keyspaces) has(name string) bool {
	return slices.Contains(k.names, name) || k.every && name != "" && !strings.ContainsAny(name, "/:@")
}

// Several reports whether more than the one keyspace of the option database may be read.
func (c *Config) Several() bool { return c.keyspaces().several() }

// Reads reports whether a keyspace is to be read.
func (c *Config) Reads(keyspace string) bool { return c.keyspaces().has(keyspace) }

// ReadsEvery reports whether all of the server's keyspaces are to be read, in addition to those that Named returns.
func (c *Config) ReadsEvery() bool { return c.keyspaces().every }

// Named are the keyspaces that the configuration names, the option database's first.
func (c *Config) Named() []string { return c.keyspaces().names }

// Of is the configuration of one of the keyspaces: the option database names it, and the shards and starting positions are its own. The
// others still count as read.
func (c *Config) Of(keyspace string) *Config {
	one := *c
	one.Database, one.Keyspaces = keyspace, append(c.Named(), c.Keyspaces...)
	one.Shards = strings.Join(c.shardsOf(keyspace), ",")
	return &one
}

// shardsOf are the names in the option shards that belong to a keyspace: names without a keyspace belong to that of the option database.
func (c *Config) shardsOf(keyspace string) []string {
	var names []string
	for entry := range strings.SplitSeq(c.Shards, ",") {
		entry = strings.TrimSpace(entry)
		owner, name, qualified := strings.Cut(entry, "/")
		if !qualified {
			owner, name = c.Database, entry
		}
		if name != "" && owner == keyspace {
			names = append(names, name)
		}
	}
	return names
}

// checkShards rejects a shard of a keyspace that is not read: whoever configured it expects it to be.
func (c *Config) checkShards() error {
	n := 0
	for entry := range strings.SplitSeq(c.Shards, ",") {
		n++
		if owner, _, qualified := strings.Cut(strings.TrimSpace(entry), "/"); qualified && !c.Reads(owner) {
			return fmt.Errorf("entry %d of "+failure.Option("Shards", "shards")+" names a keyspace that the source does not read; add the keyspace to "+
				failure.Option("Keyspaces", "keyspaces")+", or remove the shard", n)
		}
	}
	return nil
}

// Pick selects the configured shards of the keyspace among the existing ones; none configured means all. If one was split, the shards
// that cover its key range are selected.
func (c *Config) Pick(existing []gtid.Shard) ([]gtid.Shard, error) {
	var picked []gtid.Shard
	for _, name := range c.shardsOf(c.Database) {
		shard := gtid.Shard{Keyspace: c.Database, Name: name}
		stands := []gtid.Shard{shard}
		if !slices.Contains(existing, shard) {
			stands = lineage.Cover(shard, existing)
		}
		if stands == nil {
			return nil, failure.Config("", failure.Option("Shards", "shards")+" cannot be used: shard %q does not exist in keyspace %s; it has the "+
				"shards %s",
				name, c.Database, strings.Join(gtid.Names(existing), ", "))
		}
		for _, s := range stands {
			if !slices.Contains(picked, s) {
				picked = append(picked, s)
			}
		}
	}
	if picked == nil {
		return existing, nil
	}
	return picked, nil
}
