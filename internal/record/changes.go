package record

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/row"
)

// Changes count, per column and reason, the values that could not be sent as they are, for one WARN each at the end.
type Changes struct {
	mu     sync.Mutex
	counts map[airbyte.Change]*changeCount
}

type changeCount struct {
	values  int64
	longest int // characters of JSON, if the length is the reason
}

// metaChanges are the meta.changes of a record.
func metaChanges(changes []row.Change) []airbyte.Change {
	var list []airbyte.Change
	for _, c := range changes {
		list = append(list, metaChange(c))
	}
	return list
}

func metaChange(c row.Change) airbyte.Change {
	return airbyte.Change{Field: c.Field, Change: c.Change, Reason: c.Reason}
}

// count counts changes of records that were sent.
func (c *Changes) count(changes []row.Change) {
	if len(changes) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[airbyte.Change]*changeCount{}
	}
	for _, change := range changes {
		key := metaChange(change)
		n := c.counts[key]
		if n == nil {
			n = &changeCount{}
			c.counts[key] = n
		}
		n.values++
		n.longest = max(n.longest, change.Length)
	}
}

// Warn reports which values were changed. In a column of the key, that is more than a lost value.
func (c *Changes) Warn(log *slog.Logger, d airbyte.StreamDescriptor, primaryKey []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(c.counts), func(a, b airbyte.Change) int {
		return slices.Compare([]string{a.Field, a.Reason}, []string{b.Field, b.Reason})
	})
	for _, k := range keys {
		n, note := c.counts[k], ""
		if slices.Contains(primaryKey, k.Field) {
			note = " The column is part of the key: the destination may merge such rows into one, or reject them."
		}
		if k.Reason == row.FieldSizeLimitation {
			log.Warn(fmt.Sprintf("Column %s of stream %s: %d values exceed Airbyte's limit (%d characters) and were replaced with null; the longest has %d.%s", k.Field, d, n.values, row.MaxLength, n.longest, note))
			continue
		}
		log.Warn(fmt.Sprintf("Column %s of stream %s: %d values cannot be represented in JSON (such as zero or impossible dates) and were replaced with null.%s", k.Field, d, n.values, note))
	}
}
