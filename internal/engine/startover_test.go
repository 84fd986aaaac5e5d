package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/record"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// A copy that cannot be resumed sends all its rows again after each failure: the third time it fails for good, with the reason. Attempts
// without a row do not count. No state ever contains a key of such a table, since that would be all columns of a row.
func TestCopyThatStartsOverIsGivenUp(t *testing.T) {
	t.Parallel()
	unordered, keyless, nullable := testTable("users"), namedUsers(), testTable("users")
	unordered.Columns[0].Type = "enum('1','2')"
	keyless.Key, keyless.MySQLKey = nil, nil
	nullable.Columns[0].Nullable = true
	for name, c := range map[string]struct {
		table  *table.Table
		why    string
		silent int // attempts that fail before their first row
	}{
		"an ENUM in the key":     {unordered, "a column whose values the server compares differently than it sorts them", 0},
		"no key":                 {keyless, "neither a primary key nor a unique key without NULLs", 0},
		"a NULL in the key":      {nullable, "its key has a column", 0},
		"broken before its rows": {keyless, "neither a primary key", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits between its attempts
			r := newRig(t, 5, nil)
			key := pk("users", "1")
			if c.table.MySQLKey == nil { // all columns are the key
				key.Lastpk.Fields = append(key.Lastpk.Fields, &querypb.Field{Name: "name", Type: querypb.Type_VARCHAR})
				key.Lastpk.Rows[0] = &querypb.Row{Lengths: []int64{1, 6}, Values: []byte("1secret")}
			}
			r.stream = func(q *request, send func(...*event), done <-chan struct{}) error {
				if q.Vgtid.ShardGtids[0].TablePKs != nil { // an error that is reported below; end the stream
					send(begin(0, 0), fields(0, "users"), script.VGTID(5, nil), commit(0), script.CopyCompleted())
					return hold(done)
				}
				if len(r.requests()) > c.silent {
					send(begin(0, 0), fields(0, "users"), script.VGTID(5, nil))
					send(rowOf(0, "users", nil, []string{"1", "secret"}), script.VGTID(5, key), commit(0), begin(0, 0))
				}
				return status.Error(codes.Unknown, "maximum statement execution time exceeded (errno 3024)")
			}
			r.cfg.CheckpointIntervalSeconds = 0
			r.add(c.table, airbyte.Incremental, nil)
			out, err := within(t, r, time.Minute)
			if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 1 {
				t.Fatalf("error %v, traces %+v", err, out.Errors)
			}
			if e := out.Errors[0]; e.FailureType != "config_error" || !strings.Contains(e.Message, c.why) {
				t.Errorf("trace %+v", e)
			}
			if n := len(r.requests()); n != 3+c.silent || len(out.Records) != 3 {
				t.Errorf("%d streams, %d records", n, len(out.Records))
			}
			for _, q := range r.requests() {
				if g := q.Vgtid.ShardGtids[0]; g.Gtid != "" || g.TablePKs != nil {
					t.Errorf("continued at %v", g)
				}
			}
			for _, s := range out.States {
				if strings.Contains(string(s.Message), "last_pk") || strings.Contains(string(s.Message), "secret") {
					t.Errorf("a state has a key: %s", s.Message)
				}
			}
		})
	}
}

