package vstream

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

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
		{codes.InvalidArgument, "Incorrect DATETIME value: '0000-00-00 00:00:00' (errno 1525) (sqlstate HY000) during query: select id", BadKey},
		{codes.InvalidArgument, "invalid lastpk value for column id", BadKey},
		{codes.Unknown, "failed to build table replication plan for table users: bad length", BadTable},
		{codes.Unknown, "UnescapeID err: no outer backticks found", BadTable},
		{codes.Unknown, "cannot determine table columns for users", BadTable},
		{codes.Unknown, "in Engine.reload(), reading table other: Table 'vt_shop.other' doesn't exist: failed to reload schema after DDL " +
			"encountered in stream", Transient},
		{codes.FailedPrecondition, "shard provided in VGTID, -80, not found in the shop keyspace", NoShard},
		{codes.Canceled, "failed to find a PRIMARY tablet for VStream in shop/-80 within the zone1 cell(s): context has expired", Transient},
		{codes.Unknown, "node doesn't exist: /vitess/zone1/tablets/zone1-0000000100/Tablet", Transient},
		{codes.NotFound, "error starting stream from shard GTID keyspace:\"shop\" shard:\"-\": node doesn't exist: " +
			"/vitess/global/keyspaces/shop/shards/-/Shard", Transient},
		{codes.Unknown, "unexpected statement type UNKNOWN in row-based replication: \"xa start 'x'\"", Unreadable},
		{codes.Unknown, "enum or set column @2 does not have valid string values: failed to build table replication plan for table " +
			"users", BadTable},
		{codes.Unknown, "no valid integer value found for column v in table users", BadTable},
		{codes.Unknown, "failed to perform SET column integer to string value mapping: no valid integer value found for SET column v in table users, bytes: 1", BadTable},
		{codes.Unknown, "no string value found for ENUM column v in table users -- with available values being: map[1:a] -- using the found integer value: 5", BadTable},
		{codes.Unknown, "failed to perform ENUM column integer to string value mapping: another reason", BadTable},
		{codes.Unknown, "failed to build ENUM column integer to string mappings: another reason", BadTable},
		{codes.Unknown, "failed to build SET column integer to string mappings: another reason", BadTable},
		{codes.Unknown, "something new", Transient},
	} {
		if err := newError(status.Error(c.code, c.text), names{}); KindOf(err) != c.want || err.Code != c.code {
			t.Errorf("%s %q is of kind %v", c.code, c.text, err.Kind)
		}
	}
}

var asked = names{places: []string{"shop", "vt_shop", "-80", "80-"}, tables: []string{"users", "user`s", "us"}}

func TestErrorsNameTheTable(t *testing.T) {
	for text, want := range map[string]string{
		"failed to build table replication plan for table users: bad length":                    "users",
		"enum or set: failed to build table replication plan for table us":                      "us",
		"failed to build table replication plan for table use: bad length":                      "",
		"cannot determine table columns for user`s: event has [], schema has []":                "user`s",
		"unknown table us in schema":                                                            "us",
		"table users is not present in the database":                                            "users",
		"Table 'vt_shop.users' doesn't exist (errno 1146) (sqlstate 42S02)":                     "users",
		"unknown column -80 in shard us of users":                                               "",
		"failed to build table replication plan for table other: the key is of the table users": "",
	} {
		if err := newError(status.Error(codes.Unknown, text), asked); err.Table != want {
			t.Errorf("%q names %q", text, err.Table)
		}
	}
}

// A message keeps its fixed words, the names that were part of the request, and error numbers.
func TestErrorsKeepWhatIsKnown(t *testing.T) {
	for in, want := range map[string]string{
		`Incorrect DATE value: 'bob@x' (errno 1525) (sqlstate HY000) during query: select id from users where (id > 'bob@x')`: `Incorrect DATE value: … (errno 1525) (sqlstate HY000)`,
		`lastpk value was provided ([VARCHAR("bob@x") INT64(5)]) but`:                                                         `lastpk value was provided … but`,
		`Table 'vt_shop.users' doesn't exist`:                                                                                 `Table 'vt_shop.users' doesn't exist`,
		`failed (errno 1105) Sql: "select 'bob@x'", BindVars: {v1: "bob@x"}`:                                                  `failed (errno 1105)`,
		`value 'it''s the key' of`:                                                                                            `value … of`,
		`value 'it's the key' of`:                                                                                             `value … of`,
		`value "the \"key\"" of`:                                                                                              `value … of`,
		`grpc: received message larger than max (104857700 vs. 104857600)`:                                                    `grpc: received message larger than max (104857700 vs. 104857600)`,
		`Duplicate entry '5-the' for key 'users.PRIMARY' (errno 1062)`:                                                        `Duplicate entry … for key … (errno 1062)`,
		`value 'the key is of the`:                                                                                            `value …`,
		`value "the key is\" of the`:                                                                                          `value …`,
		`invalid value 4711 for column`:                                                                                       `invalid value … for column`,
		`target: shop.-80.primary: vttablet: rpc error: code = Unknown desc = stream (at source tablet) error @ (including the GTID we failed to process) 57f9b1c3-1-2:1-38: table us is not present in the database`: `target: shop.-80.primary: vttablet: rpc error: code = Unknown desc = stream (at source tablet) error @ (including the GTID we failed to process) … table us is not present in the database`,
		`error reading from server: read tcp 10.0.0.1:5->10.0.0.2:6: read: connection reset by peer`:                                                                                                                  `error reading from server: read tcp … read: connection reset by peer`,
		`connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate: x509: \"db\""`:                                                                                      `no connection: transport: authentication handshake failed: tls: failed to verify certificate: x509: "db"`,
	} {
		if got := redact(in, asked.all()); got != want {
			t.Errorf("%s\nbecame   %s\nexpected %s", in, got, want)
		}
	}
}

