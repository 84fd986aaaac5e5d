package engine

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/record"
	"source-planetscale/internal/state"
)

// Short names for scripted events.
var (
	begin  = fakevtgate.Begin
	commit = fakevtgate.Commit
	rowOf  = fakevtgate.Row
	fields = func(at fakevtgate.At, table string) *event { return fakevtgate.Fields(at, table, idAndName...) }
)

func pk(table, id string) *binlogdatapb.TableLastPK {
	return fakevtgate.LastPK(table, "id", id, querypb.Type_INT64)
}

// copyOf sends the copy of a table with the rows 1 and 2 from a snapshot at transaction n.
func copyOf(send func(...*event), table string, n int) {
	send(begin(0, 0), fields(0, table))
	send(script.VGTID(n, nil))
	send(rowOf(0, table, nil, []string{"1", "a"}), script.VGTID(n, pk(table, "1")), commit(0))
	send(begin(0, 0))
	send(rowOf(0, table, nil, []string{"2", "b"}), script.VGTID(n, pk(table, "2")), commit(0))
	send(begin(0, 0), script.VGTID(n, nil), commit(0))
	send(script.CopyCompleted())
}

func TestCopyIsUnfinishedUntilCompleted(t *testing.T) {
	r := newRig(t, 5, func(_ *request, send func(...*event), done <-chan struct{}) error {
		copyOf(send, "users", 5)
		return hold(done)
	})
	r.cfg.CheckpointIntervalSeconds = 0 // a state at every boundary
	r.add(testTable("users"), airbyte.Incremental, nil)
	out := r.must()
	if got := rows(out); !slices.Equal(got, []string{"1:a", "2:b"}) {
		t.Errorf("records %v", got)
	}
	for i, s := range out.States {
		shard, last := shardOf(t, s), i >= len(out.States)-2 // of the reader, and of the stream
		if (shard.Copy == nil) != last {
			t.Errorf("state %d of %d, after %d records: %+v", i+1, len(out.States), s.Before, shard)
		}
	}
	first, last := shardOf(t, out.States[0]), shardOf(t, out.States[len(out.States)-1])
	if out.States[0].Before != 0 || !first.Copy.Oldest.Equal(at(5)) || first.Copy.LastPK != nil {
		t.Errorf("the first state, before any record, is %+v", first)
	}
	if !last.Position.Equal(at(5)) {
		t.Errorf("replication would continue from %s", last.Position)
	}
	if out.Statuses[out.States[0].Stream] != "COMPLETE" {
		t.Errorf("statuses %v", out.Statuses)
	}
}

func TestCopyResumesAfterItsKey(t *testing.T) {
	r := newRig(t, 9, func(q *request, send func(...*event), done <-chan struct{}) error {
		send(begin(7, 8), fields(7, "users"), rowOf(7, "users", []string{"1", "a"}, []string{"1", "A"}), script.VGTID(8, pk("users", "1")), commit(7))
		send(begin(0, 0), fields(0, "users"), script.VGTID(9, pk("users", "1")))
		send(rowOf(0, "users", nil, []string{"2", "b"}), script.VGTID(9, pk("users", "2")), commit(0))
		send(script.VGTID(9, nil), script.CopyCompleted())
		return hold(done)
	})
	key := pk("users", "1").Lastpk
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5), Copy: &state.Copy{Oldest: at(3), LastPK: key}})
	out := r.must()
	if got := rows(out); !slices.Equal(got, []string{"1:A", "2:b"}) {
		t.Errorf("records %v", got)
	}
	requests := r.requests()
	g := requests[0].Vgtid.ShardGtids[0]
	if len(requests) != 1 || g.Gtid != fakevtgate.GTID(5) || string(g.TablePKs[0].Lastpk.Rows[0].Values) != "1" ||
		len(g.TablePKs[0].Lastpk.Fields) != 1 {
		t.Errorf("requested %v", requests)
	}
	if last := shardOf(t, out.States[len(out.States)-1]); last.Copy != nil || !last.Position.Equal(at(9)) {
		t.Errorf("the last state is %+v", last)
	}
}