// A killed sync's cursors are smaller than those of the next one, whatever its machine's clock says: the cursor in each intermediate state
// is larger than those of the records that may follow it before the next state.
func TestStatesAreAheadOfTheCursorsThatFollow(t *testing.T) {
	r := newRig(t, 5, func(_ *request, send func(...*event), done <-chan struct{}) error {
		copyOf(send, "users", 5)
		return hold(done)
	})
	r.cfg.CheckpointIntervalSeconds = 1
	r.exists("users")
	out, err := r.read(&airbyte.State{}, "users")
	if err != nil || len(out.States) < 2 || len(out.Records) != 2 {
		t.Fatalf("error %v, %d states, %d records", err, len(out.States), len(out.Records))
	}
	for i, s := range out.States[:len(out.States)-1] {
		for _, record := range out.Records[:out.States[i+1].Before] {
			if cursor := cursorOf(t, record); streamOf(t, s).Cursor < cursor {
				t.Errorf("state %d has the cursor %d, and a record until the next one %d", i, streamOf(t, s).Cursor, cursor)
			}
		}
	}
	first := streamOf(t, out.States[0])
	if shardOf(t, out.States[0]).Copy == nil || out.States[0].Before != 0 {
		t.Fatalf("the first state is %s", out.States[0].Message)
	}
	next := newRig(t, 5, r.stream)
	next.exists("users")
	first.Cursor += time.Hour.Microseconds() // this machine's clock is behind that of the killed one
	again, err := next.read(next.handedBack(map[string]*state.Stream{"users": first}), "users")
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range again.Records {
		if cursor := cursorOf(t, record); cursor <= first.Cursor {
			t.Errorf("a cursor of %d after one of %d", cursor, first.Cursor)
		}
	}
}

// The same of changes, in a sync that has written no state yet. It is killed where it has written a part of what was to be written at once.
func TestAStateIsWrittenBeforeTheFirstChanges(t *testing.T) {
	r := newRig(t, 7, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(insert(6, "users", "others")...)
		send(insert(7, "users")...)
		return hold(done)
	})
	for _, name := range []string{"users", "others"} {
		r.add(testTable(name), airbyte.Incremental, &state.Shard{Position: at(5)})
	}
	out := r.must()
	promised := map[string]int64{}
	next := 0
	for n, record := range out.Records {
		for ; next < len(out.States) && out.States[next].Before <= n; next++ {
			promised[out.States[next].Stream.Name] = streamOf(t, out.States[next]).Cursor
		}
		name := record.Stream.Name
		if cursor := cursorOf(t, record); cursor > promised[name] {
			t.Errorf("a record of %s has the cursor %d, and the state before it %d", name, cursor, promised[name])
		}
	}
	if len(out.Records) != 3 || !shardOf(t, out.States[0]).Position.Equal(at(5)) || !shardOf(t, out.States[1]).Position.Equal(at(5)) {
		t.Errorf("%d records; the states before them have other positions:\n%s", len(out.Records), r.out.buf.String())
	}
}

