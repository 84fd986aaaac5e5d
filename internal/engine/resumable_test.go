package engine

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// addUnfinished configures users with a copy that has reached a key.
func (r *rig) addUnfinished(key *querypb.QueryResult) *partition.Stream {
	r.t.Helper()
	return r.add(namedUsers(), airbyte.Incremental, &state.Shard{Position: at(6), Copy: &state.Copy{Oldest: at(6), LastPK: key}})
}

// namedUsers is users with a column name that can be a key.
func namedUsers() *table.Table {
	users := testTable("users")
	users.Columns[1].Nullable = false
	return users
}

// keyIsNameFrom makes name the key of users from the n-th lookup on.
func (r *rig) keyIsNameFrom(n int) {
	looks := 0
	r.look = func(context.Context, gtid.Shard, []string, bool) (map[string]table.Table, error) {
		users := namedUsers()
		if looks++; looks >= n {
			users.MySQLKey = []string{"name"}
		}
		return map[string]table.Table{"users": *users}, nil
	}
}

// mustStartOver runs a sync whose n-th attempt must copy from the first row.
func (r *rig) mustStartOver(n int) {
	r.t.Helper()
	r.must()
	requests := r.requests()
	if len(requests) < n {
		r.t.Fatalf("the copy was complete after %d attempts", len(requests))
	}
	if g := requests[n-1].Vgtid.ShardGtids[0]; g.Gtid != "" || g.TablePKs != nil {
		r.t.Errorf("the copy continued at %v", g)
	}
}

// The server continued after the former key's values as if they were the new key's. MySQL, which is queried before the next
// attempt, has the new key: the copy must not resume after that either.
func TestCopyWhoseKeyChangesDoesNotGoOnAfterTheNewOne(t *testing.T) {
	t.Parallel()
	r := newRig(t, 6, nil)
	r.stream = func(_ *request, send func(...*event), done <-chan struct{}) error {
		if len(r.requests()) > 1 {
			copyOf(send, "users", 6)
			return hold(done)
		}
		send(begin(0, 0), fields(0, "users"), script.VGTID(6, pk("users", "1")), commit(0))
		send(rowOf(0, "users", nil, []string{"9", "z"}), script.VGTID(6, fakevtgate.LastPK("users", "name", "z", querypb.Type_VARCHAR)))
		send(commit(0), script.VGTID(6, nil), script.CopyCompleted())
		return hold(done)
	}
	r.addUnfinished(pk("users", "1").Lastpk)
	r.keyIsNameFrom(3) // after the first attempt's request and its columns
	r.mustStartOver(2)
}

// If the server takes the former key's values for the last ones of the new key, it sends no rows after them, so no key in
// the server's events shows the change: the columns read at the snapshot do.
func TestCopyWhoseKeyWasChangedJustBeforeItWentOnStartsOver(t *testing.T) {
	t.Parallel()
	r := newRig(t, 6, nil)
	r.stream = func(_ *request, send func(...*event), done <-chan struct{}) error {
		if len(r.requests()) > 1 {
			copyOf(send, "users", 6)
			return hold(done)
		}
		send(begin(0, 0), fields(0, "users"), script.VGTID(6, pk("users", "1")), commit(0), script.CopyCompleted())
		return hold(done)
	}
	r.addUnfinished(pk("users", "1").Lastpk)
	r.keyIsNameFrom(2) // between the first attempt's request and its columns
	r.mustStartOver(2)
}