// An earlier attempt wrote row 3, which is deleted before the copy starts again: only the changes since then contain the delete.
func TestRestartedCopyReplicatesFromItsFirstSnapshot(t *testing.T) {
	r := newRig(t, 7, func(q *request, send func(...*event), done <-chan struct{}) error {
		if q.Vgtid.ShardGtids[0].Gtid == "" {
			copyOf(send, "users", 7)
			return hold(done)
		}
		send(begin(7, 6), fields(7, "users"), rowOf(7, "users", []string{"3", "c"}, nil), script.VGTID(6, nil), commit(7))
		send(begin(7, 7), script.VGTID(7, nil), commit(7))
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Copy: &state.Copy{Oldest: at(5)}})
	out := r.must()
	if got := rows(out); !slices.Equal(got, []string{"1:a", "2:b", "-3:c"}) {
		t.Errorf("records %v", got)
	}
	if g := r.requests()[1].Vgtid.ShardGtids[0].Gtid; g != fakevtgate.GTID(5) {
		t.Errorf("replicated from %s", g)
	}
}

// The server continues by itself after a key that it cannot compare, so rows may be missing.
func TestCopyThatCannotBeResumedStartsOver(t *testing.T) {
	t.Parallel()
	users := testTable("users")
	users.Columns[0].Type = "enum('1','2')"
	attempts := 0
	r := newRig(t, 5, func(_ *request, send func(...*event), done <-chan struct{}) error {
		attempts++
		if attempts == 1 {
			send(begin(0, 0), fields(0, "users"))
			send(script.VGTID(5, nil))
			send(rowOf(0, "users", nil, []string{"1", "a"}), script.VGTID(5, pk("users", "1")), commit(0))
			send(begin(0, 0), fields(0, "users"))
			send(script.CopyCompleted())
			return hold(done)
		}
		copyOf(send, "users", 5)
		return hold(done)
	})
	r.cfg.CheckpointIntervalSeconds = 0
	r.add(users, airbyte.Incremental, nil)
	out := r.must()
	if got := rows(out); !slices.Equal(got, []string{"1:a", "1:a", "2:b"}) {
		t.Errorf("records %v", got)
	}
	if g := r.requests()[1].Vgtid.ShardGtids[0]; g.Gtid != "" || g.TablePKs != nil {
		t.Errorf("the second attempt started at %v", g)
	}
	for _, s := range out.States {
		if c := shardOf(t, s).Copy; c != nil && c.LastPK != nil {
			t.Errorf("a state has a key that the server cannot continue after")
		}
	}
}

func TestReplicationStopsAtTheFirstBoundaryThatHoldsTheStop(t *testing.T) {
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(begin(7, 6), fields(7, "users"), rowOf(7, "users", nil, []string{"1", "a"}), script.VGTID(6, nil), rowOf(7, "users", nil, []string{"2", "b"}), commit(7),
			begin(8, 7), rowOf(8, "users", nil, []string{"3", "c"}), script.VGTID(7, nil), commit(8))
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	out := r.must()
	if got := rows(out); !slices.Equal(got, []string{"1:a", "2:b"}) {
		t.Errorf("records %v", got)
	}
	if last := shardOf(t, out.States[len(out.States)-1]); !last.Position.Equal(at(6)) {
		t.Errorf("the last state is at %s", last.Position)
	}
}

// A position past the target contains it, too: after a failover the target itself may never be received.
func TestReplicationStopsPastTheStop(t *testing.T) {
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(begin(7, 9), script.VGTID(9, nil), commit(7))
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	if out := r.must(); !shardOf(t, out.States[len(out.States)-1]).Position.Equal(at(9)) {
		t.Errorf("states %v", out.States)
	}
}

func TestDDLAndOtherAreBoundaries(t *testing.T) {
	for name, ev := range map[string]binlogdatapb.VEventType{"DDL": binlogdatapb.VEventType_DDL, "OTHER": binlogdatapb.VEventType_OTHER} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
				send(script.VGTID(6, nil), &event{Type: ev})
				return hold(done)
			})
			r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
			r.must()
		})
	}
}