// Vitess includes rows in its messages in many forms, and truncates the messages at 7,680 bytes, wherever that is.
func TestErrorsHoldNoValuesWhereverTheyAreCut(t *testing.T) {
	const value = "Zq7xKw9"
	row := strings.Repeat(`fields:{name:"note" type:VARCHAR} rows:{lengths:7 values:"se\"`+value+`"} `, 20)
	for _, text := range []string{
		// When a stream cannot be started, Vitess quotes the request, with the key of a row.
		`error starting stream from shard GTID keyspace:"shop" shard:"-80" table_p_ks:{table_name:"users" lastpk:{` + row + `}}: target: shop.-80.primary`,
		// A response that cannot be sent.
		`error sending event: &{Type:ROW Timestamp:17 RowEvent:table_name:"users" row_changes:{after:{` + row + `}}}`,
		`error sending event: {Type:ROW Gtid:` + value + ` Before:[` + value + ` 'the' ` + value,
		`expecting field event first, got: [[` + value + ` ` + value + `-the] ` + value + `.server ` + value + `@users]`,
		`the number of primary key values (` + value + `) does not match ([VARCHAR("` + value + `") VARBINARY("\x00` + value + `")])`,
		`Duplicate entry '` + value + `'` + value + `' for key 'users.PRIMARY' (errno 1062) (sqlstate 23000) during query: insert into users values ('` + value + `')`,
		"Incorrect integer value: '" + value + "\n" + value + "' for column `" + value + "` at row 1",
		`column users: value ` + value + ` is out of range, errno ` + value + ` sqlstate ` + value + ` max (` + value,
		"no string value found for ENUM column note -- with available values being: map[1:" + value + " 2:" + value + "] -- using",
		`connection error: desc = "` + value + `', ` + value, // from a server, truncated
		"\xff" + value + "\u00a0" + value + "\u2028 «" + value + "» “" + value + "” ‘" + value + "’",
	} {
		for cut := range len(text) + 1 {
			err := newError(status.Error(codes.Unknown, text[:cut]), asked)
			for i := range len(value) - 2 {
				if strings.Contains(err.Error(), value[i:i+3]) {
					t.Fatalf("%s, truncated at %d, became %s", text, cut, err)
				}
			}
			if n := utf8.RuneCountInString(err.Error()); n > 1000 {
				t.Fatalf("%s, truncated at %d, became a text of %d characters", text, cut, n)
			}
		}
	}
	// Bytes as binary numbers, as %b prints them.
	err := newError(
		status.Error(codes.Unknown, fmt.Sprintf("no valid integer value found for column a in table users, bytes: %b", []byte(value))),
		asked,
	)
	if strings.ContainsAny(err.Error(), "01") || !strings.Contains(err.Error(), "in table users") {
		t.Errorf("the error is %s", err)
	}
}

func TestErrorsAreShort(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("table users ", 1000),
		`connection error: desc = "` + strings.Repeat("tls: ", 1000) + `"`,
		strings.Repeat("ö ", 9000),
	} {
		err := newError(status.Error(codes.Unavailable, text), asked).Error()
		if n := utf8.RuneCountInString(err); n > 1000 || !utf8.ValidString(err) {
			t.Errorf("a text of %d characters: %.40s", n, err)
		}
	}
	if got := shorten(strings.Repeat("ö", 1000)); utf8.RuneCountInString(got) != 1000 || strings.HasSuffix(got, ellipsis) {
		t.Errorf("a text of exactly the maximum length is truncated to %d characters", utf8.RuneCountInString(got))
	}
}

func FuzzRedact(f *testing.F) {
	f.Add(`error sending event: "`, `"`)
	f.Add(`Duplicate entry '`, `' for key`)
	f.Add(`connection error: desc = `, ``)
	f.Fuzz(func(t *testing.T, before, after string) {
		const value = "Zq7xKw9"
		if strings.HasPrefix(before, connectionError) {
			return // gRPC's own text, which is kept
		}
		if got := redact(before+value+after, asked.all()); strings.Contains(got, value) {
			t.Errorf("%q, value, %q became %q", before, after, got)
		}
	})
}
