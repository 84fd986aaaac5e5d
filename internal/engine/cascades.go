package engine

import (
	"context"
	"log/slog"

	"source-planetscale/internal/gtid"
)

// WarnOfCascades names those of the tables whose rows are changed without being logged in the binary log.
func WarnOfCascades(ctx context.Context, log *slog.Logger, server Server, shards []gtid.Shard, tables func(name string) bool) error {
	cascades, err := server.Cascades(ctx, shards)
	if err != nil {
		return GoOn(ctx, log, err, "which foreign keys change rows")
	}
	for _, c := range cascades {
		if tables(c.Child) {
			log.Warn(c.Warning())
		}
	}
	return nil
}

// AllTables is an argument of WarnOfCascades.
func AllTables(string) bool { return true }
