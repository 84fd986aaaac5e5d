package engine

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// round blocks queries until all of them have been sent: queries that wait for each other's results never get there.
type round struct {
	name string
	want int
	mu   sync.Mutex
	came []string
	all  chan struct{}
}

func newRound(name string, want int) *round {
	return &round{name: name, want: want, all: make(chan struct{})}
}

// ask waits for the other queries. If the sync is cancelled, it returns which of them have arrived.
func (r *round) ask(ctx context.Context, question string) error {
	r.mu.Lock()
	if r.came = append(r.came, question); len(r.came) == r.want {
		close(r.all)
	}
	r.mu.Unlock()
	select {
	case <-r.all:
		return nil
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		return fmt.Errorf("in round %s only %d of %d queries were sent: %v", r.name, len(r.came), r.want, r.came)
	}
}

// rounds are the rounds of queries of a sync before its first row, each of which costs a round trip. Up to 8 shards are queried at once.
type rounds struct{ before, after, purged *round }

func (r *rig) inRounds(shards, copies int) *rounds {
	of := &rounds{newRound("before the peek", 2*shards), newRound("after the peek", 2*shards+4+copies), newRound("of positions", shards)}
	r.asks = func(s *Server) {
		tables, variables := s.TablesAt, s.Variables
		s.TablesAt = func(ctx context.Context, shard gtid.Shard, names []string, keys bool) (map[string]table.Table, schema.Moment, error) {
			in := of.after
			if keys {
				in = of.before
			}
			if err := in.ask(ctx, "tables of "+shard.Name); err != nil {
				return nil, schema.Moment{}, err
			}
			found, m, err := tables(ctx, shard, names, keys)
			if keys { // something is written: the columns are queried again
				m.Before = at(19).GTIDSet()
			}
			return found, m, err
		}
		s.Primary.Incarnations = func(ctx context.Context, shard gtid.Shard, _ []string) (map[string]table.Incarnation, error) {
			return map[string]table.Incarnation{}, of.before.ask(ctx, "incarnations of "+shard.Name)
		}
		s.Variables = func(ctx context.Context, shard gtid.Shard) (schema.Variables, error) {
			if err := of.after.ask(ctx, "variables of "+shard.Name); err != nil {
				return schema.Variables{}, err
			}
			return variables(ctx, shard)
		}
		s.Moved = func(ctx context.Context, _ []string) (map[string]string, error) {
			return nil, of.after.ask(ctx, "moved tables")
		}
		s.Journals = func(ctx context.Context, shards []gtid.Shard) (map[gtid.Shard][]*binlogdatapb.Journal, error) {
			journals := map[gtid.Shard][]*binlogdatapb.Journal{}
			if len(shards) == 0 {
				return journals, nil
			}
			for _, shard := range shards {
				journals[shard] = nil
			}
			return journals, of.after.ask(ctx, "journals")
		}
		s.Cascades = func(ctx context.Context, _ []gtid.Shard) ([]schema.Cascade, error) {
			return nil, of.after.ask(ctx, "cascades")
		}
		s.References = func(ctx context.Context, _ []string) (map[string]bool, error) {
			return nil, of.after.ask(ctx, "references")
		}
		s.TableSizes = func(ctx context.Context, _ []gtid.Shard) (map[gtid.Shard]map[string]schema.TableSize, error) {
			return map[gtid.Shard]map[string]schema.TableSize{}, of.after.ask(ctx, "sizes")
		}
		s.Purged = func(ctx context.Context, shard gtid.Shard, _ string) (bool, error) {
			return false, of.purged.ask(ctx, "position in "+shard.Name)
		}
	}
	return of
}

var eightShards = []string{"-20", "20-40", "40-60", "60-80", "80-a0", "a0-c0", "c0-e0", "e0-"}

// Before its first row a sync of 8 shards queries the shards, then everything about them, then their positions, and then everything that
// must be known after that: four consecutive round trips after the login, and a fifth if saved positions differ from the shards'.
func TestQuestionsGoOutTogether(t *testing.T) {
	for name, c := range map[string]struct{ saved, copies, purged int }{
		"a first sync":                {0, 1, 0},
		"nothing was changed":         {20, 0, 0},
		"changed since the last sync": {15, 0, len(eightShards)},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 20, func(_ *request, _ func(...*event), done <-chan struct{}) error { return hold(done) })
			r.newShards(eightShards...)
			r.exists("users", "orders")
			of := r.inRounds(len(eightShards), c.copies)
			in := noState()
			if c.saved > 0 {
				shards := map[gtid.Shard]*state.Shard{}
				for _, shard := range r.wanted() {
					shards[shard] = &state.Shard{Position: at(c.saved)}
				}
				columns := testTable("users").Columns
				saved := &state.Stream{Columns: columns, Shards: shards}
				in = r.handedBack(map[string]*state.Stream{"users": saved, "orders": saved})
			}
			ctx, cancel := context.WithTimeout(t.Context(), hangs)
			defer cancel()
			catalog := r.catalog(users("shop"), airbyte.StreamDescriptor{Name: "orders", Namespace: "shop"})
			s, err := r.engine().prepare(ctx, catalog, in)
			if err != nil || len(s.refused) > 0 || len(s.streams) != 2 {
				t.Fatalf("%v, %+v", err, s)
			}
			if n := len(of.purged.came); n != c.purged {
				t.Errorf("%d positions were queried", n)
			}
			for _, round := range []*round{of.before, of.after} {
				if len(round.came) != round.want {
					t.Errorf("%s: %d queries: %v", round.name, len(round.came), round.came)
				}
			}
		})
	}
}

// Before its first row a copy asks for the columns and for the shards that serve: in one round trip.
func TestACopyAsksTogetherBeforeItsFirstRow(t *testing.T) {
	r := newRig(t, 7, func(_ *request, send func(...*event), done <-chan struct{}) error {
		copyOf(send, "users", 7)
		return hold(done)
	})
	r.exists("users")
	of, asked := newRound("before the first row", 2), atomic.Bool{}
	r.look = func(ctx context.Context, shard gtid.Shard, only []string, keys bool) (map[string]table.Table, error) {
		if only != nil && keys && !asked.Swap(true) {
			if err := of.ask(ctx, "columns"); err != nil {
				return nil, err
			}
		}
		return r.tables(ctx, shard, only, keys)
	}
	var prepared atomic.Bool
	r.serving = func(ctx context.Context) ([]gtid.Shard, error) {
		if prepared.Swap(true) {
			if err := of.ask(ctx, "shards"); err != nil {
				return nil, err
			}
		}
		return r.wanted(), nil
	}
	out, err := r.read(noState(), "users")
	if err != nil || len(out.Records) == 0 {
		t.Errorf("%d records, error %v, traces %+v", len(out.Records), err, out.Errors)
	}
}