func TestChangedKeyIsADeleteAndARow(t *testing.T) {
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(begin(7, 6), fields(7, "users"),
			rowOf(7, "users", []string{"1", "a"}, []string{"2", "a"}), rowOf(7, "users", []string{"5", "a"}, []string{"5", "b"}), script.VGTID(6, nil), commit(7))
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	out := r.must()
	if got := rows(out); !slices.Equal(got, []string{"-1:a", "2:a", "5:b"}) {
		t.Errorf("records %v", got)
	}
	deleted := out.Records[0].Data
	if deleted[record.ColumnDeletedAt] != "1970-01-01T00:00:07Z" || deleted[record.ColumnUpdatedAt] != "1970-01-01T00:00:07Z" {
		t.Errorf("the delete is %v", deleted)
	}
}

// Tables with different positions share one stream; each skips the transactions that it already has.
func TestTablesSkipTheTransactionsTheyHave(t *testing.T) {
	r := newRig(t, 8, func(_ *request, send func(...*event), done <-chan struct{}) error {
		for n := 6; n <= 8; n++ {
			id := strconv.Itoa(n)
			send(begin(7, n), fields(7, "early"), fields(7, "late"), rowOf(7, "early", nil, []string{id, "e"}), rowOf(7, "late", nil, []string{id, "l"}), script.VGTID(n, nil),
				commit(7))
		}
		return hold(done)
	})
	r.cfg.CheckpointIntervalSeconds = 0
	r.add(testTable("early"), airbyte.Incremental, &state.Shard{Position: at(5)})
	r.add(testTable("late"), airbyte.Incremental, &state.Shard{Position: at(7)})
	out := r.must()
	if got := rows(out); !slices.Equal(got, []string{"6:e", "7:e", "8:e", "8:l"}) {
		t.Errorf("records %v", got)
	}
	if n := len(r.requests()); n != 1 {
		t.Errorf("%d streams were opened", n)
	}
	for _, s := range out.States {
		if s.Stream.Name == "late" && !shardOf(t, s).Position.Contains(at(7)) {
			t.Errorf("the state of late moved back to %s", shardOf(t, s).Position)
		}
	}
}

// Before Vitess 24 transactions are received without their GTID: then there is a stream for each position.
func TestWithoutNamedTransactionsEachPositionHasItsStream(t *testing.T) {
	r := newRig(t, 7, func(q *request, send func(...*event), done <-chan struct{}) error {
		for n := 6; n <= 7; n++ {
			if q.Vgtid.ShardGtids[0].Gtid == fakevtgate.GTID(6) && n == 6 {
				continue
			}
			send(begin(7, 0))
			for _, name := range tablesIn(q) {
				send(fields(7, name), rowOf(7, name, nil, []string{string(rune('0' + n)), name}))
			}
			send(script.VGTID(n, nil), commit(7))
		}
		return hold(done)
	})
	r.add(testTable("early"), airbyte.Incremental, &state.Shard{Position: at(5)})
	r.add(testTable("late"), airbyte.Incremental, &state.Shard{Position: at(6)})
	out := r.must()
	tables, err := destinationTables("early", "late")
	if err != nil {
		t.Fatal(err)
	}
	if err := tables.Fold(out.Records); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows(out) {
		if row == "6:late" {
			t.Error("late received a transaction that it already has")
		}
	}
	if got := len(tables[streamNamed("early")].Rows); got != 2 {
		t.Errorf("early has %d rows", got)
	}
}

