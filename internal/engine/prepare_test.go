package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/record"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// read runs a whole sync of incremental streams over the rig's tables, including its queries.
func (r *rig) read(in *airbyte.State, names ...string) (*destination.Output, error) {
	r.t.Helper()
	var streams []airbyte.StreamDescriptor
	for _, name := range names {
		streams = append(streams, airbyte.StreamDescriptor{Name: name, Namespace: "shop"})
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), hangs)
	defer cancel()
	out, err := r.ended(r.engine().Read(ctx, r.catalog(streams...), in))
	r.mustNotHang(err, out)
	return out, err
}

// catalog returns a catalog of incremental streams, each with the columns of a testTable.
func (r *rig) catalog(streams ...airbyte.StreamDescriptor) *airbyte.ConfiguredCatalog {
	r.t.Helper()
	catalog := &airbyte.ConfiguredCatalog{}
	for _, d := range streams {
		properties := map[string]any{record.ColumnCursor: map[string]any{}, record.ColumnDeletedAt: map[string]any{}}
		for _, c := range testTable(d.Name).Columns {
			properties[c.Name] = map[string]any{}
		}
		text, err := json.Marshal(map[string]any{"properties": properties})
		if err != nil {
			r.t.Fatal(err)
		}
		catalog.Streams = append(catalog.Streams, airbyte.ConfiguredStream{
			Stream: airbyte.Stream{Name: d.Name, Namespace: d.Namespace, JSONSchema: text}, SyncMode: airbyte.Incremental,
		})
	}
	return catalog
}

// ended returns what a sync printed, and how it ended.
func (r *rig) ended(runErr error) (*destination.Output, error) {
	r.t.Helper()
	r.out.mu.Lock()
	defer r.out.mu.Unlock()
	out, err := destination.Parse(bytes.NewReader(r.out.buf.Bytes()))
	if err != nil {
		r.t.Fatal(err)
	}
	return out, runErr
}

// exists adds tables without states.
func (r *rig) exists(names ...string) {
	for _, name := range names {
		r.now[name] = *testTable(name)
	}
}

// handedBack is a state as the platform passes it to the next sync.
func (r *rig) handedBack(saved map[string]*state.Stream) *airbyte.State {
	r.t.Helper()
	in := &airbyte.State{Streams: map[airbyte.StreamDescriptor]json.RawMessage{}}
	for name, s := range saved {
		s.Columns = testTable(name).Columns
		data, err := s.MarshalJSON()
		if err != nil {
			r.t.Fatal(err)
		}
		in.Streams[airbyte.StreamDescriptor{Name: name, Namespace: "shop"}] = data
	}
	return in
}

func (r *rig) atPosition(names map[string]gtid.Position) *airbyte.State {
	saved := map[string]*state.Stream{}
	for name, p := range names {
		saved[name] = &state.Stream{Shards: map[gtid.Shard]*state.Shard{in("-"): {Position: p}}}
	}
	return r.handedBack(saved)
}

