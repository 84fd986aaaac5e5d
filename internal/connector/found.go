package connector

import (
	"fmt"
	"slices"
	"strings"

	"source-planetscale/internal/config"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/schema"
)

// found is the result of check for a keyspace.
type found struct {
	keyspace string
	shards   []gtid.Shard
	tablets  []schema.Tablet // those that it would be read from; none if the server lists none
	tables   int             // that are offered as streams
}

// connected is check's success message. It begins like the former connector's.
func connected(cfg *config.Config, keyspaces ...*found) string {
	text := fmt.Sprintf("Successfully connected to database %s at host %s with username %s.", cfg.Database, cfg.Host, cfg.Username)
	for _, f := range keyspaces {
		text += " " + f.sentence(cfg.TabletType().String())
	}
	return text
}

// sentence describes the keyspace, such as "Keyspace customer: shards -80, 80-, read from 2 PRIMARY tablets in cell zone1; 12 tables."
func (f *found) sentence(tabletType string) string {
	text := fmt.Sprintf("Keyspace %s: %s", f.keyspace, some("shard", gtid.Names(f.shards)))
	if len(f.tablets) > 0 {
		var cells []string
		for _, t := range f.tablets {
			cells = append(cells, t.Cell)
		}
		slices.Sort(cells)
		text += fmt.Sprintf(", read from %s in %s", number(len(f.tablets), tabletType+" tablet"), some("cell", slices.Compact(cells)))
	}
	return text + "; " + number(f.tables, "table") + "."
}

// mostNamed is how many names of one kind a message lists; a keyspace may have hundreds of shards.
const mostNamed = 16

// some lists things of one kind, and says how many more there are.
func some(kind string, names []string) string {
	if len(names) != 1 {
		kind += "s"
	}
	more := ""
	if len(names) > mostNamed {
		names, more = names[:mostNamed], fmt.Sprintf(" and %d more", len(names)-mostNamed)
	}
	return kind + " " + strings.Join(names, ", ") + more
}

func number(n int, kind string) string {
	if n != 1 {
		kind += "s"
	}
	return fmt.Sprintf("%d %s", n, kind)
}

// tried says what a failed check tried to use, because any of it may be mistyped. A username is left out: a password may have been pasted
// into its field.
func tried(cfg *config.Config) string {
	return fmt.Sprintf("Tried: database %s at host %s, MySQL port %d, gRPC port %d.", cfg.Database, cfg.Host, cfg.MySQLPort, cfg.GRPCPort)
}
