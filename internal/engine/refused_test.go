package engine

import (
	"context"
	"slices"
	"testing"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/table"
)

// A sync continues without the result of any query that an older server does not know or a service does not allow, and without all of
// them.
func TestSyncWithoutWhatIsRefused(t *testing.T) {
	refusals := map[string]func(*Server){
		"variables": func(s *Server) {
			s.Variables = func(context.Context, gtid.Shard) (schema.Variables, error) {
				return schema.Variables{}, schema.ErrRefused
			}
		},
		"sizes": func(s *Server) {
			s.TableSizes = func(context.Context, []gtid.Shard) (map[gtid.Shard]map[string]schema.TableSize, error) {
				return nil, schema.ErrRefused
			}
		},
		"foreign keys": func(s *Server) {
			s.Cascades = func(context.Context, []gtid.Shard) ([]schema.Cascade, error) { return nil, schema.ErrRefused }
		},
		"columns at a position": func(s *Server) {
			s.TablesAt = func(context.Context, gtid.Shard, []string, bool) (map[string]table.Table, schema.Moment, error) {
				return nil, schema.Moment{}, schema.ErrRefused
			}
		},
		"purged": func(s *Server) {
			s.Purged = func(context.Context, gtid.Shard, string) (bool, error) { return false, schema.ErrRefused }
		},
	}
	refusals["all"] = func(s *Server) {
		for name, refuse := range refusals {
			if name != "all" {
				refuse(s)
			}
		}
	}
	for name, refuse := range refusals {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 7, func(q *request, send func(...*event), done <-chan struct{}) error {
				if tables := tablesIn(q); slices.Contains(tables, "orders") {
					copyOf(send, "orders", 7)
				} else {
					send(insert(7, tables...)...)
				}
				return hold(done)
			})
			r.exists("orders", "users")
			r.asks = refuse
			out, err := r.read(r.atPosition(map[string]gtid.Position{"users": at(5)}), "orders", "users")
			if err != nil {
				t.Fatalf("error %v, traces %+v", err, out.Errors)
			}
			if got := rowsByTable(out); !slices.Equal(got, []string{"orders 1:a", "orders 2:b", "users 7:x"}) {
				t.Errorf("records %v", got)
			}
		})
	}
}
