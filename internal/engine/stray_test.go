package engine

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// These streams are sent by replicas, one of which has transactions of its own. None usually starts after those, which the others lack.

// The servers whose own transactions, 1 to 3, a replica has.
const (
	strays    = "99b1039f-22b6-11ed-b765-0a43f95f28a3"
	moreStray = "a9b1039f-22b6-11ed-b765-0a43f95f28a3"

	stray = strays + ":1-3"
)

// readsReplicas makes the rig read replicas of a primary that has executed n transactions.
func (r *rig) readsReplicas(n int) {
	r.configure(`,"use_replica":true`)
	r.asks = func(s *Server) {
		s.Primary.Executed = func(context.Context, gtid.Shard) (string, string, error) {
			return fakevtgate.UUID, at(n).GTIDSet(), nil
		}
	}
}

// strayed is transaction number n of a server's own, with a position if there is one.
func strayed(server, n, position string) []*event {
	b := begin(7, 0)
	b.EventGtid = server + ":" + n
	if position == "" {
		return []*event{b, commit(7)}
	}
	return []*event{b, vgtidText(position, nil), commit(7)}
}

// A copy's snapshot came from the replica that has the transaction; the stream breaks, and continues on another replica.
func TestStreamThatBreaksGoesOnWithoutTheTransactionsOfOneReplica(t *testing.T) {
	r := newRig(t, 7, nil)
	r.stream = func(_ *request, send func(...*event), done <-chan struct{}) error {
		if len(r.requests()) == 1 {
			send(begin(0, 0), fields(0, "users"), vgtidText(fakevtgate.GTID(7)+","+stray, nil))
			send(rowOf(0, "users", nil, []string{"1", "a"}), vgtidText(fakevtgate.GTID(7)+","+stray, pk("users", "1")), commit(0))
			return status.Error(codes.Unavailable, "the tablet is gone")
		}
		send(begin(0, 0), fields(0, "users"), script.VGTID(7, pk("users", "1")), rowOf(0, "users", nil, []string{"2", "b"}), script.VGTID(7, pk("users", "2")), commit(0))
		send(begin(0, 0), script.VGTID(7, nil), commit(0), script.CopyCompleted())
		return hold(done)
	}
	r.readsReplicas(7)
	r.exists("users")
	out, err := r.read(&airbyte.State{}, "users")
	if got := rows(out); err != nil || !slices.Equal(got, []string{"1:a", "2:b"}) {
		t.Fatalf("records %v, error %v", got, err)
	}
	if g := r.requests()[1].Vgtid.ShardGtids[0]; g.Gtid != fakevtgate.GTID(7) || g.TablePKs == nil {
		t.Errorf("continued from %v", g)
	}
}

// After each error VTGate begins again before the replica's transactions, for ever. They are skipped, to see the error. If another replica
// answers, or none, the others are read again.
func TestTransactionOfOneReplicaThatIsSentAgainAndAgain(t *testing.T) {
	t.Parallel()
	labels := status.Error(codes.Unknown, "enum or set column @4 does not have valid string values: failed to build table replication plan for table users")
	unknown := status.Error(codes.Unknown, "something that only Vitess 31 says")
	for name, c := range map[string]struct {
		servers []string // whose transactions the replica has
		behind  []error  // by streams that skip them, in turn
		others  bool     // the streams are continued by another replica, except for the first
		want    []bool   // which streams skip those of the first server
		says    string
	}{
		// With today's columns, and again to find out which the rows have.
		"the replica shows the error":      {[]string{strays}, []error{labels, labels}, false, []bool{false, true, false, true}, "ENUM"},
		"it has those of two servers":      {[]string{strays, moreStray}, []error{labels, labels}, false, []bool{false, true, true, false, true, true}, "ENUM"},
		"an error that is not known first": {[]string{strays}, []error{unknown, labels, labels}, false, []bool{false, true, true, false, true}, "ENUM"},
		"an error that is not known lasts": {[]string{strays}, []error{unknown, unknown, unknown}, false, []bool{false, true, true, true}, "broke"},
		"the replica has gone":             {[]string{strays}, []error{status.Error(codes.Unavailable, "failed to find a REPLICA tablet for VStream in source/-")}, true, []bool{false, true, false}, ""},
		"another replica answers": {[]string{strays}, []error{status.Error(codes.InvalidArgument,
			"persistent error in vstream for source/- on tablet zone1-0000000102; giving up: GTIDSet Mismatch: requested source position:a, current target vrep position: b")}, true, []bool{false, true, false}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 7, nil)
			var asked []bool
			r.stream = func(q *request, send func(...*event), done <-chan struct{}) error {
				from := positionOf(t, q.Vgtid.ShardGtids[0].Gtid)
				has := func(server string) bool { return from.Contains(positionOf(t, server+":1-3")) }
				asked = append(asked, has(strays))
				if c.others && len(asked) == 3 {
					send(insert(7, "users")...)
					return hold(done)
				}
				for _, server := range c.servers {
					if has(server) {
						continue
					}
					for range mostRepeatsSent {
						for _, n := range []string{"1", "2", "3"} {
							send(strayed(server, n, "")...)
						}
					}
					return hold(done)
				}
				err := c.behind[0]
				c.behind = c.behind[1:]
				return err
			}
			r.readsReplicas(7)
			r.cfg.MaxRetries, r.patience = 3, 1
			r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
			out, err := within(t, r, 40*time.Second)
			if (err == nil) != c.others || !slices.Equal(asked, c.want) {
				t.Errorf("error %v, traces %+v, streams after the transaction: %v", err, out.Errors, asked)
			}
			if got := rows(out); c.others != slices.Equal(got, []string{"7:x"}) || !c.others && !strings.Contains(out.Errors[0].Message, c.says) {
				t.Errorf("records %v, traces %+v", got, out.Errors)
			}
		})
	}
}

