package state

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/airbyte"
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

// formerState is the state of one stream as planetscale/airbyte-source saves it.
func formerState(shard, cursor string) string {
	return `{"shards":{"` + shard + `":{"cursor":"` + cursor + `"}}}`
}

func TestParseFormer(t *testing.T) {
	lastPK, _ := key().MarshalVT()
	at := position(t, early)
	finished := map[gtid.Shard]*Shard{in("-80"): {Position: at}}
	for name, c := range map[string]struct {
		in   string
		want map[gtid.Shard]*Shard
	}{
		"a finished copy": {formerState("-80", cursor("shop", early, nil)), finished},
		"an unfinished copy, which starts over": {
			formerState("-80", cursor("shop", early, lastPK)), map[gtid.Shard]*Shard{in("-80"): {Copy: &Copy{Oldest: at}}},
		},
		"further fields": {
			`{"shards":{"-80":{"cursor":"` + cursor("shop", early, nil) + `","user_defined_cursor_value":"NQ=="}},"more":{}}`, finished,
		},
		"a shard that was not started": {
			`{"shards":{"-80":{"cursor":"` + cursor("shop", early, nil) + `"},"80-":{"cursor":""}}}`, finished,
		},
		"a cursor without a position": {formerState("-80", cursor("shop", "", nil)), nil},
		"an empty cursor":             {formerState("-80", ""), nil},
		"an empty shard":              {`{"shards":{"-80":{}}}`, nil},
		"a shard of null":             {`{"shards":{"-80":null}}`, nil},
		"no shards":                   {`{"shards":{}}`, nil},
		"shards of null":              {`{"shards":null}`, nil},
	} {
		s, err := ParseFormer([]byte(c.in), "shop")
		if err != nil || !IsFormer([]byte(c.in)) {
			t.Errorf("%s: former %t, error %v", name, IsFormer([]byte(c.in)), err)
		} else if want := (&Stream{Shards: c.want}); !reflect.DeepEqual(s, want) && len(s.Shards)+len(c.want) > 0 {
			t.Errorf("%s: came back as %+v, expected %+v", name, s, want)
		}
	}
}

func TestParseFormerRefusesDamage(t *testing.T) {
	good := cursor("shop", early, nil)
	for in, problem := range map[string]string{
		formerState("80-", good):                        `of shard "-80"`,
		formerState("-80", cursor("other", early, nil)): `of keyspace "other"`,
		formerState("-80", "%"):                         "not base64",
		formerState("-80", "CAE="):                      "damaged",
		formerState("-80", good[:len(good)-8]):          "damaged",
		formerState("-80", cursor("shop", "odd", nil)):  "not a position",
		`{"shards":{"-80":{"cursor":5}}}`:               "must not be a JSON number",
		`{"shards":{"-80":{"cursor":{"shard":"-80"}}}}`: "must not be a JSON object",
	} {
		if _, err := ParseFormer([]byte(in), "shop"); err == nil || !strings.Contains(err.Error(), problem) || !IsFormer([]byte(in)) {
			t.Errorf("%s: former %t, error %v, expected one about %q", in, IsFormer([]byte(in)), err, problem)
		}
	}
}

// What neither connector wrote must not count as the former one's, whose shards without a cursor are copied.
func TestAStateOfNobodyIsNotTheFormerConnectors(t *testing.T) {
	own, err := (&Stream{Shards: map[gtid.Shard]*Shard{in("-80"): {Position: position(t, early)}}}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []string{
		string(own),
		`{"version":1,"sync_mode":"incremental","shards":{}}`,
		`{"version":2,"shards":{"-80":{"cursor":""}}}`,
		`{"version":null,"shards":{"-80":{"cursor":""}}}`,
		`{"shards":{"-80":{"position":"` + early + `"}}}`,
		`{"shards":{"-80":{"cursor":""},"80-":{"position":"` + early + `"}}}`,
		`{"shards":[]}`,
		`{"shards":{"-80":5}}`,
		`{"cursor":{"users":5}}`,
		`{}`, `null`, `7`, `[`, ``,
	} {
		if IsFormer([]byte(in)) {
			t.Errorf("%s counts as the former connector's", in)
		}
	}
}

func TestParseLegacy(t *testing.T) {
	streams, err := ParseLegacy([]byte(`{"streams":{"shop:users":{"shards":{}},"shop:a:b":7,"old:users":null}}`))
	want := map[airbyte.StreamDescriptor]json.RawMessage{
		{Name: "users", Namespace: "shop"}: json.RawMessage(`{"shards":{}}`),
		{Name: "a:b", Namespace: "shop"}:   json.RawMessage(`7`),
		{Name: "users", Namespace: "old"}:  json.RawMessage(`null`),
	}
	if err != nil || !reflect.DeepEqual(streams, want) {
		t.Errorf("came back as %s, %v", streams, err)
	}
	for in, problem := range map[string]string{
		`{}`:                                  "no \"streams\"",
		`[`:                                   "not a state",
		`{"streams":5}`:                       "must not be a JSON number",
		`{"streams":{"users":{"shards":{}}}}`: "keyspace:table",
	} {
		if _, err := ParseLegacy([]byte(in)); err == nil || !strings.Contains(err.Error(), problem) {
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
	f.Add([]byte(`{"streams":{"shop:users":` + formerState("-80", cursor("shop", early, []byte{10, 0})) + `}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		streams, err := ParseLegacy(data)
		if err == nil && streams == nil {
			t.Fatal("neither streams nor an error")
		}
		for _, stream := range streams {
			parseFormer(t, stream)
		}
	})
}

func FuzzParseFormer(f *testing.F) {
	f.Add([]byte(formerState("-80", cursor("shop", early, []byte{10, 0}))))
	f.Add([]byte(`{"shards":{"-80":null,"80-":{"cursor":"","more":5}}}`))
	f.Fuzz(parseFormer)
}

func parseFormer(t *testing.T, data []byte) {
	s, err := ParseFormer(data, "shop")
	if err != nil {
		return
	}
	saved, err := json.Marshal(s)
	if err != nil {
		t.Fatalf("accepted, but cannot be saved: %v", err)
	}
	if IsFormer(saved) {
		t.Fatalf("saved as %s, it still counts as the former connector's", saved)
	}
}
