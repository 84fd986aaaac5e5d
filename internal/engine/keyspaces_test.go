package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/partition"
)

// users is the stream users of a keyspace.
func users(keyspace string) airbyte.StreamDescriptor {
	return airbyte.StreamDescriptor{Name: "users", Namespace: keyspace}
}

// readAll runs a sync of all keyspaces of the configuration; each has the rig's tables in one shard, unless asks changes that.
func (r *rig) readAll(asks map[string]func(*Server), in *airbyte.State, streams ...airbyte.StreamDescriptor) (*destination.Output, error) {
	r.t.Helper()
	shared := r.shared()
	of := func(keyspace string) *Engine {
		server := r.answers()
		server.Shards = func(context.Context) ([]gtid.Shard, error) { return gtid.Shards(keyspace, "-"), nil }
		if change := asks[keyspace]; change != nil {
			change(&server)
		}
		return New(Options{Shared: shared, Config: r.cfg.Of(keyspace), Client: r.client, Patience: r.patience, Server: server})
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), hangs)
	defer cancel()
	out, err := r.ended(ReadAll(ctx, r.cfg, shared, of, r.catalog(streams...), in))
	r.mustNotHang(err, out)
	return out, err
}

// copies is a stream that copies two rows of any table, after ready returns.
func copies(ready func(keyspace string)) fakevtgate.Stream {
	return func(q *request, send func(...*event), done <-chan struct{}) error {
		at := q.Vgtid.ShardGtids[0]
		ready(at.Keyspace)
		s, table := fakevtgate.Script{Keyspace: at.Keyspace, Shard: at.Shard}, tablesIn(q)[0]
		send(begin(0, 0), fields(0, table), s.VGTID(5, nil), rowOf(0, table, nil, []string{"1", at.Keyspace}),
			rowOf(0, table, nil, []string{"2", at.Keyspace}), s.VGTID(5, pk(table, "2")), commit(0), s.CopyCompleted())
		return hold(done)
	}
}

func noState() *airbyte.State {
	return &airbyte.State{Streams: map[airbyte.StreamDescriptor]json.RawMessage{}}
}

// down is a keyspace whose shards do not serve.
func down(keyspace string) map[string]func(*Server) {
	return map[string]func(*Server){keyspace: func(s *Server) {
		s.Shards = func(context.Context) ([]gtid.Shard, error) {
			return nil, failure.Transient("check that its tablets are up", "No shard of keyspace %s has a serving primary", keyspace)
		}
	}}
}

// Each copy waits until the other one has started. Two tables with the same name are two streams; messages about shards name the keyspace.
func TestKeyspacesAreReadSideBySide(t *testing.T) {
	begun := map[string]chan struct{}{"shop": make(chan struct{}), "billing": make(chan struct{})}
	r := newRig(t, 5, copies(func(keyspace string) {
		close(begun[keyspace])
		for _, other := range begun {
			<-other
		}
	}))
	r.configure(`,"keyspaces":["billing"]`)
	r.exists("users")
	out, err := r.readAll(nil, noState(), users("shop"), users("billing"))
	if err != nil {
		t.Fatal(err)
	}
	given := map[destination.Stream][]string{}
	for _, record := range out.Records {
		given[record.Stream] = append(given[record.Stream], fmt.Sprint(record.Data["id"], record.Data["name"]))
	}
	for _, keyspace := range []string{"shop", "billing"} {
		stream := destination.Stream{Name: "users", Namespace: keyspace}
		if got, want := given[stream], []string{"1" + keyspace, "2" + keyspace}; !slices.Equal(got, want) || out.Statuses[stream] != "COMPLETE" {
			t.Errorf("%s: records %v, status %s", stream, got, out.Statuses[stream])
		}
		if !slices.ContainsFunc(out.Logs, func(l destination.Log) bool {
			return strings.HasPrefix(l.Message, "Keyspace "+keyspace+": Shard - is at ")
		}) {
			t.Errorf("no message about the shard of %s", keyspace)
		}
	}
	if states := len(out.States); states == 0 || out.States[states-1].Stream.Namespace == "" {
		t.Errorf("%d states", states)
	}
}

