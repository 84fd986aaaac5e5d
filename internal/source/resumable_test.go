package source

import (
	"context"
	"testing"

	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/state"
)

// addUnfinished configures users, whose copy got to a key.
func (r *rig) addUnfinished(key *querypb.QueryResult) *stream {
	r.t.Helper()
	return r.add(namedUsers(), airbyte.Incremental, &state.Shard{Position: at(6), Copy: &state.Copy{Oldest: at(6), LastPK: key}})
}

// namedUsers is users with names that may be a key.
func namedUsers() *schema.Table {
	users := table("users")
	users.Columns[1].Nullable = false
	return users
}

// keyIsNameFrom makes name the key of users from the n-th time on that they are looked up.
func (r *rig) keyIsNameFrom(n int) {
	looks := 0
	r.sync.tables = func(context.Context, string, string) (map[string]schema.Table, error) {
		users := namedUsers()
		if looks++; looks >= n {
			users.MySQLKey = []string{"name"}
		}
		return map[string]schema.Table{"users": *users}, nil
	}
}

// mustStartOver runs a sync whose n-th attempt is to copy from the first row.
func (r *rig) mustStartOver(n int) {
	r.t.Helper()
	r.must()
	requests := r.requests()
	if len(requests) < n {
		r.t.Fatalf("the copy was complete after %d attempts", len(requests))
	}
	if g := requests[n-1].Vgtid.ShardGtids[0]; g.Gtid != "" || g.TablePKs != nil {
		r.t.Errorf("the copy went on at %v", g)
	}
}

// The server went on after the former key's values as if they were the new one's. MySQL, which is asked before the next
// attempt, has the new key: it must not look like one to go on after.
func TestCopyWhoseKeyChangesDoesNotGoOnAfterTheNewOne(t *testing.T) {
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

// Nothing comes after the former key's values if the server takes them for the last ones of the new key, so that no key of
// the server's tells of the change: the columns looked up at the snapshot do.
func TestCopyWhoseKeyWasChangedJustBeforeItWentOnStartsOver(t *testing.T) {
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
