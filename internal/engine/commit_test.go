package engine

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/state"
)

// vttablet sends no position for a transaction that ends in a COMMIT statement: an empty one, or one on tables without transactions. The
// sync can end at such a transaction, too, and its state contains it.
func TestTransactionThatEndsInACommitStatement(t *testing.T) {
	t.Parallel()
	row := func(id string) *event { return rowOf(7, "users", nil, []string{id, "m"}) }
	named := func(n int) []*event { return []*event{begin(7, n), script.VGTID(n, nil), commit(7)} }
	for name, c := range map[string]struct {
		stop   int
		events [][]*event
		want   []string
	}{
		"named":                        {6, [][]*event{{begin(7, 6), commit(7)}}, nil},
		"three named":                  {8, [][]*event{{begin(7, 6), commit(7)}, {begin(7, 7), commit(7)}, {begin(7, 8), commit(7)}}, nil},
		"an older server's":            {6, [][]*event{{begin(7, 0), commit(7)}}, nil},
		"around one with a position":   {8, [][]*event{{begin(7, 0), commit(7)}, named(7), {begin(7, 0), commit(7)}}, nil},
		"after one with a position":    {8, [][]*event{named(6), named(7), {begin(7, 8), commit(7)}}, nil},
		"with rows, as of MyISAM":      {6, [][]*event{{begin(7, 6), fields(7, "users"), row("1"), commit(7)}}, []string{"1:m"}},
		"with rows, an older server's": {6, [][]*event{{begin(7, 0), fields(7, "users"), row("1"), commit(7)}}, []string{"1:m"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.stop, func(_ *request, send func(...*event), done <-chan struct{}) error {
				for _, events := range c.events {
					send(events...)
				}
				send(fakevtgate.Heartbeat())
				return hold(done)
			})
			r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
			out, err := within(t, r, 10*time.Second)
			if err != nil {
				t.Fatalf("the sync did not end: %v", err)
			}
			if got := rows(out); !slices.Equal(got, c.want) {
				t.Errorf("records %v, expected %v", got, c.want)
			}
			if last := lastOf(t, out.States, "users"); !last.Position.Equal(at(c.stop)) {
				t.Errorf("the last state is at %s", last.Position)
			}
			if n := len(r.requests()); n != 1 {
				t.Errorf("%d streams were opened", n)
			}
		})
	}
}

// With an older server the target is not reached before as many transactions have been received as it is ahead, and none follows at once:
// the next one must still be read. If vtgate begins again after an error, the same transactions are received twice.
func TestTransactionsWithoutAPositionAreCounted(t *testing.T) {
	for name, c := range map[string]struct {
		before int
		silent bool // then
	}{"one": {1, false}, "one, twice": {2, false}, "one, many times": {30, false}, "one, and a silence": {1, true}, "one, twice, and a silence": {2, true}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 7, func(q *request, send func(...*event), done <-chan struct{}) error {
				if isAfter(q, 5) {
					for range c.before {
						send(begin(7, 0), commit(7))
					}
					if c.silent {
						send(fakevtgate.Heartbeat())
					}
				}
				send(begin(7, 0), fields(7, "users"), rowOf(7, "users", nil, []string{"7", "x"}), script.VGTID(7, nil), commit(7))
				return hold(done)
			})
			r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
			if got := rows(r.must()); !slices.Equal(got, []string{"7:x"}) {
				t.Errorf("records %v", got)
			}
		})
	}
}