// Every stream begins before the replica's transactions: that they come again is no progress for a stream that fails behind them.
func TestTransactionsOfOneReplicaAreNoProgress(t *testing.T) {
	t.Parallel()
	r := newRig(t, 7, func(_ *request, send func(...*event), _ <-chan struct{}) error {
		for _, n := range []string{"1", "2", "3"} {
			send(strayed(strays, n, fakevtgate.GTID(5)+","+strays+":1-"+n)...)
		}
		return status.Error(codes.Unknown, "something that only Vitess 31 says")
	})
	r.readsReplicas(7)
	r.cfg.MaxRetries, r.patience = 2, 1
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	out, err := within(t, r, 40*time.Second)
	if err == nil || len(out.Errors) != 1 || len(r.requests()) != 3 {
		t.Errorf("error %v, traces %+v, %d streams", err, out.Errors, len(r.requests()))
	}
}

// A table that is further on than the stream has the effect of a statement before its position, although the stream's position behind the
// statement also contains the replica's transactions, which the table's does not.
func TestStatementBehindTheTransactionsOfOneReplica(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		users int // their position
		fails bool
	}{"before the table's position": {7, false}, "after it": {5, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 8, func(_ *request, send func(...*event), done <-chan struct{}) error {
				send(strayed(strays, "1", fakevtgate.GTID(5)+","+strays+":1")...)
				send(vgtidText(fakevtgate.GTID(6)+","+strays+":1", nil), ddl("truncate table users"))
				events := insert(8, "users", "others")
				events[len(events)-2] = vgtidText(fakevtgate.GTID(8)+","+strays+":1", nil)
				send(events...)
				return hold(done)
			})
			r.readsReplicas(8)
			r.exists("users", "others")
			out, err := r.read(r.atPosition(map[string]gtid.Position{"users": at(c.users), "others": at(5)}), "users", "others")
			want := []string{"others 8:x", "users 8:x"}
			if c.fails {
				want = want[:1]
			}
			if got := rowsByTable(out); (err != nil) != c.fails || !slices.Equal(got, want) {
				t.Errorf("records %v, error %v, traces %+v", got, err, out.Errors)
			}
		})
	}
}

// A copy's snapshot came from the replica that has the transactions, and another one streams the changes since: that stream never contains
// all of the table's position, but it does not lie before it.
func TestStreamBehindTheTransactionsOfOneReplica(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		next  func(send func(...*event), done <-chan struct{}) error
		rows  []string
		fails string
	}{
		"something stops it": {func(send func(...*event), _ <-chan struct{}) error {
			send(begin(7, 7), script.VGTID(6, nil), commit(7)) // another table's
			return status.Error(codes.Unknown, "vttablet: unexpected statement type UNKNOWN in row-based replication: XA COMMIT X'61',X'',1")
		}, []string{"1:a"}, "Vitess cannot read a statement"},
		"its server does not name transactions": {func(send func(...*event), done <-chan struct{}) error {
			send(begin(7, 0), script.VGTID(7, nil), commit(7))
			events := insert(8, "users")
			events[0].EventGtid = ""
			send(events...)
			return hold(done)
		}, []string{"1:a", "8:x"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 8, nil)
			r.stream = func(q *request, send func(...*event), done <-chan struct{}) error {
				if q.Vgtid.ShardGtids[0].Gtid != "" {
					return c.next(send, done)
				}
				at := fakevtgate.GTID(5) + "," + stray
				send(begin(0, 0), fields(0, "users"), vgtidText(at, nil))
				send(rowOf(0, "users", nil, []string{"1", "a"}), vgtidText(at, pk("users", "1")), commit(0))
				send(begin(0, 0), vgtidText(at, nil), commit(0), script.CopyCompleted())
				return hold(done)
			}
			r.readsReplicas(8)
			executed := r.asks
			r.asks = func(s *Server) {
				executed(s)
				s.TablesAt = func(context.Context, gtid.Shard, []string, bool) (map[string]table.Table, schema.Moment, error) {
					return nil, schema.Moment{}, schema.ErrRefused // otherwise no copy from a replica that lags is used
				}
			}
			r.exists("users")
			out, err := r.read(&airbyte.State{}, "users")
			if got := rows(out); (err != nil) != (c.fails != "") || len(r.requests()) != 2 || !slices.Equal(got, c.rows) {
				t.Errorf("records %v, error %v, traces %+v, %d streams", got, err, out.Errors, len(r.requests()))
			}
			for _, e := range out.Errors {
				if !strings.Contains(e.Message, c.fails) {
					t.Errorf("trace %+v", e)
				}
			}
		})
	}
}
