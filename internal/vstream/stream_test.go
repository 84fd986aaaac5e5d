package vstream

import (
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/gtid"
)

func TestFilterAlwaysSelects(t *testing.T) {
	f := filter(Request{Tables: []Table{{Name: "users"}, {Name: "odd `name", Columns: []string{"id", "a`b"}}, {Name: "/a.b/"}}})
	var got []string
	for _, r := range f.Rules {
		got = append(got, r.Match+" => "+r.Filter)
	}
	want := []string{
		"users => select * from `users`",
		"odd `name => select `id`, `a``b` from `odd ``name`",
		`/^/a\.b/$/ => `,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, expected %q", got, want)
	}
}

// The filter requests rows with other columns than the table has now, as the server describes them, or only the statements.
func TestFilterOfOlderRows(t *testing.T) {
	f := filter(Request{Tables: []Table{{Name: "users"}}, Older: true})
	if f.FieldEventMode != binlogdatapb.Filter_BEST_EFFORT || f.Rules[0].Filter != "select * from `users`" {
		t.Errorf("got %v", f)
	}
	f = filter(Request{Tables: []Table{{Name: "users"}}, Older: true, Statements: true})
	if f.FieldEventMode != binlogdatapb.Filter_BEST_EFFORT || f.Rules[0].Filter != "select 1 from `users`" {
		t.Errorf("got %v", f)
	}
}

func TestVGtidHoldsPositionAndKey(t *testing.T) {
	const at = "MySQL56/16b1039f-22b6-11ed-b765-0a43f95f28a3:1-10"
	position, err := gtid.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	key := &querypb.QueryResult{Fields: []*querypb.Field{{Name: "id"}}}
	v := vgtid(Request{Shard: gtid.Shard{Keyspace: "shop", Name: "-80"}, Position: position, LastPK: key, Tables: []Table{{Name: "users"}}})
	if g := v.ShardGtids[0]; g.Keyspace != "shop" || g.Shard != "-80" || g.Gtid != at || g.TablePKs[0].TableName != "users" ||
		g.TablePKs[0].Lastpk != key {
		t.Errorf("got %v", g)
	}
	v = vgtid(Request{Shard: gtid.Shard{Keyspace: "shop", Name: "80-"}, Tables: []Table{{Name: "users"}}})
	if g := v.ShardGtids[0]; g.Shard != "80-" || g.Gtid != "" || g.TablePKs != nil {
		t.Errorf("got %v", g)
	}
}

func TestAnswersAreToldFromTheNetwork(t *testing.T) {
	const tagged = "error starting stream from shard GTID keyspace:\"commerce\" shard:\"-\" gtid:\"current\": persistent error in vstream for commerce/- on tablet zone1-0000000100; giving up: " +
		"target: commerce.-.primary: vttablet: rpc error: code = Unknown desc = could not obtain current position: invalid MySQL 5.6 GTID set"
	for _, c := range []struct {
		code codes.Code
		text string
		want bool
	}{
		{codes.Unknown, tagged, true},
		{codes.FailedPrecondition, "target: commerce.-.primary: vttablet: rpc error: code = FailedPrecondition desc = wrong tablet type", true},
		{codes.Unavailable, "error starting stream from shard GTID keyspace:\"commerce\" shard:\"-\": no tablet", true},
		{codes.Unavailable, "connection error: desc = \"transport: Error while dialing: connection refused\"", false},
		{codes.Unknown, "unexpected HTTP status code received from server: 400 (Bad Request)", false},
		{codes.Unimplemented, "unknown service vtgateservice.Vitess", false},
		{codes.DeadlineExceeded, "context deadline exceeded", false},
	} {
		if got := IsAnswer(fmt.Errorf("asking: %w", newError(status.Error(c.code, c.text), names{}))); got != c.want {
			t.Errorf("%s: %v", c.text, got)
		}
	}
}