// The stream of the other keyspace is complete; the error of its own stream has the reason and the keyspace.
func TestAKeyspaceThatIsDownFailsItsOwnStreams(t *testing.T) {
	r := newRig(t, 5, copies(func(string) {}))
	r.configure(`,"keyspaces":["billing"],"max_retries":0`)
	r.patience = time.Millisecond
	r.exists("users", "orders")
	orders := airbyte.StreamDescriptor{Name: "orders", Namespace: "billing"}
	out, err := r.readAll(down("billing"), noState(), users("shop"), users("billing"), orders)
	if !errors.Is(err, ErrIncomplete) {
		t.Fatalf("the sync ended with %v", err)
	}
	if len(out.Records) != 2 || len(out.Errors) != 2 || out.Statuses[streamNamed("users")] != "COMPLETE" {
		t.Errorf("%d records, statuses %v, traces %+v", len(out.Records), out.Statuses, out.Errors)
	}
	for _, e := range out.Errors {
		if e.Stream == nil || e.Stream.Namespace != "billing" || out.Statuses[*e.Stream] != "INCOMPLETE" || e.FailureType != "transient_error" ||
			!strings.HasPrefix(e.Message, "Keyspace billing: No shard of keyspace billing has a serving primary; ") {
			t.Errorf("trace %+v", e)
		}
	}
}

// The streams of a keyspace that does not exist fail at once: retrying would not help.
func TestAKeyspaceThatDoesNotExistFailsItsOwnStreamsAtOnce(t *testing.T) {
	r := newRig(t, 5, copies(func(string) {}))
	r.configure(`,"keyspaces":["biling"]`)
	r.exists("users", "orders")
	orders := airbyte.StreamDescriptor{Name: "orders", Namespace: "biling"}
	asked := 0
	out, err := r.readAll(map[string]func(*Server){"biling": func(s *Server) {
		s.Shards = func(context.Context) ([]gtid.Shard, error) {
			asked++
			return nil, failure.Config("check \"Database\" (database) and \"Keyspaces\" (keyspaces)", "There is no keyspace biling")
		}
	}}, noState(), users("shop"), users("biling"), orders)
	if !errors.Is(err, ErrIncomplete) || len(out.Records) != 2 || len(out.Errors) != 2 || out.Statuses[streamNamed("users")] != "COMPLETE" {
		t.Fatalf("%v, %d records, statuses %v, traces %+v", err, len(out.Records), out.Statuses, out.Errors)
	}
	if asked != 1 {
		t.Errorf("the server was queried %d times", asked)
	}
	for _, e := range out.Errors {
		if e.Stream == nil || e.Stream.Namespace != "biling" || e.FailureType != "config_error" ||
			!strings.HasPrefix(e.Message, "Keyspace biling: There is no keyspace biling; check \"Database\" (database) and \"Keyspaces\" (keyspaces).") {
			t.Errorf("trace %+v", e)
		}
	}
}

// If there is only one keyspace, its failure is the sync's.
func TestTheOnlyKeyspaceThatIsDownEndsTheSync(t *testing.T) {
	r := newRig(t, 5, nil)
	r.configure(`,"max_retries":0`)
	r.patience = time.Millisecond
	out, err := r.readAll(down("shop"), noState(), users("shop"))
	if v := failure.In(err); v == nil || !strings.HasPrefix(v.Message(), "No shard of keyspace shop") || len(out.Errors) > 0 {
		t.Errorf("the sync ended with %v, traces %+v", err, out.Errors)
	}
}

func TestAStreamOfAKeyspaceThatIsNotConfiguredFailsAlone(t *testing.T) {
	for _, option := range []string{`,"keyspaces":["billing"]`, ``} {
		r := newRig(t, 5, copies(func(string) {}))
		r.configure(option)
		r.exists("users")
		out, err := r.readAll(nil, noState(), users("shop"), users("elsewhere"))
		if !errors.Is(err, ErrIncomplete) || len(out.Records) != 2 || len(out.Errors) != 1 || out.Statuses[streamNamed("users")] != "COMPLETE" {
			t.Fatalf("%q: %v, %d records, traces %+v", option, err, len(out.Records), out.Errors)
		}
		e := out.Errors[0]
		if e.FailureType != "config_error" || e.Stream == nil || e.Stream.Namespace != "elsewhere" || !strings.Contains(e.Message, "add the keyspace to \"Keyspaces\" (keyspaces)") {
			t.Errorf("%q: trace %+v", option, e)
		}
	}
}