func cursorOf(t *testing.T, r destination.Record) int64 {
	t.Helper()
	n, err := strconv.ParseInt(fmt.Sprint(r.Data[record.ColumnCursor]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A reference table has all its rows in each shard, and one is read. When it is no longer a reference table, the others are copied.
func TestReferenceTableIsReadFromOneShard(t *testing.T) {
	for name, c := range map[string]struct {
		references map[string]bool
		saved      []string
		copied     []string
	}{
		"a reference table":             {map[string]bool{"users": true}, nil, []string{"-80"}},
		"none":                          {nil, nil, []string{"-80", "80-"}},
		"another one":                   {map[string]bool{"others": true}, nil, []string{"-80", "80-"}},
		"one that continues":            {map[string]bool{"users": true}, []string{"-80"}, nil},
		"no longer a reference table":   {nil, []string{"-80"}, []string{"80-"}},
		"one that it has become":        {map[string]bool{"users": true}, []string{"-80", "80-"}, nil},
		"one that was read of the last": {map[string]bool{"users": true}, []string{"80-"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 20, func(q *request, send func(...*event), done <-chan struct{}) error {
				shard := q.Vgtid.ShardGtids[0].Shard
				copyOf(func(events ...*event) {
					for _, e := range events {
						if e.Vgtid != nil {
							inShard(shard, e)
						}
					}
					send(events...)
				}, "users", 20)
				return hold(done)
			})
			r.newShards("-80", "80-")
			r.exists("users")
			r.asks = func(s *Server) {
				s.References = func(context.Context, []string) (map[string]bool, error) { return c.references, nil }
			}
			in80 := &airbyte.State{}
			if c.saved != nil {
				saved := &state.Stream{Shards: map[gtid.Shard]*state.Shard{}}
				for _, shard := range c.saved {
					saved.Shards[in(shard)] = &state.Shard{Position: at(20)}
				}
				in80 = r.handedBack(map[string]*state.Stream{"users": saved})
			}
			out, err := r.read(in80, "users")
			if err != nil {
				t.Fatalf("error %v, traces %+v", err, out.Errors)
			}
			var copied []string
			for _, q := range r.requests() {
				copied = append(copied, q.Vgtid.ShardGtids[0].Shard)
			}
			if slices.Sort(copied); !slices.Equal(copied, c.copied) {
				t.Errorf("copied %v, expected %v", copied, c.copied)
			}
			last := streamOf(t, out.States[len(out.States)-1])
			if want := 2; len(last.Shards) != want && !c.references["users"] || c.references["users"] && len(last.Shards) != 1 {
				t.Errorf("the last state has %v", last.Shards)
			}
		})
	}
}

// A replica's vttablet has not read the schema since the table was created. The table exists, and is read as soon as vttablet knows it;
// until then only its stream fails, with a transient error. A table that MySQL does not have no longer exists.
func TestTableThatVttabletHasNotLoaded(t *testing.T) {
	t.Parallel()
	const absent, unknown = "table users is not present in the database", "unknown table users in schema"
	for name, c := range map[string]struct {
		loaded int                  // the attempt from which vttablet knows the table
		says   string               // vttablet's error
		has    func() (bool, error) // whether MySQL has the table
		kind   string
	}{
		"soon":                           {2, absent, nil, ""},
		"later":                          {3, absent, nil, ""},
		"while vttablet starts":          {2, unknown, nil, ""},
		"not in time":                    {1000, absent, nil, "transient_error"},
		"nor known":                      {1000, unknown, nil, "transient_error"},
		"dropped":                        {1000, absent, func() (bool, error) { return false, nil }, "config_error"},
		"dropped and forgotten":          {1000, unknown, func() (bool, error) { return false, nil }, "config_error"},
		"MySQL does not answer":          {1000, absent, func() (bool, error) { return false, errors.New("not serving") }, "transient_error"},
		"nor does it when it is unknown": {1000, unknown, func() (bool, error) { return false, errors.New("not serving") }, "transient_error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits between its attempts
			r := newRig(t, 6, nil)
			r.stream = func(q *request, send func(...*event), done <-chan struct{}) error {
				if len(r.requests()) < c.loaded && slices.Contains(tablesIn(q), "users") {
					return status.Error(codes.Unknown, "vttablet: "+c.says)
				}
				send(insert(6, tablesIn(q)...)...)
				return hold(done)
			}
			r.cfg.MaxRetries, r.patience = 2, 1
			for _, name := range []string{"others", "third", "users"} {
				r.add(testTable(name), airbyte.Incremental, &state.Shard{Position: at(5)})
			}
			if c.has != nil {
				r.look = func(ctx context.Context, shard gtid.Shard, only []string, keys bool) (map[string]table.Table, error) {
					tables, err := r.tables(ctx, shard, only, keys)
					if slices.Equal(only, []string{"users"}) {
						has, err := c.has()
						if !has {
							delete(tables, "users")
						}
						return tables, err
					}
					return tables, err
				}
			}
			out, err := r.run()
			want := []string{"others 6:x", "third 6:x", "users 6:x"}
			if c.kind != "" {
				want = want[:2]
				if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 1 {
					t.Fatalf("error %v, traces %+v", err, out.Errors)
				}
				if e := out.Errors[0]; e.Stream.Name != "users" || e.FailureType != c.kind {
					t.Fatalf("error %v, traces %+v", err, out.Errors)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if got := rowsByTable(out); !slices.Equal(got, want) {
				t.Errorf("records %v", got)
			}
		})
	}
}
