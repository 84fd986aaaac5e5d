package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/schema"
)

// If one shard does not report how it logs rows, the others are still checked.
func TestEachShardIsAskedHowItLogsRows(t *testing.T) {
	partial, whole := schema.Variables{RowImage: "NOBLOB", Format: "ROW"}, schema.Variables{RowImage: "FULL", Format: "ROW"}
	for name, c := range map[string]struct {
		refuse []string
		lost   bool // the connection is lost at shard 80-
		other  schema.Variables
		fails  string
		says   string
	}{
		"the one is silent, the other partial": {[]string{"-80"}, false, partial, "shard 80-", ""},
		"the one is silent, the other whole":   {[]string{"-80"}, false, whole, "", "how the servers of -80 log rows"},
		"both are silent":                      {[]string{"-80", "80-"}, false, whole, "", "how the servers of -80, 80- log rows"},
		"the one is silent, the other is lost": {[]string{"-80"}, true, whole, "lost", ""},
		"none":                                 {nil, false, whole, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log logLines
			err := CheckRowImages(t.Context(), &log, Server{Variables: func(_ context.Context, shard gtid.Shard) (schema.Variables, error) {
				switch {
				case slices.Contains(c.refuse, shard.Name):
					return schema.Variables{}, schema.ErrRefused
				case shard.Name == "-80":
					return whole, nil
				case c.lost:
					return schema.Variables{}, errors.New("lost")
				}
				return c.other, nil
			}}, gtid.Shards("shop", "-80", "80-"))
			if c.fails == "" && err != nil || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
				t.Errorf("error %v", err)
			}
			if len(log) > 1 || !strings.Contains(strings.Join(log, ""), c.says) || c.says == "" && len(log) > 0 {
				t.Errorf("log %v", log)
			}
		})
	}
}

// logLines is a Logger that collects messages.
type logLines []string

// Info implements Logger.
func (h *logLines) Info(text string, _ ...any) { *h = append(*h, text) }
