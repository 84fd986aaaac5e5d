package vstream

import (
	"fmt"
	"strings"
	"testing"

	"source-planetscale/internal/gtid"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	querypb "vitess.io/vitess/go/vt/proto/query"
)

func TestFilterAlwaysSelects(t *testing.T) {
	f := filter([]Table{{Name: "users"}, {Name: "odd `name", Columns: []string{"id", "a`b"}}, {Name: "/a.b/"}})
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

func TestVGtidHoldsPositionAndKey(t *testing.T) {
	const at = "MySQL56/16b1039f-22b6-11ed-b765-0a43f95f28a3:1-10"
	position, err := gtid.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	key := &querypb.QueryResult{Fields: []*querypb.Field{{Name: "id"}}}
	v := vgtid(Request{Shard: gtid.Shard{Keyspace: "shop", Name: "-80"}, Position: position, LastPK: key, Tables: []Table{{Name: "users"}}})
	if g := v.ShardGtids[0]; g.Keyspace != "shop" || g.Shard != "-80" || g.Gtid != at || g.TablePKs[0].TableName != "users" || g.TablePKs[0].Lastpk != key {
		t.Errorf("got %v", g)
	}
	v = vgtid(Request{Shard: gtid.Shard{Keyspace: "shop", Name: "80-"}, Tables: []Table{{Name: "users"}}})
	if g := v.ShardGtids[0]; g.Shard != "80-" || g.Gtid != "" || g.TablePKs != nil {
		t.Errorf("got %v", g)
	}
}

func TestErrorsAreClassified(t *testing.T) {
	for _, c := range []struct {
		code codes.Code
		text string
		want Kind
	}{
		{codes.Unauthenticated, "bad password", Unauthorized},
		{codes.PermissionDenied, "no", Unauthorized},
		{codes.Unavailable, "connection refused", Transient},
		{codes.InvalidArgument, "http2: server sent GOAWAY and closed the connection", Transient},
		{codes.Internal, "stream terminated by RST_STREAM", Transient},
		{codes.ResourceExhausted, "grpc: received message larger than max (20 vs. 10)", TooLarge},
		{codes.ResourceExhausted, "too many connections", Transient},
		{codes.Unknown, "Cannot replicate because the source purged required binary logs (errno 1236)", Purged},
		{codes.InvalidArgument, "GTIDSet Mismatch: requested source position:MySQL56/x", Purged},
		{codes.Unknown, "failed to build table replication plan for table users: bad length", BadTable},
		{codes.Unknown, "UnescapeID err: no outer backticks found", BadTable},
		{codes.Unknown, "cannot determine table columns for users", BadTable},
		{codes.Unknown, "node doesn't exist: /vitess/zone1/tablets/zone1-0000000100/Tablet", Transient},
		{codes.NotFound, "error starting stream from shard GTID keyspace:\"shop\" shard:\"-\": node doesn't exist: /vitess/global/keyspaces/shop/shards/-/Shard", Transient},
		{codes.Unknown, "in Engine.reload(), reading table other: Table 'vt_shop.other' doesn't exist: failed to reload schema after DDL encountered in stream", Transient},
		{codes.FailedPrecondition, "shard provided in VGTID, -80, not found in the shop keyspace", NoShard},
		{codes.Canceled, "failed to find a PRIMARY tablet for VStream in shop/-80 within the zone1 cell(s): context has expired", Transient},
		{codes.Unknown, "something new", Transient},
	} {
		if err := newError(status.Error(c.code, c.text)); KindOf(err) != c.want || err.Code != c.code {
			t.Errorf("%s %q is of kind %v", c.code, c.text, err.Kind)
		}
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
		if got := IsAnswer(fmt.Errorf("asking: %w", newError(status.Error(c.code, c.text)))); got != c.want {
			t.Errorf("%s: %v", c.text, got)
		}
	}
}

func TestErrorsHoldNoLiterals(t *testing.T) {
	for in, want := range map[string]string{
		`Incorrect DATE value: 'bob@x' (errno 1525) (sqlstate HY000) during query: select id from users where (id > 'bob@x')`: `Incorrect DATE value: … (errno 1525) (sqlstate HY000)`,
		`lastpk value was provided ([VARCHAR("bob@x") INT64(5)]) but`:                                                         `lastpk value was provided (…) but`,
		`Table 'vt_shop.users' doesn't exist`:                                                                                 `Table 'vt_shop.users' doesn't exist`,
		`failed (errno 1105) Sql: "select 'bob@x'", BindVars: {v1: "bob@x"}`:                                                  `failed (errno 1105)`,
		`value 'it''s bob' of`:                       `value … of`,
		`keyspace:"shop" shard:"-80" values:"bob@x"`: `keyspace:"shop" shard:"-80" values:…`,
	} {
		if got := redact(in); got != want {
			t.Errorf("%s became %s", in, got)
		}
	}
}

// vtgate quotes the request when a stream cannot be started, and with it the key of a row.
func TestErrorsHoldNoKeys(t *testing.T) {
	text := `error starting stream from shard GTID keyspace:"shop" table_p_ks:{table_name:"users" lastpk:{rows:{lengths:6 values:"se\"cret}"}}}: target: shop.-80.primary`
	err := newError(status.Error(codes.Unknown, text))
	if strings.Contains(err.Error(), "cret") || !strings.Contains(err.Error(), `table_name:"users"`) || !strings.Contains(err.Error(), "shop.-80.primary") {
		t.Errorf("the error says %s", err)
	}
}