// The server compares the key's values with the column's current type: '7' > '50' as text, but 7 < 50 as a number.
func TestCopyWhoseKeyGotAnotherTypeOrCollationStartsOver(t *testing.T) {
	t.Parallel()
	text := func(declaration string, collation uint32) *querypb.Field {
		return &querypb.Field{Name: "id", Type: querypb.Type_VARCHAR, ColumnType: declaration, Charset: collation}
	}
	binaryID, swedishID := uint32(46), uint32(8) // utf8mb4_bin, latin1_swedish_ci
	for name, c := range map[string]struct {
		was, now *querypb.Field
		goesOn   bool
	}{
		"nothing":                  {was: text("varchar(20)", binaryID), now: text("varchar(20)", binaryID), goesOn: true},
		"nothing, saved without":   {was: text("", 0), now: text("varchar(20)", binaryID), goesOn: true},
		"type":                     {was: text("varchar(20)", binaryID), now: idAndName[0]},
		"type, saved without":      {was: text("", 0), now: idAndName[0]},
		"collation":                {was: text("varchar(20)", binaryID), now: text("varchar(20)", swedishID)},
		"collation, saved without": {was: text("", binaryID), now: text("varchar(20)", swedishID)},
		"collation Vitess has not": {was: text("varchar(20)", binaryID), now: text("varchar(20)", 0)},
		"length":                   {was: text("varchar(20)", binaryID), now: text("varchar(10)", binaryID)},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 6, func(q *request, send func(...*event), done <-chan struct{}) error {
				if q.Vgtid.ShardGtids[0].TablePKs == nil {
					copyOf(send, "users", 6)
					return hold(done)
				}
				key := q.Vgtid.ShardGtids[0].TablePKs[0] // vtgate sends it back
				send(begin(0, 0), fakevtgate.Fields(0, "users", c.now, idAndName[1]), script.VGTID(6, key), commit(0), script.CopyCompleted())
				return hold(done)
			})
			r.addUnfinished(&querypb.QueryResult{Fields: []*querypb.Field{c.was}, Rows: pk("users", "50").Lastpk.Rows})
			if c.goesOn {
				r.must()
				if n := len(r.requests()); n != 1 {
					t.Errorf("%d attempts", n)
				}
				return
			}
			r.mustStartOver(2)
		})
	}
}

// The server sends a key without its columns' lengths and, if it is an older one, without their collations.
func TestAStateDescribesItsCopysKey(t *testing.T) {
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		copyOf(send, "users", 6)
		return hold(done)
	})
	r.cfg.CheckpointIntervalSeconds = 0
	r.add(testTable("users"), airbyte.Incremental, nil)
	for _, s := range r.must().States {
		if c := shardOf(t, s).Copy; c != nil && c.LastPK != nil {
			if f := c.LastPK.Fields[0]; f.ColumnType != "bigint" || f.Charset != idAndName[0].Charset || f.Type != querypb.Type_INT64 {
				t.Errorf("the key is saved with the fields %v", f)
			}
			return
		}
	}
	t.Error("no state has a key")
}

// In a table without a key all columns are the key; columns that are not selected are described only in the key itself.
func TestCopyWhoseUnreadKeyGotAnotherTypeStartsOver(t *testing.T) {
	t.Parallel()
	both := func(name querypb.Type) *binlogdatapb.TableLastPK {
		key := pk("users", "1")
		key.Lastpk.Fields = append(key.Lastpk.Fields, &querypb.Field{Name: "name", Type: name})
		key.Lastpk.Rows[0] = &querypb.Row{Lengths: []int64{1, 1}, Values: []byte("17")}
		return key
	}
	r := newRig(t, 6, nil)
	r.stream = func(_ *request, send func(...*event), done <-chan struct{}) error {
		if len(r.requests()) == 1 {
			send(begin(0, 0), fakevtgate.Fields(0, "users", idAndName[0]), script.VGTID(6, both(querypb.Type_VARCHAR)), commit(0))
			send(begin(0, 0), rowOf(0, "users", nil, []string{"2"}), script.VGTID(6, both(querypb.Type_INT64)), commit(0), script.CopyCompleted())
			return hold(done)
		}
		send(begin(0, 0), fakevtgate.Fields(0, "users", idAndName[0]), script.VGTID(6, nil), commit(0), script.CopyCompleted())
		return hold(done)
	}
	users := namedUsers()
	users.Key, users.MySQLKey = nil, nil
	s := r.add(users, airbyte.Incremental, &state.Shard{Position: at(6), Copy: &state.Copy{
		Oldest: at(6),
		LastPK: both(querypb.Type_VARCHAR).Lastpk,
	}})
	s.Columns = []string{"id"}
	r.mustStartOver(2)
}

func TestOldestSnapshotOfAResumableCopyIsNotNeeded(t *testing.T) {
	got := positionsOf(&state.Shard{Position: at(9), Copy: &state.Copy{Oldest: at(2), LastPK: pk("users", "1").Lastpk}})
	if len(got) != 1 {
		t.Errorf("requests %v", got)
	}
}

