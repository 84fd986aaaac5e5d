package source

import (
	"context"
	"errors"

	"source-planetscale/internal/schema"
)

// estimate says how many rows the copies will give, where the server says how large its tables are.
func (s *syncer) estimate(ctx context.Context, db *schema.DB) error {
	sizes, err := db.TableSizes(ctx, s.shards)
	if errors.Is(err, schema.ErrRefused) {
		return nil // a progress report without shares and times left
	}
	if err != nil {
		return err
	}
	return s.expect(sizes)
}

// expect notes how many rows the copy of each stream in each shard will give, and says it stream by stream. How many changes
// there are nobody knows. Of a copy that goes on after a key the whole table is counted, since how many rows lie before the key
// is not known either: it gives at most that many. Shards that others replace are planned later, and not counted.
func (s *syncer) expect(sizes map[string]map[string]schema.TableSize) error {
	for _, st := range s.streams {
		var sum schema.TableSize
		known := false
		for _, shard := range s.shards {
			size, ok := sizes[shard][st.table.Name]
			saved := st.state.Shards[shard]
			if !ok || saved == nil || saved.Copy == nil {
				continue
			}
			t := st.tally(shard)
			t.expected, t.resumed = size.Rows, saved.Copy.LastPK != nil
			sum.Rows, sum.Bytes, known = sum.Rows+size.Rows, sum.Bytes+size.Bytes, true
		}
		if !known {
			continue
		}
		if err := s.w.Estimate(st.descriptor, sum.Rows, sum.Bytes); err != nil {
			return err
		}
	}
	return nil
}