func TestBrokenStreamGoesOnWhereItStood(t *testing.T) {
	t.Parallel()
	attempts := 0
	r := newRig(t, 7, func(_ *request, send func(...*event), done <-chan struct{}) error {
		attempts++
		if attempts == 1 {
			send(begin(7, 6), fields(7, "users"), rowOf(7, "users", nil, []string{"6", "a"}), script.VGTID(6, nil), commit(7))
			send(begin(7, 7), rowOf(7, "users", nil, []string{"7", "half"}))
			return status.Error(codes.Unavailable, "the tablet is gone")
		}
		send(begin(7, 7), fields(7, "users"), rowOf(7, "users", nil, []string{"7", "b"}), script.VGTID(7, nil), commit(7))
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	out := r.must()
	if got := rows(out); !slices.Equal(got, []string{"6:a", "7:half", "7:b"}) {
		t.Errorf("records %v", got)
	}
	if g := r.requests()[1].Vgtid.ShardGtids[0].Gtid; g != fakevtgate.GTID(6) {
		t.Errorf("continued from %s", g)
	}
}

// After a failover the target may contain transactions that no longer exist; it would never be reached.
func TestStopMovesWhenTheSourceNoLongerHoldsIt(t *testing.T) {
	t.Parallel()
	attempts := 0
	r := newRig(t, 9, nil)
	r.stream = func(_ *request, send func(...*event), done <-chan struct{}) error {
		attempts++
		if attempts == 1 {
			r.stands = 7
			return status.Error(codes.Unavailable, "the primary is gone")
		}
		send(begin(7, 7), fields(7, "users"), rowOf(7, "users", nil, []string{"7", "b"}), script.VGTID(7, nil), commit(7))
		return hold(done)
	}
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	out := r.must()
	if got := rows(out); !slices.Equal(got, []string{"7:b"}) {
		t.Errorf("records %v", got)
	}
	if !slices.ContainsFunc(out.Logs, func(l destination.Log) bool {
		return l.Level == "WARN" && strings.Contains(l.Message, "no longer has the position")
	}) {
		t.Errorf("no warning in %v", out.Logs)
	}
}

// A stream that sends only heartbeats is connected but makes no progress: it is reopened.
func TestStreamThatDoesNotMoveIsOpenedAgain(t *testing.T) {
	t.Parallel()
	attempts := 0
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		attempts++
		if attempts == 1 {
			for alive := true; alive; {
				send(fakevtgate.Heartbeat())
				select {
				case <-done:
					alive = false
				case <-time.After(10 * time.Millisecond):
				}
			}
			return nil
		}
		send(begin(7, 6), script.VGTID(6, nil), commit(7))
		return hold(done)
	})
	r.cfg.TimeoutSeconds = 1
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	r.must()
	if n := len(r.requests()); n != 2 {
		t.Errorf("%d streams were opened", n)
	}
}

// The vttablet was killed, or the connection is half-open: not even heartbeats are received.
func TestSilentStreamIsOpenedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, 6, nil)
	r.stream = func(_ *request, send func(...*event), done <-chan struct{}) error {
		if len(r.requests()) == 1 {
			send(fakevtgate.Heartbeat())
			return hold(done)
		}
		send(insert(6, "users")...)
		return hold(done)
	}
	r.hear(100 * time.Millisecond)
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	out := r.must()
	if got := rows(out); !slices.Equal(got, []string{"6:x"}) {
		t.Errorf("records %v", got)
	}
	if !slices.ContainsFunc(out.Logs, func(l destination.Log) bool {
		return l.Level == "WARN" && strings.Contains(l.Message, "the stream fell silent for 100ms")
	}) {
		t.Errorf("logs %+v", out.Logs)
	}
}

// A stream that fails in one shard ends when its other shards have ended, and its status is reported once.
func TestStreamThatOneShardDroppedEndsWithItsOtherShards(t *testing.T) {
	ended := make(chan struct{})
	r := newRig(t, 20, nil)
	r.stream = func(q *request, send func(...*event), done <-chan struct{}) error {
		if q.Vgtid.ShardGtids[0].Shard == "-80" {
			send(inShard("-80", script.VGTID(6, nil)), ddl("truncate table users"))
			send(inShard("-80", script.VGTID(20, nil)), fakevtgate.Other())
			defer close(ended) // when the reader has finished this shard
			return hold(done)
		}
		<-ended
		send(begin(7, 20), fields(7, "users"), rowOf(7, "users", nil, []string{"1", "a"}), fields(7, "others"), rowOf(7, "others", nil, []string{"2", "b"}))
		send(inShard("80-", script.VGTID(20, nil)), commit(7))
		return hold(done)
	}
	r.newShards("-80", "80-")
	for _, name := range []string{"users", "others"} {
		r.addSaved(name, map[string]*state.Shard{"-80": {Position: at(5)}, "80-": {Position: at(5)}})
	}
	out := r.failsAlone("was dropped, renamed or truncated in shard -80")
	if got := rows(out); !slices.Equal(got, []string{"1:a", "2:b"}) {
		t.Errorf("records %v", got)
	}
	text := r.out.buf.String()
	for name, status := range map[string]string{"users": "INCOMPLETE", "others": "COMPLETE"} {
		end := `"stream_status":{"stream_descriptor":{"name":"` + name + `","namespace":"shop"},"status":"` + status + `"`
		if strings.Count(text, end) != 1 || strings.Index(text, end) < strings.LastIndex(text, `"stream":"`+name+`"`) {
			t.Errorf("the final status of %s occurs %d times, or before a record:\n%s", name, strings.Count(text, end), text)
		}
	}
}