// The server would interpret the values as those of the table's new key, and leave rows out.
func TestCopyWhoseKeyWasChangedStartsOver(t *testing.T) {
	r := newRig(t, 6, func(q *request, send func(...*event), done <-chan struct{}) error {
		copyOf(send, "users", 6)
		return hold(done)
	})
	former := &querypb.QueryResult{Fields: []*querypb.Field{{Name: "name", Type: querypb.Type_VARCHAR}}, Rows: pk("users", "1").Lastpk.Rows}
	users := testTable("users")
	users.Columns[1].Nullable = false
	r.add(users, airbyte.Incremental, &state.Shard{Position: at(6), Copy: &state.Copy{Oldest: at(6), LastPK: former}})
	r.must()
	if g := r.requests()[0].Vgtid.ShardGtids[0]; g.Gtid != "" || g.TablePKs != nil {
		t.Errorf("the copy continued at %v", g)
	}
}

// The same when the copy's stream broke, and the change of the key waited for its end.
func TestCopyWhoseKeyWasChangedWhenItBrokeStartsOver(t *testing.T) {
	t.Parallel()
	attempts := 0
	r := newRig(t, 6, nil)
	r.stream = func(_ *request, send func(...*event), done <-chan struct{}) error {
		if attempts++; attempts > 1 {
			copyOf(send, "users", 6)
			return hold(done)
		}
		send(begin(0, 0), fields(0, "users"), script.VGTID(6, nil), rowOf(0, "users", nil, []string{"1", "a"}), script.VGTID(6, pk("users", "1")), commit(0))
		other := testTable("users")
		other.MySQLKey = []string{"name"}
		r.replace(other)
		return status.Error(codes.Unavailable, "gone")
	}
	r.add(testTable("users"), airbyte.Incremental, nil)
	r.must()
	if g := r.requests()[1].Vgtid.ShardGtids[0]; g.Gtid != "" || g.TablePKs != nil {
		t.Errorf("the copy continued at %v", g)
	}
}

// The same while the copy is read: the server has continued after a key that is no longer the table's.
func TestCopyWhoseKeyChangesStartsOver(t *testing.T) {
	t.Parallel()
	renamed := pk("users", "7")
	renamed.Lastpk.Fields = []*querypb.Field{{Name: "name", Type: querypb.Type_VARCHAR}}
	attempts := 0
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		if attempts++; attempts > 1 {
			copyOf(send, "users", 6)
			return hold(done)
		}
		send(begin(0, 0), fields(0, "users"), script.VGTID(6, pk("users", "1")), rowOf(0, "users", nil, []string{"9", "z"}), script.VGTID(6, renamed), commit(0))
		send(script.VGTID(6, nil), script.CopyCompleted())
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(6), Copy: &state.Copy{Oldest: at(6), LastPK: pk("users", "1").Lastpk}})
	out := r.must()
	if got := rows(out); !slices.Equal(got, []string{"9:z", "1:a", "2:b"}) {
		t.Errorf("records %v", got)
	}
}

// vtgate reopened the stream by itself after the last row: without a key it only replicates.
func TestCopyThatTheServerForgotStartsOver(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	r := newRig(t, 5, func(_ *request, send func(...*event), done <-chan struct{}) error {
		if n.Add(1) > 1 {
			copyOf(send, "users", 6)
			return hold(done)
		}
		send(begin(0, 0), fields(0, "users"), script.VGTID(5, nil), rowOf(0, "users", nil, []string{"1", "a"}), script.VGTID(5, pk("users", "1")), commit(0))
		send(begin(0, 0), script.VGTID(5, nil), commit(0))
		for i := 6; ; i++ { // vtgate continues from position 5 without a key
			send(begin(7, i), fields(7, "users"), rowOf(7, "users", nil, []string{"1", "b"}), script.VGTID(i, nil), commit(7))
			select {
			case <-done:
				return nil
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	r.add(testTable("users"), airbyte.Incremental, nil)
	_, err := within(t, r, 6*time.Second)
	if err != nil {
		t.Errorf("never ends: %v", err)
	}
}
