package state

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/table"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	querypb "vitess.io/vitess/go/vt/proto/query"
)

const (
	early = "MySQL56/16b1039f-22b6-11ed-b765-0a43f95f28a3:1-10"
	later = "MySQL56/16b1039f-22b6-11ed-b765-0a43f95f28a3:1-20"
)

func position(t testing.TB, s string) gtid.Position {
	t.Helper()
	p, err := gtid.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// in is a shard of the keyspace shop.
func in(name string) gtid.Shard { return gtid.Shard{Keyspace: "shop", Name: name} }

func key() *querypb.QueryResult {
	return &querypb.QueryResult{
		Fields: []*querypb.Field{{Name: "id", Type: querypb.Type_INT64}},
		Rows:   []*querypb.Row{{Lengths: []int64{2}, Values: []byte("42")}},
	}
}

func TestRoundTrip(t *testing.T) {
	want := &Stream{
		Cursor:  1763860000000000,
		Columns: []table.Column{{Name: "id", Type: "bigint"}, {Name: "näme", Type: "enum('a','b')", Charset: "latin1"}},
		Shards: map[gtid.Shard]*Shard{
			in("-80"): {
				Position: position(t, later),
				Layout:   table.Layout{Columns: []table.Column{{Name: "id", Type: "int"}}},
			},
			in("80-"): {
				Position: position(t, later),
				Copy:     &Copy{Oldest: position(t, early), Layout: table.Layout{Unknown: true}, Restarted: true, LastPK: key()},
			},
			in("c0-"): {Copy: &Copy{}},
			in("-40"): {
				Position: position(t, early),
				Moved:    map[gtid.Shard]gtid.Position{in("-20"): position(t, later), in("20-40"): position(t, early)},
			},
		},
	}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), `"-80":{"position":"`+later+`",`) {
		t.Errorf("a human-readable position is missing in %s", data)
	}
	out, err := Parse(data, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(out.Shards[in("80-")].Copy.LastPK, key()) {
		t.Errorf("the key came back as %v", out.Shards[in("80-")].Copy.LastPK)
	}
	want.Shards[in("80-")].Copy.LastPK, out.Shards[in("80-")].Copy.LastPK = nil, nil
	if !reflect.DeepEqual(want, out) {
		t.Errorf("came back as %+v, expected %+v", out, want)
	}
}

func TestParseRefusesWhatItDoesNotKnow(t *testing.T) {
	for in, problem := range map[string]string{
		`{"cursor":{"users":5}}`:                      "no version",
		`{"version":1,"odd":5}`:                       "unknown field",
		`{"version":"x"}`:                             "version must not be a JSON string",
		`{"version":1,"shards":{"-":{"position":5}}}`: "must not be a JSON number",
		`{"version":2,"odd":5}`:                       "newer release",
		`{"version":1,"sync_mode":"incremental","last_cursor":9223372036854775807}`: "last_cursor",
		`{"version":1,"sync_mode":"incremental","last_cursor":9007199254740992}`:    "last_cursor", // no room for later cursors
		`{"version":1,"sync_mode":"incremental","columns":[["id"]]}`:                "one of its columns",
		`{}`: "no version",
		`7`:  "not a state",
		`{"version":2,"sync_mode":"incremental","shards":{}}`:       "newer release",
		`{"version":1,"sync_mode":"odd","shards":{}}`:               "sync_mode",
		`{"version":1,"sync_mode":"incremental","shards":{"-":{}}}`: "neither a position nor a copy",
		`{"version":1,"sync_mode":"incremental","shards":{"-":{"position":"","copy":{"oldest_position":"","last_pk":"` + oneRow(t) + `"}}}}`:           "last_pk without a position",
		`{"version":1,"sync_mode":"incremental","shards":{"-":{"position":"","copy":{"oldest_position":"","restarted":true}}}}`:                        "without an oldest_position",
		`{"version":1,"sync_mode":"incremental","shards":{"-":{"position":"MySQL56/16b1039f-22b6-11ed-b765-0a43f95f28a3:1-5","moved_to":{"-80":""}}}}`: "moved to a shard without a position",
		`{"version":1,"sync_mode":"incremental","shards":{"-":null}}`:                                                                                  "null",
		`{"version":1,"sync_mode":"incremental","shards":{"-":{"position":"odd"}}}`:                                                                    "not a position",
		`{"version":1,"sync_mode":"incremental","shards":{"-":{"position":"","copy":{"oldest_position":"","last_pk":"%"}}}}`:                           "not base64",
		`{"version":1,"sync_mode":"incremental","shards":{"-":{"position":"","copy":{"oldest_position":"","last_pk":"/////w=="}}}}`:                    "not a key",
		`{"version":1,"sync_mode":"incremental","shards":{"-":{"position":"","copy":{"oldest_position":"","last_pk":"` + noRows(t) + `"}}}}`:           "not one row",
	} {
		if _, err := Parse([]byte(in), "shop"); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: error %v, expected one about %q", in, err, problem)
		}
	}
}