// inShard changes the shard of a position.
func inShard(shard string, e *event) *event {
	e.Vgtid.ShardGtids[0].Shard = shard
	return e
}

func TestPermanentErrorsAreNotRetried(t *testing.T) {
	for name, c := range map[string]struct {
		err      error
		want     string
		attempts int
	}{
		"password": {status.Error(codes.Unauthenticated, "no"), "refused to stream", 1},
		"purged":   {status.Error(codes.Unknown, "the source purged required binary logs"), "no longer has the changes", 1},
		"size":     {status.Error(codes.ResourceExhausted, "message larger than max"), "exceeds the maximum message size", 1},
		"table":    {status.Error(codes.Unknown, "table users not found in schema"), "cannot stream shop.users", 2}, // retried, since its columns may be older
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 7, func(*request, func(...*event), <-chan struct{}) error { return c.err })
			r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
			out, err := r.run()
			if !errors.Is(err, ErrIncomplete) || len(r.requests()) != c.attempts {
				t.Fatalf("error %v after %d attempts", err, len(r.requests()))
			}
			e := out.Errors[0]
			if e.FailureType != "config_error" || !strings.Contains(e.Message, c.want) || e.Stream == nil || e.Stream.Name != "users" || out.Statuses[streamNamed("users")] != "INCOMPLETE" {
				t.Errorf("trace %+v, statuses %v", e, out.Statuses)
			}
		})
	}
}

// The error for a message that is too large names no table; only the table whose rows it contains fails.
func TestTooLargeRowFailsItsTableAlone(t *testing.T) {
	r := newRig(t, 6, func(q *request, send func(...*event), done <-chan struct{}) error {
		if slices.Contains(tablesIn(q), "users") {
			return status.Error(codes.ResourceExhausted, "message larger than max")
		}
		send(insert(6, tablesIn(q)...)...)
		return hold(done)
	})
	for _, name := range []string{"others", "parts", "users"} {
		r.add(testTable(name), airbyte.Incremental, &state.Shard{Position: at(5)})
	}
	out := r.failsAlone("exceeds the maximum message size")
	if got := rows(out); !slices.Equal(got, []string{"6:x", "6:x"}) {
		t.Errorf("records %v", got)
	}
}

// The position that all contain may be in the other half of a search: without one, vtgate would copy the tables instead.
func TestASearchKeepsToPositionsThatAreContained(t *testing.T) {
	r := newRig(t, 9, func(q *request, send func(...*event), done <-chan struct{}) error {
		names, from := tablesIn(q), q.Vgtid.ShardGtids[0].Gtid
		switch {
		case len(names) == 3:
			return status.Error(codes.ResourceExhausted, "message larger than max")
		case from == "":
			copyOf(send, names[0], 9)
			return hold(done)
		}
		has, err := gtid.Parse(from)
		for n := 6; n <= 9; n++ {
			if !has.Contains(only(n)) {
				send(insert(n, names...)...)
			}
		}
		return errors.Join(err, hold(done))
	})
	r.add(testTable("others"), airbyte.Incremental, &state.Shard{Position: at(5)})
	r.add(testTable("parts"), airbyte.Incremental, &state.Shard{Position: at(5).Union(only(7))})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(6)})
	want := []string{
		"others 6:x", "others 7:x", "others 8:x", "others 9:x",
		"parts 6:x", "parts 8:x", "parts 9:x",
		"users 7:x", "users 8:x", "users 9:x",
	}
	if got := rowsByTable(r.must()); !slices.Equal(got, want) {
		t.Errorf("records %q", got)
	}
}