func positionOf(t *testing.T, text string) gtid.Position {
	t.Helper()
	p, err := gtid.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A state that cannot be used fails only its own stream.
func TestDamagedStateFailsItsStreamAlone(t *testing.T) {
	for name, damaged := range map[string]string{
		"a position": `{"version":1,"sync_mode":"incremental","shards":{"-":{"position":"nonsense"}}}`,
		"a release":  `{"version":2,"sync_mode":"incremental"}`,
		"a shard":    `{"version":1,"sync_mode":"incremental","shards":{"zz-":{"position":"16b1039f-22b6-11ed-b765-0a43f95f28a3:1-5"}}}`,
		"nothing":    `{}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 9, func(q *request, send func(...*event), done <-chan struct{}) error {
				send(insert(9, tablesIn(q)...)...)
				return hold(done)
			})
			r.exists("users", "others")
			in := r.atPosition(map[string]gtid.Position{"others": at(5)})
			in.Streams[airbyte.StreamDescriptor{Name: "users", Namespace: "shop"}] = json.RawMessage(damaged)
			out, err := r.read(in, "users", "others")
			if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 1 || out.Errors[0].Stream.Name != "users" || out.Errors[0].FailureType != "config_error" {
				t.Errorf("error %v, traces %+v", err, out.Errors)
			}
			if got := rowsByTable(out); !slices.Equal(got, []string{"others 9:x"}) || out.Statuses[streamNamed("users")] != "INCOMPLETE" {
				t.Errorf("records %v, statuses %v", got, out.Statuses)
			}
			if slices.ContainsFunc(out.States, func(s destination.State) bool { return s.Stream.Name == "users" }) {
				t.Error("the damaged state was replaced")
			}
		})
	}
}

// A damaged state of another database's table does not affect our table with the same name.
func TestDamagedStateOfAnotherDatabaseIsNotOurs(t *testing.T) {
	catalog, in := &airbyte.ConfiguredCatalog{}, &airbyte.State{Streams: map[airbyte.StreamDescriptor]json.RawMessage{}}
	for _, namespace := range []string{"shop", "elsewhere"} {
		s := airbyte.Stream{Name: "users", Namespace: namespace}
		catalog.Streams = append(catalog.Streams, airbyte.ConfiguredStream{Stream: s, SyncMode: airbyte.Incremental})
		if namespace != "shop" {
			in.Streams[s.Descriptor()] = json.RawMessage(`{}`)
		}
	}
	if _, damaged := newRig(t, 9, nil).engine().savedStates(catalog, in.Streams, nil); len(damaged) > 0 {
		t.Errorf("damaged %v", damaged)
	}
}

// another is the UUID of a server that has written nothing.
const another = "88b1039f-22b6-11ed-b765-0a43f95f28a3"

// A transaction that only one replica has is excluded from the positions at which a sync stops and starts, and from those it saves.
func TestTransactionsOfOneReplicaAloneAreLeftOut(t *testing.T) {
	const uuid = fakevtgate.UUID
	five, six := fakevtgate.GTID(5), fakevtgate.GTID(6)
	for name, c := range map[string]struct {
		saved    string
		server   string // the primary's UUID
		executed string // and its gtid_executed
		refused  error
		asked    string // where the stream starts; "" for no stream
		saves    string
	}{
		"in the saved position":             {five + "," + stray, uuid, uuid + ":1-7", nil, five, six},
		"in none":                           {five, uuid, uuid + ":1-7", nil, five, six},
		"where the replica is":              {five, another, uuid + ":1-5", nil, "", five},
		"the primary is about to commit it": {five, uuid, uuid + ":1-5", nil, "", five},
		"the primary may not be asked":      {five, "", "", schema.ErrRefused, five, six},
		"the primary is another":            {five, another, another + ":1-7", nil, five, six},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
				send(insert(6, "users")...)
				return hold(done)
			})
			r.configure(`,"use_replica":true`)
			r.exists("users")
			r.asks = func(s *Server) {
				s.Primary.Executed = func(context.Context, gtid.Shard) (string, string, error) { return c.server, c.executed, c.refused }
			}
			out, err := r.read(r.atPosition(map[string]gtid.Position{"users": positionOf(t, c.saved)}), "users")
			if err != nil {
				t.Fatalf("error %v, traces %+v", err, out.Errors)
			}
			asked := ""
			for _, q := range r.requests() {
				asked += q.Vgtid.ShardGtids[0].Gtid
			}
			if asked != c.asked {
				t.Errorf("the stream starts at %s", asked)
			}
			if last := lastOf(t, out.States, "users"); last.Position.String() != c.saves {
				t.Errorf("saved %s", last.Position)
			}
		})
	}
}

// Only the stream finds out that the server cannot stream from a position: with "Re-sync data" the partition is copied in the same sync.
func TestPositionThatCannotBeStreamedFromIsCopiedAgain(t *testing.T) {
	for name, text := range map[string]string{
		"XA":                  "vttablet: unexpected statement type UNKNOWN in row-based replication: XA COMMIT X'61',X'',1",
		"DDL behind a #":      "unexpected statement type UNKNOWN in row-based replication: # odd\nalter table t add c int",
		"purged in between":   "Cannot replicate because the source purged required binary logs",
		"another server's":    "GTIDSet Mismatch: requested source position:a, current target vrep position: b",
		"MySQL's own refusal": "errno 1236: The source has purged binary logs",
	} {
		for _, resync := range []bool{true, false} {
			t.Run(name+map[bool]string{true: ", resync", false: ", fail"}[resync], func(t *testing.T) {
				r := newRig(t, 7, func(q *request, send func(...*event), done <-chan struct{}) error {
					switch q.Vgtid.ShardGtids[0].Gtid {
					case "":
						copyOf(send, tablesIn(q)[0], 7)
						return hold(done)
					}
					return status.Error(codes.Unknown, text)
				})
				if resync {
					r.configure(`,"invalid_cdc_cursor_position_behavior":"Re-sync data"`)
				}
				r.exists("users", "others")
				out, err := r.read(r.atPosition(map[string]gtid.Position{"users": at(5), "others": at(6)}), "users", "others")
				if !resync {
					if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 2 || out.Errors[0].FailureType != "config_error" || len(out.Records) > 0 {
						t.Errorf("error %v, traces %+v, records %v", err, out.Errors, rows(out))
					}
					return
				}
				if got := rowsByTable(out); err != nil || !slices.Equal(got, []string{"others 1:a", "others 2:b", "users 1:a", "users 2:b"}) {
					t.Fatalf("records %v, error %v, traces %+v", got, err, out.Errors)
				}
				for _, name := range []string{"users", "others"} {
					if last := lastOf(t, out.States, name); last.Copy != nil || !last.Position.Equal(at(7)) {
						t.Errorf("%s is at %+v", name, last)
					}
					if !warns(out, "Stream shop."+name+" is copied again from shard -") {
						t.Errorf("%s is copied again without a message: %+v", name, out.Logs)
					}
				}
			})
		}
	}
}

// Three streams share a VStream from the position of the first. What it cannot pass lies before the position of the third.
func TestWhatLiesBeforeAPositionIsNotItsFault(t *testing.T) {
	for name, text := range map[string]string{
		"unreadable": "vttablet: unexpected statement type UNKNOWN in row-based replication: XA COMMIT X'61',X'',1",
		"purged":     "Cannot replicate because the source purged required binary logs",
	} {
		for _, resync := range []bool{true, false} {
			t.Run(name+map[bool]string{true: ", resync", false: ", fail"}[resync], func(t *testing.T) {
				r := newRig(t, 8, func(q *request, send func(...*event), done <-chan struct{}) error {
					switch q.Vgtid.ShardGtids[0].Gtid {
					case "":
						copyOf(send, tablesIn(q)[0], 8)
					case fakevtgate.GTID(7):
						send(insert(8, "later")...)
					default:
						return status.Error(codes.Unknown, text)
					}
					return hold(done)
				})
				if resync {
					r.configure(`,"invalid_cdc_cursor_position_behavior":"Re-sync data"`)
				}
				r.exists("users", "others", "later")
				out, err := r.read(r.atPosition(map[string]gtid.Position{"users": at(5), "others": at(6), "later": at(7)}), "users", "others", "later")
				want := []string{"later 8:x"}
				if resync {
					want = append(want, "others 1:a", "others 2:b", "users 1:a", "users 2:b")
				}
				if got := rowsByTable(out); !slices.Equal(got, want) || (err == nil) != resync {
					t.Errorf("records %v, error %v, traces %+v", got, err, out.Errors)
				}
				for _, e := range out.Errors {
					if strings.Contains(e.Message, "later") || resync {
						t.Errorf("trace %+v", e)
					}
				}
				if last := lastOf(t, out.States, "later"); !last.Position.Equal(at(8)) {
					t.Errorf("the stream that is further on is at %s", last.Position)
				}
			})
		}
	}
}

// A table that differs between two shards fails alone, and the error names it.
func TestTableThatDiffersBetweenShardsFailsAlone(t *testing.T) {
	t.Parallel()
	other := func(change func(*table.Table)) table.Table {
		users := testTable("users")
		change(users)
		return *users
	}
	for name, c := range map[string]struct {
		in80  *table.Table
		fails bool
	}{
		"another column":   {new(other(func(t *table.Table) { t.Columns = append(t.Columns, table.Column{Name: "c", Type: "int"}) })), true},
		"another type":     {new(other(func(t *table.Table) { t.Columns[0].Type = "int" })), true},
		"another order":    {new(other(func(t *table.Table) { slices.Reverse(t.Columns) })), true},
		"another key":      {new(other(func(t *table.Table) { t.MySQLKey = []string{"name"} })), true},
		"not there":        {nil, true},
		"a unique index":   {new(other(func(t *table.Table) { t.Unique = []table.UniqueKey{{Columns: []string{"name"}}} })), false},
		"not even a space": {testTable("users"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each retries with pauses
			r := newRig(t, 20, func(q *request, send func(...*event), done <-chan struct{}) error {
				shard := q.Vgtid.ShardGtids[0].Shard
				events := insert(6, tablesIn(q)...)
				inShard(shard, events[len(events)-2]).Vgtid.ShardGtids[0].Gtid = fakevtgate.GTID(20)
				send(events...)
				return hold(done)
			})
			r.newShards("-80", "80-")
			r.exists("users", "others")
			r.look = func(_ context.Context, shard gtid.Shard, _ []string, _ bool) (map[string]table.Table, error) {
				tables := map[string]table.Table{"others": *testTable("others"), "users": *testTable("users")}
				if shard == in("80-") {
					if delete(tables, "users"); c.in80 != nil {
						tables["users"] = *c.in80
					}
				}
				return tables, nil
			}
			saved := map[string]*state.Stream{}
			for _, name := range []string{"users", "others"} {
				saved[name] = &state.Stream{Shards: map[gtid.Shard]*state.Shard{in("-80"): {Position: at(5)}, in("80-"): {Position: at(5)}}}
			}
			out, err := r.read(r.handedBack(saved), "users", "others")
			if !c.fails {
				if err != nil {
					t.Errorf("error %v, traces %+v", err, out.Errors)
				}
				return
			}
			if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 1 || out.Errors[0].Stream.Name != "users" || out.Statuses[streamNamed("others")] != "COMPLETE" {
				t.Fatalf("error %v, traces %+v, statuses %v", err, out.Errors, out.Statuses)
			}
			if e := out.Errors[0]; e.FailureType != "transient_error" || !strings.Contains(e.Message, "Table shop.users differs between the shards -80 and 80-") {
				t.Errorf("trace %+v", e)
			}
		})
	}
}

// Columns and a position belong together only if the position is between the positions at which the columns were read, apart from
// transactions that only one replica has.
func TestPositionBetweenTheViewsOfTheColumns(t *testing.T) {
	uuid := fakevtgate.UUID
	moment := func(before, after string) *schema.Moment {
		return &schema.Moment{Server: "a", Before: uuid + ":" + before, After: uuid + ":" + after}
	}
	own := func(m *schema.Moment) *schema.Moment { m.Before += "," + stray; m.After += "," + stray; return m }
	for name, c := range map[string]struct {
		before, after *schema.Moment
		known         string // the primary's transactions; "" if it is not queried
		surrounds     bool
	}{
		"fits exactly":                      {moment("1-5", "1-5"), moment("1-5", "1-5"), "", true},
		"fits, while changes come":          {moment("1-3", "1-4"), moment("1-6", "1-7"), "", true},
		"the first look is ahead":           {moment("1-6", "1-6"), moment("1-6", "1-6"), "", false},
		"altered during the first look":     {moment("1-5", "1-6"), moment("1-7", "1-7"), "", false},
		"the second look is behind":         {moment("1-4", "1-4"), moment("1-4", "1-4"), "", false},
		"the second look began behind":      {moment("1-4", "1-4"), moment("1-4", "1-6"), "", false},
		"another server's":                  {moment("1-4", "1-4"), &schema.Moment{Before: stray, After: stray}, "", false},
		"damaged":                           {moment("x", "x"), moment("1-6", "1-6"), "", false},
		"a replica's own":                   {own(moment("1-5", "1-5")), own(moment("1-5", "1-6")), uuid + ":1-7", true},
		"its own, and it is ahead":          {own(moment("1-6", "1-6")), own(moment("1-6", "1-6")), uuid + ":1-7", false},
		"its own, and another one's behind": {own(moment("1-5", "1-5")), moment("1-4", "1-4"), uuid + ":1-7", false},
		"the primary knows them":            {own(moment("1-5", "1-5")), own(moment("1-5", "1-5")), uuid + ":1-7," + stray, false},
	} {
		v := &view{before: c.before, after: c.after}
		if c.known != "" {
			v.known.executed = positionOf(t, c.known)
		}
		if got := v.surrounds(at(5)); got != c.surrounds {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The columns are read once if nothing was written from before they were read until the peek.
func TestNothingWrittenUntilThePeek(t *testing.T) {
	for name, c := range map[string]struct {
		before, after string
		want          bool
	}{
		"nothing":                         {"1-5", "1-5", true},
		"while the columns were read":     {"1-4", "1-5", false},
		"after the columns were read":     {"1-4", "1-4", false},
		"the peek is of a replica behind": {"1-6", "1-6", false},
		"another server's":                {"1-5," + stray, "1-5," + stray, false},
		"damaged":                         {"x", "x", false},
	} {
		v := &view{before: &schema.Moment{Before: fakevtgate.UUID + ":" + c.before, After: fakevtgate.UUID + ":" + c.after}}
		if got := v.rested(at(5)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The tables are read again only if that can help; otherwise they are read once, and the problem is reported.
func TestLooksAtTheTables(t *testing.T) {
	t.Parallel()
	const again = "The tables are being altered"
	for name, c := range map[string]struct {
		replica  bool
		refuses  int      // the first look whose query for columns with their positions is refused; 0 for never
		errant   bool     // the replica that answers has errant transactions
		busy     bool     // there are transactions while the columns are read for the first time
		moments  int      // how often the columns are queried with their positions
		change   int      // the query for tables before which a column was added; 0 for none
		looks    int      // how often all tables are queried, and at most once more if the query with positions is refused
		says     []string // in the log
		saysNone string
	}{
		"nothing is written":                  {looks: 1, moments: 1, saysNone: again},
		"nothing is written, replicas":        {replica: true, looks: 1, moments: 1, saysNone: again},
		"well":                                {busy: true, looks: 1, moments: 2, saysNone: again},
		"well, replicas":                      {replica: true, busy: true, looks: 1, moments: 2, saysNone: again},
		"a replica's own transactions":        {replica: true, errant: true, looks: 1, moments: 2, saysNone: again},
		"refused":                             {refuses: 1, looks: 2, moments: 1, saysNone: again},
		"refused, replicas":                   {replica: true, refuses: 1, looks: 2, moments: 1, says: []string{"does not report its position and its tables' columns together"}, saysNone: again},
		"refused after the peek":              {replica: true, busy: true, refuses: 2, moments: 2, looks: 2, says: []string{"does not report its position"}, saysNone: again},
		"refused, and altered at the peek":    {refuses: 1, moments: 2, change: 2, looks: 4, says: []string{again}},
		"refused after it, and altered there": {replica: true, busy: true, refuses: 2, moments: 3, change: 2, looks: 4, says: []string{again}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // some look again after a pause
			r := newRig(t, 5, func(_ *request, _ func(...*event), done <-chan struct{}) error { return hold(done) })
			r.configure(fmt.Sprintf(`,"use_replica":%v`, c.replica))
			r.exists("users")
			var tables, moments atomic.Int64
			r.look = func(ctx context.Context, shard gtid.Shard, only []string, keys bool) (map[string]table.Table, error) {
				if only == nil && int(tables.Add(1)) == c.change {
					r.alter("users", append(testTable("users").Columns, table.Column{Name: "c", Type: "int", Nullable: true})...)
				}
				return r.tables(ctx, shard, only, keys)
			}
			r.asks = func(s *Server) {
				inner := s.TablesAt
				s.TablesAt = func(ctx context.Context, shard gtid.Shard, names []string, keys bool) (map[string]table.Table, schema.Moment, error) {
					if n := int(moments.Add(1)); c.refuses > 0 && n >= c.refuses {
						return nil, schema.Moment{}, schema.ErrRefused
					}
					found, m, err := inner(ctx, shard, names, keys)
					if c.busy && moments.Load() == 1 {
						m.Before = at(4).GTIDSet()
					}
					if c.errant {
						m.Before += "," + stray
						m.After += "," + stray
					}
					return found, m, err
				}
				s.Primary.Executed = func(context.Context, gtid.Shard) (string, string, error) {
					return another, fakevtgate.UUID + ":1-7", nil
				}
			}
			out, err := r.read(r.atPosition(map[string]gtid.Position{"users": at(5)}), "users")
			if err != nil {
				t.Fatalf("error %v, traces %+v", err, out.Errors)
			}
			if n := int(tables.Load()); n != c.looks {
				t.Errorf("the tables were queried %d times", n)
			}
			if n := int(moments.Load()); n != c.moments {
				t.Errorf("the columns were read %d times together with a position", n)
			}
			log := said(out)
			for _, words := range c.says {
				if !strings.Contains(log, words) {
					t.Errorf("the log lacks %q:\n%s", words, log)
				}
			}
			if c.saysNone != "" && strings.Contains(log, c.saysNone) {
				t.Errorf("the log has %q:\n%s", c.saysNone, log)
			}
		})
	}
}