// What follows a silence may be the same transaction again: vtgate looked for another tablet meanwhile.
func TestATransactionWithoutAPositionIsCountedOnceDespiteASilence(t *testing.T) {
	r := newRig(t, 7, func(q *request, send func(...*event), done <-chan struct{}) error {
		for range 5 {
			if isAfter(q, 5) {
				send(begin(7, 0), commit(7))
			}
			send(fakevtgate.Heartbeat())
		}
		send(begin(7, 0), fields(7, "users"), rowOf(7, "users", nil, []string{"7", "x"}), script.VGTID(7, nil), commit(7))
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	if got := rows(r.must()); !slices.Equal(got, []string{"7:x"}) {
		t.Errorf("records %v", got)
	}
}

// isAfter reports whether a stream starts after that transaction.
func isAfter(q *request, n int) bool { return q.Vgtid.ShardGtids[0].Gtid == fakevtgate.GTID(n) }

// Several of an older server are read one stream after another: each shows the next one for certain.
func TestTransactionsOfAnOlderServerAreCertainOneByOne(t *testing.T) {
	t.Parallel()
	r := newRig(t, 8, nil)
	r.stream = func(q *request, send func(...*event), done <-chan struct{}) error {
		for n := 7; n >= 5 && !isAfter(q, n+1); n-- {
			send(begin(7, 0), commit(7))
		}
		send(fakevtgate.Heartbeat())
		return hold(done)
	}
	r.cfg.MaxRetries = 1
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	out, err := within(t, r, 30*time.Second)
	if err != nil {
		t.Fatalf("error %v, traces %+v", err, out.Errors)
	}
	if last := lastOf(t, out.States, "users"); len(out.Records) > 0 || !last.Position.Equal(at(8)) || len(r.requests()) != 3 {
		t.Errorf("the last state is at %s, after %d streams", last.Position, len(r.requests()))
	}
}

// After each error vtgate begins again before a transaction that has no position, for ever: each event makes it forget its errors. A stream
// that starts after it shows the error, whatever it is: a primary's transactions are no replica's own.
func TestTransactionThatIsSentAgainAndAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text    string
		streams int // with today's columns, and again to find out which the rows have
		says    string
	}{
		"labels": {"enum or set column @4 does not have valid string values: failed to build table replication plan for table users", 3, "ENUM"},
		"purged": {"Cannot replicate because the source purged required binary logs", 2, "purged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opened := 0
			r := newRig(t, 7, func(q *request, send func(...*event), done <-chan struct{}) error {
				if opened++; opened > 1 {
					if at := q.Vgtid.ShardGtids[0].Gtid; opened == 2 && !strings.HasSuffix(at, ":1-6") {
						t.Errorf("the next stream starts at %s", at)
					}
					return status.Error(codes.Unknown, c.text)
				}
				for range mostRepeatsSent {
					send(begin(7, 6), commit(7))
				}
				return hold(done)
			})
			r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
			out, err := within(t, r, 10*time.Second)
			if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 1 || out.Errors[0].FailureType != "config_error" ||
				!strings.Contains(out.Errors[0].Message, c.says) || opened != c.streams {
				t.Errorf("error %v, traces %+v, %d streams", err, out.Errors, opened)
			}
		})
	}
}

// mostRepeatsSent is more often than a stream may repeat a transaction, and once for its first time.
const mostRepeatsSent = 12

// Such transactions are also received while a copy catches up; the position at which it completes is the server's.
func TestTransactionThatEndsInACommitStatementDuringACopy(t *testing.T) {
	for name, n := range map[string]int{"named": 7, "an older server's": 0} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 8, func(_ *request, send func(...*event), done <-chan struct{}) error {
				send(begin(0, 0), fields(0, "users"), script.VGTID(6, nil))
				send(rowOf(0, "users", nil, []string{"1", "a"}), script.VGTID(6, pk("users", "1")), commit(0))
				send(begin(7, n), commit(7))
				send(begin(0, 0), fields(0, "users"), rowOf(0, "users", nil, []string{"2", "b"}), script.VGTID(8, pk("users", "2")), commit(0))
				send(begin(0, 0), script.VGTID(8, nil), commit(0))
				send(script.CopyCompleted())
				return hold(done)
			})
			r.add(testTable("users"), airbyte.Incremental, nil)
			out, err := within(t, r, 10*time.Second)
			if got := rows(out); err != nil || !slices.Equal(got, []string{"1:a", "2:b"}) {
				t.Fatalf("records %v, error %v", got, err)
			}
			if last := lastOf(t, out.States, "users"); last.Copy != nil || !last.Position.Equal(at(8)) {
				t.Errorf("the last state is %+v", last)
			}
		})
	}
}

// unnamed is transaction n from an older server, without its GTID; it inserts the row n:x into the tables.
func unnamed(n int, tables ...string) []*event {
	events := insert(n, tables...)
	events[0] = fakevtgate.Begin(7, 0)
	return events
}