func TestOneFailingStreamLeavesTheOthers(t *testing.T) {
	r := newRig(t, 5, func(q *request, send func(...*event), done <-chan struct{}) error {
		if tablesIn(q)[0] == "bad" {
			return status.Error(codes.PermissionDenied, "no")
		}
		copyOf(send, "good", 5)
		return hold(done)
	})
	r.add(testTable("bad"), airbyte.Incremental, nil)
	r.add(testTable("good"), airbyte.Incremental, nil)
	out, err := r.run()
	if !errors.Is(err, ErrIncomplete) || out.Statuses[streamNamed("bad")] != "INCOMPLETE" || out.Statuses[streamNamed("good")] != "COMPLETE" {
		t.Errorf("error %v, statuses %v", err, out.Statuses)
	}
	if got := rows(out); !slices.Equal(got, []string{"1:a", "2:b"}) {
		t.Errorf("records %v", got)
	}
}

// A server that logs only parts of rows sends NULL for values that are not NULL.
func TestPartialRowsFailLoudly(t *testing.T) {
	for name, mark := range map[string]func(*binlogdatapb.RowChange){
		"row image": func(c *binlogdatapb.RowChange) {
			c.DataColumns = &binlogdatapb.RowChange_Bitmap{Count: 2, Cols: []byte{1}}
		},
		"JSON": func(c *binlogdatapb.RowChange) {
			c.JsonPartialValues = &binlogdatapb.RowChange_Bitmap{Count: 1, Cols: []byte{1}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
				row := rowOf(7, "users", []string{"1", "a"}, []string{"1", "b"})
				mark(row.RowEvent.RowChanges[0])
				send(begin(7, 6), fields(7, "users"), row, script.VGTID(6, nil), commit(7))
				return hold(done)
			})
			r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
			out, err := r.run()
			if !errors.Is(err, ErrIncomplete) || len(out.Records) != 0 || !strings.Contains(out.Errors[0].Message, "binlog_row_image=FULL") {
				t.Errorf("error %v, records %v, traces %+v", err, rows(out), out.Errors)
			}
		})
	}
}

// A full refresh is a snapshot: changes that the server sends while it resumes the copy by itself are not part of it.
func TestFullRefreshIgnoresChanges(t *testing.T) {
	r := newRig(t, 9, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(begin(0, 0), fields(0, "users"))
		send(script.VGTID(5, nil))
		send(rowOf(0, "users", nil, []string{"1", "a"}), script.VGTID(5, pk("users", "1")), commit(0))
		send(begin(7, 6), fields(7, "users"), rowOf(7, "users", []string{"1", "a"}, nil), script.VGTID(6, pk("users", "1")), commit(7))
		send(begin(0, 0), fields(0, "users"), rowOf(0, "users", nil, []string{"2", "b"}), script.VGTID(6, pk("users", "2")), commit(0))
		send(script.CopyCompleted())
		return hold(done)
	})
	r.add(testTable("users"), airbyte.FullRefresh, nil)
	out := r.must()
	if got := rows(out); !slices.Equal(got, []string{"1:a", "2:b"}) {
		t.Errorf("records %v", got)
	}
	if _, ok := out.Records[0].Data[record.ColumnCursor]; ok {
		t.Errorf("a record of a full refresh has a cursor: %v", out.Records[0].Data)
	}
	if last := shardOf(t, out.States[len(out.States)-1]); last.Copy != nil || !last.Position.IsZero() {
		t.Errorf("the last state is %+v", last)
	}
}

func TestUnknownEventsAreIgnored(t *testing.T) {
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(&event{Type: 99}, fakevtgate.Heartbeat(), begin(7, 6), &event{Type: binlogdatapb.VEventType_SAVEPOINT},
			&event{Type: binlogdatapb.VEventType_FIELD}, &event{Type: binlogdatapb.VEventType_ROW}, script.VGTID(6, nil), commit(7))
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	if out := r.must(); len(out.Records) != 0 {
		t.Errorf("records %v", rows(out))
	}
}