// Earlier builds stored no more about the columns of the changes to be read than that they may differ.
func TestParseLayoutsOfEarlierBuilds(t *testing.T) {
	for saved, unknown := range map[string]bool{
		``:                       false,
		`,"assumed_columns":1`:   true,
		`,"had_columns":2`:       true,
		`,"stale_columns":false`: false,
	} {
		s, err := Parse([]byte(`{"version":1,"sync_mode":"incremental","shards":{"-":{"position":"MySQL56/16b1039f-22b6-11ed-b765-0a43f95f28a3:1-5"`+
			saved+`}}}`), "shop")
		if err != nil || s.Shards[gtid.Shard{Keyspace: "shop", Name: "-"}].Layout.Unknown != unknown {
			t.Errorf("%s: %+v, %v", saved, s, err)
		}
	}
	_, err := Parse([]byte(`{"version":1,"sync_mode":"incremental","shards":{"-":{"position":"MySQL56/16b1039f-22b6-11ed-b765-0a43f95f28a3:1-5",`+
		`"stale_columns":true}}}`), "shop")
	if err == nil || !strings.Contains(err.Error(), "were being changed") {
		t.Errorf("error %v", err)
	}
}

func oneRow(t *testing.T) string { return encoded(t, key()) }

func noRows(t *testing.T) string {
	k := key()
	k.Rows = nil
	return encoded(t, k)
}

func encoded(t *testing.T, k *querypb.QueryResult) string {
	t.Helper()
	data, err := k.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(data)
}

// MySQL before 8.0.28 calls utf8mb3 utf8.
func TestStateWithAnOlderServersCharset(t *testing.T) {
	const saved = `{"version":1,"sync_mode":"incremental","shards":{"-":{"position":"` + early + `"}},` +
		`"last_cursor":1,"columns":[["id","bigint"],["name","varchar(50)","utf8"]]}`
	s, err := Parse([]byte(saved), "shop")
	if err != nil {
		t.Fatal(err)
	}
	want := []table.Column{{Name: "id", Type: "bigint"}, {Name: "name", Type: "varchar(50)", Charset: "utf8mb3"}}
	if !slices.Equal(s.Columns, want) {
		t.Errorf("the columns are %v", s.Columns)
	}
}

func TestRestartedCopyIsFollowedByTheChangesSinceItsFirstSnapshot(t *testing.T) {
	before, after := table.Layout{Unknown: true}, table.Layout{}
	s := &Shard{Copy: &Copy{}}
	s.Copy.Start(position(t, early), before)
	s.Complete(position(t, later), after)
	if !s.Position.Equal(position(t, later)) || s.Layout.Unknown || s.Copy != nil {
		t.Errorf("after an uninterrupted copy, changes are read from %+v", s)
	}
	s = &Shard{Copy: &Copy{}}
	s.Copy.Start(position(t, early), before)
	s.Copy.LastPK = key()
	s.Copy.Start(position(t, later), after)
	if s.Copy.LastPK != nil {
		t.Errorf("after a restart: key %v", s.Copy.LastPK)
	}
	s.Complete(position(t, later), after)
	if !s.Position.Equal(position(t, early)) || !s.Layout.Unknown || s.Copy != nil {
		t.Errorf("after a restarted copy, changes are read from %+v", s)
	}
}

