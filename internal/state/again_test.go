package state

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/table"
)

// What a server sends may be malformed: a journal without positions, a key of two rows. It must not become a state that every
// later sync refuses.
func TestAStateThatCouldNotBeReadAgainIsNotSaved(t *testing.T) {
	two := key()
	two.Rows = append(two.Rows, two.Rows[0])
	short := key()
	short.Rows[0].Lengths = nil
	at := position(t, early)
	for name, s := range map[string]*Stream{
		"neither position nor copy":   {Shards: map[gtid.Shard]*Shard{in("-"): {}}},
		"moved without a position":    {Shards: map[gtid.Shard]*Shard{in("-"): {Position: at, Moved: map[gtid.Shard]gtid.Position{in("-80"): {}}}}},
		"moved to no shard":           {Shards: map[gtid.Shard]*Shard{in("-"): {Position: at, Moved: map[gtid.Shard]gtid.Position{in(""): at}}}},
		"a key without its position":  {Shards: map[gtid.Shard]*Shard{in("-"): {Copy: &Copy{Oldest: at, LastPK: key()}}}},
		"a key of two rows":           {Shards: map[gtid.Shard]*Shard{in("-"): {Position: at, Copy: &Copy{Oldest: at, LastPK: two}}}},
		"a key of no columns":         {Shards: map[gtid.Shard]*Shard{in("-"): {Position: at, Copy: &Copy{Oldest: at, LastPK: &querypb.QueryResult{Rows: []*querypb.Row{{}}}}}}},
		"a key with too few values":   {Shards: map[gtid.Shard]*Shard{in("-"): {Position: at, Copy: &Copy{Oldest: at, LastPK: short}}}},
		"restarted from nowhere":      {Shards: map[gtid.Shard]*Shard{in("-"): {Copy: &Copy{Restarted: true}}}},
		"a cursor that is no double":  {Cursor: maxCursor + 1},
		"a negative cursor":           {Cursor: -1},
		"an assumption of the future": {Shards: map[gtid.Shard]*Shard{in("-"): {Position: at, Layout: table.Layout{Assumed: table.Relied + 1}}}},
		"fewer columns than none":     {Shards: map[gtid.Shard]*Shard{in("-"): {Position: at, Layout: table.Layout{Had: -1}}}},
		"shards of one name":          {Shards: map[gtid.Shard]*Shard{in("-"): {Position: at}, {Keyspace: "other", Name: "-"}: {Position: at}}},
		"shards that JSON makes one":  {Shards: map[gtid.Shard]*Shard{in("\xFF"): {Position: at}, in("\xFE"): {Position: at}}},
	} {
		if data, err := json.Marshal(s); err == nil || !strings.Contains(err.Error(), "could not be read again is not saved") && !strings.Contains(err.Error(), "could not be") {
			t.Errorf("%s: %s, %v", name, data, err)
		}
	}
}

// Whatever is taken is written so that it is taken again, and means the same.
func FuzzState(f *testing.F) {
	for _, s := range []*Stream{
		{Cursor: 5, Columns: []table.Column{{Name: "id", Type: "int"}}, Shards: map[gtid.Shard]*Shard{}},
	} {
		data, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add(`{"version":1,"sync_mode":"incremental","shards":{"-80":{"position":"` + early + `","moved_to":{"-40":"` + later + `"},"had_columns":3}}}`)
	f.Add(`{"version":1,"sync_mode":"incremental","shards":{"-":{"position":"` + early + `","copy":{"oldest_position":"` + early + `","last_pk":"CgIKABIECgECEgI0Mg=="}}}}`)
	f.Add(`{"version":1,"sync_mode":"full_refresh","sync_id":7,"shards":{"-":{"position":"","copy":{"oldest_position":""}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse([]byte(text), "shop")
		if err != nil {
			return
		}
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatalf("taken, but not written: %v", err)
		}
		again, err := Parse(data, "shop")
		if err != nil {
			t.Fatalf("written, but not taken: %v", err)
		}
		if once, twice := marshal(t, s), marshal(t, again); !reflect.DeepEqual(once, twice) {
			t.Errorf("%s became %s", once, twice)
		}
	})
}

func marshal(t *testing.T, s *Stream) string {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The former connector's states are taken or refused, and what is taken can be saved.
func FuzzLegacy(f *testing.F) {
	f.Add(`{"streams":{"shop:users":{"shards":{"-":{"cursor":"CgEtEgRzaG9wGjVNeVNRTDU2LzE2YjEwMzlmLTIyYjYtMTFlZC1iNzY1LTBhNDNmOTVmMjhhMzoxLTEw"}}}}}`)
	f.Add(`{"streams":{"shop:users":{"shards":{"-80":{"cursor":""}}},"shop:":null}}`)
	f.Fuzz(func(t *testing.T, text string) {
		streams, err := ParseLegacy([]byte(text), "shop")
		if err != nil {
			return
		}
		for _, s := range streams {
			marshal(t, s)
		}
	})
}