// With * a stream's namespace is one of the server's keyspaces.
func TestEveryKeyspaceIsRead(t *testing.T) {
	r := newRig(t, 5, copies(func(string) {}))
	r.configure(`,"keyspaces":["*"]`)
	r.exists("users")
	out, err := r.readAll(nil, noState(), users("shop"), users("billing"), users("archive"), users("shop/-80"))
	if !errors.Is(err, ErrIncomplete) || len(out.Records) != 6 || len(out.Errors) != 1 || out.Errors[0].Stream.Namespace != "shop/-80" {
		t.Errorf("%v, %d records, traces %+v", err, len(out.Records), out.Errors)
	}
}

// printed counts how often the sync has printed a text so far.
func (r *rig) printed(text string) int {
	r.out.mu.Lock()
	defer r.out.mu.Unlock()
	return bytes.Count(r.out.buf.Bytes(), []byte(text))
}

// Four keyspaces with four tables each, and three slots for copies: at most three run at a time, and all of them run.
func TestCopiesOfAllKeyspacesShareTheirPlaces(t *testing.T) {
	var running, most atomic.Int64
	var r *rig
	copyOne := copies(func(string) {
		for r.printed("4 to copy, 0 to replicate") < 4 { // until all of them wait for slots
			runtime.Gosched()
		}
	})
	r = newRig(t, 5, func(q *request, send func(...*event), done <-chan struct{}) error {
		now := running.Add(1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		return copyOne(q, func(events ...*event) { running.Add(-1); send(events...) }, done)
	})
	r.configure(`,"keyspaces":["b","c","d"],"concurrency":3`)
	var streams []airbyte.StreamDescriptor
	for _, name := range []string{"t1", "t2", "t3", "t4"} {
		r.exists(name)
		for _, keyspace := range []string{"shop", "b", "c", "d"} {
			streams = append(streams, airbyte.StreamDescriptor{Name: name, Namespace: keyspace})
		}
	}
	out, err := r.readAll(nil, noState(), streams...)
	if err != nil || len(out.Records) != 2*len(streams) {
		t.Errorf("%v, %d records", err, len(out.Records))
	}
	if n := most.Load(); n > 3 {
		t.Errorf("%d copies ran at the same time", n)
	}
}

// A sync of several keyspaces with changes opens one stream for each shard, whatever the number of tables.
func TestOneStreamForEachKeyspaceAndShard(t *testing.T) {
	r := newRig(t, 6, func(q *request, send func(...*event), done <-chan struct{}) error {
		at := q.Vgtid.ShardGtids[0]
		s := fakevtgate.Script{Keyspace: at.Keyspace, Shard: at.Shard}
		send(begin(7, 6), fields(7, "users"), rowOf(7, "users", nil, []string{"9", at.Keyspace}), s.VGTID(6, nil), commit(7))
		return hold(done)
	})
	r.configure(`,"keyspaces":["billing"]`)
	r.exists("users", "orders")
	in := r.atPosition(map[string]gtid.Position{"users": at(5), "orders": at(5)})
	var streams []airbyte.StreamDescriptor
	for d, saved := range in.Streams {
		other := airbyte.StreamDescriptor{Name: d.Name, Namespace: "billing"}
		in.Streams[other] = saved
		streams = append(streams, d, other)
	}
	slices.SortFunc(streams, func(a, b airbyte.StreamDescriptor) int { return strings.Compare(a.String(), b.String()) })
	out, err := r.readAll(nil, in, slices.Compact(streams)...)
	if err != nil || len(out.Records) != 2 {
		t.Errorf("%v, %d records", err, len(out.Records))
	}
	asked := map[string]int{}
	for _, q := range r.requests() {
		asked[q.Vgtid.ShardGtids[0].Keyspace]++
	}
	if asked["shop"] != 1 || asked["billing"] != 1 {
		t.Errorf("streams opened: %v", asked)
	}
}

// The platform deletes the former connector's state when it receives the first state of this one: the keyspace of that state is read
// first, and if it cannot be read, nothing else is.
func TestTheFormerConnectorsStateIsTakenOverFirst(t *testing.T) {
	legacy := func() *airbyte.State {
		in := noState()
		in.Legacy = legacyDocument(map[string]string{"shop:users": formerState("-", "shop", fakevtgate.GTID(5))})
		return in
	}
	start := func() *rig {
		r := newRig(t, 5, copies(func(string) {}))
		r.configure(`,"keyspaces":["billing"],"max_retries":0`)
		r.patience = time.Millisecond
		r.exists("users")
		return r
	}
	out, err := start().readAll(nil, legacy(), users("billing"), users("shop"))
	if err != nil || len(out.Records) != 2 || len(out.States) == 0 || out.States[0].Stream.Namespace != "shop" {
		t.Errorf("%v, %d records, states %+v", err, len(out.Records), out.States)
	}
	out, err = start().readAll(down("shop"), legacy(), users("billing"), users("shop"))
	if v := failure.In(err); v == nil || len(out.States) > 0 || len(out.Records) > 0 {
		t.Errorf("%v, %d records, %d states", err, len(out.Records), len(out.States))
	}
}

// The error of a table that MoveTables moved to another keyspace of the source names the stream that replaces it, which copies the table.
func TestATableMovedWithinTheSourceNamesItsSuccessor(t *testing.T) {
	moved := func(to string) map[string]func(*Server) {
		return map[string]func(*Server){"shop": func(s *Server) {
			s.Moved = func(context.Context, []string) (map[string]string, error) { return map[string]string{"users": to}, nil }
		}, to: func(s *Server) {
			s.Moved = func(context.Context, []string) (map[string]string, error) { return nil, nil }
			s.Journals = func(context.Context, []gtid.Shard) (map[gtid.Shard][]*binlogdatapb.Journal, error) {
				return map[gtid.Shard][]*binlogdatapb.Journal{}, nil
			}
		}}
	}
	r := newRig(t, 5, copies(func(string) {}))
	r.configure(`,"keyspaces":["billing"]`)
	r.exists("users", "orders")
	orders := airbyte.StreamDescriptor{Name: "orders", Namespace: "shop"}
	out, err := r.readAll(moved("billing"), noState(), users("shop"), orders, users("billing"))
	if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 1 || len(out.Records) != 4 {
		t.Fatalf("%v, %d records, traces %+v", err, len(out.Records), out.Errors)
	}
	if e := out.Errors[0]; e.FailureType != "config_error" || *e.Stream != streamNamed("users") ||
		!strings.Contains(e.Message, "stream billing.users of this source has them") {
		t.Errorf("trace %+v", e)
	}
	r = newRig(t, 5, nil)
	r.exists("users")
	out, _ = r.readAll(moved("elsewhere"), noState(), users("shop"))
	if len(out.Errors) != 1 || !strings.Contains(out.Errors[0].Message, "add elsewhere to \"Keyspaces\" (keyspaces)") {
		t.Errorf("traces %+v", out.Errors)
	}
}

// The streams of another keyspace that the sync reads are not foreign in a state.
func TestStatesOfAllKeyspacesAreOurs(t *testing.T) {
	for _, c := range []struct{ options, says string }{
		{`,"keyspaces":["billing"]`, ""},
		{`,"keyspaces":["archive"]`, "The saved state belongs to another database than the configured ones, shop, archive (stream billing.orders, one of 1). "},
	} {
		r := newRig(t, 5, copies(func(string) {}))
		r.configure(c.options)
		r.exists("users")
		in := r.atPosition(map[string]gtid.Position{"users": at(5)})
		in.Streams[airbyte.StreamDescriptor{Name: "orders", Namespace: "billing"}] = in.Streams[users("shop")]
		out, err := r.readAll(nil, in, users("shop"))
		var warned string
		for _, l := range out.Logs {
			if l.Level == "WARN" {
				warned += l.Message
			}
		}
		if err != nil || len(out.Records) != 0 || !strings.HasPrefix(warned, c.says) || (c.says == "") != (warned == "") {
			t.Errorf("%s: %v, %d records, warned %q", c.options, err, len(out.Records), warned)
		}
	}
}

// When streams of several keyspaces are read, a shard's name alone is ambiguous.
func TestProgressNamesTheKeyspaceOfAShard(t *testing.T) {
	r := newRig(t, 5, nil)
	var streams []*partition.Stream
	for _, c := range r.catalog(users("billing"), users("shop")).Streams {
		st, err := partition.NewStream(&c, testTable("users"), nil, &r.sequence, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, st)
	}
	for want, watched := range map[string][]*partition.Stream{"-80": streams[:1], "billing/-80": streams} {
		p := r.shared().Progress
		p.watch(watched)
		p.changed(gtid.Shard{Keyspace: "billing", Name: "-80"}, time.Now().Add(-time.Minute))
		if got := p.total(time.Second).shard; got != want {
			t.Errorf("%d streams: shard %s, not %s", len(watched), got, want)
		}
	}
}