// cursor returns a cursor for shard -80 as planetscale/airbyte-source saves it.
func cursor(keyspace, position string, lastPK []byte) string {
	var b []byte
	for n, v := range [][]byte{[]byte("-80"), []byte(keyspace), []byte(position), lastPK} {
		if len(v) > 0 {
			b = protowire.AppendBytes(protowire.AppendTag(b, protowire.Number(n+1), protowire.BytesType), v)
		}
	}
	return base64.StdEncoding.EncodeToString(b)
}

func legacy(name, shard, cursor string) string {
	return `{"streams":{"` + name + `":{"shards":{"` + shard + `":{"cursor":"` + cursor + `"}}}}}`
}

// alone is for a source that reads no other keyspace.
func alone(string) bool { return false }

func TestParseLegacy(t *testing.T) {
	streams, err := ParseLegacy([]byte(legacy("shop:users", "-80", cursor("shop", early, nil))), "shop", alone)
	if err != nil {
		t.Fatal(err)
	}
	if got := streams["users"].Shards[in("-80")]; !got.Position.Equal(position(t, early)) || got.Copy != nil {
		t.Errorf("a finished copy came back as %+v", got)
	}
	lastPK, _ := key().MarshalVT()
	streams, err = ParseLegacy([]byte(legacy("shop:users", "-80", cursor("shop", early, lastPK))), "shop", alone)
	if err != nil {
		t.Fatal(err)
	}
	if c := streams["users"].Shards[in("-80")].Copy; c == nil || c.LastPK != nil || !c.Oldest.Equal(position(t, early)) {
		t.Errorf("an unfinished copy must start over, and came back as %+v", c)
	}
	streams, err = ParseLegacy([]byte(legacy("shop:users", "-80", "")), "shop", alone)
	if err != nil || streams["users"].Shards[in("-80")] != nil {
		t.Errorf("a shard that was not started: %v, %+v", err, streams)
	}
}

func TestParseLegacyRefusesDamage(t *testing.T) {
	good := cursor("shop", early, nil)
	for in, problem := range map[string]string{
		`{}`:                                "no \"streams\"",
		`[`:                                 "not a state",
		legacy("users", "-80", good):        "keyspace:table",
		legacy("other:users", "-80", good):  "another keyspace",
		legacy("shop:users", "80-", good):   `of shard "-80"`,
		legacy("shop:users", "-80", "%"):    "not base64",
		legacy("shop:users", "-80", "CAE="): "damaged",
		legacy("shop:users", "-80", cursor("shop", "odd", nil)): "not a position",
	} {
		if _, err := ParseLegacy([]byte(in), "shop", alone); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: error %v, expected one about %q", in, err, problem)
		}
	}
}

func FuzzParse(f *testing.F) {
	data, _ := json.Marshal(
		&Stream{
			Cursor: 7,
			Shards: map[gtid.Shard]*Shard{in("-80"): {Position: position(f, later), Copy: &Copy{Oldest: position(f, early), LastPK: key()}}},
		},
	)
	f.Add(data)
	f.Add([]byte(`{"version":1,"sync_mode":"full_refresh","shards":{"-":{"position":""}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(data, "shop")
		if err != nil {
			return
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatalf("a state that was read cannot be written: %v", err)
		}
		back, err := Parse(again, "shop")
		if err != nil {
			t.Fatalf("a state that was written cannot be read: %v", err)
		}
		third, err := json.Marshal(back)
		if err != nil || string(third) != string(again) {
			t.Fatalf("%s became %s (%v)", again, third, err)
		}
	})
}

func FuzzParseLegacy(f *testing.F) {
	f.Add([]byte(legacy("shop:users", "-80", cursor("shop", early, []byte{10, 0}))))
	f.Fuzz(func(t *testing.T, data []byte) {
		streams, err := ParseLegacy(data, "shop", alone)
		if err == nil && streams == nil {
			t.Fatal("neither streams nor an error")
		}
		for _, s := range streams {
			if _, err := json.Marshal(s); err != nil {
				t.Fatalf("accepted, but cannot be saved: %v", err)
			}
		}
	})
}
