package schema

import (
	"errors"
	"strings"
	"testing"

	"source-planetscale/internal/gtid"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
)

// As Vitess 24 writes them, except for the names and the length of the server's name.
const (
	movedJournal = `id:2776992227897983739  tables:"orders"  tables:"order's \"lines\""  ` +
		`local_position:"MySQL56/37ffa7fc-ea34-11f1-ad2b-02fc00000001:1-27"  shard_gtids:{keyspace:"commerce" shard:"-" ` +
		`gtid:"MySQL56/38037f5a-ea34-11f1-a2a9-02fc00000001:1-57"} participants:{keyspace:"shop" shard:"-80"} participants:{keyspace:"shop" ` +
		`shard:"80-"} of_the_future:{some:1}`
	reshardJournal = `id:13632574092348459 migration_type:SHARDS local_position:"MySQL56/37ffa7fc-ea34-11f1-ad2b-02fc00000001:1-30" ` +
		`shard_gtids:{keyspace:"shop" shard:"-40"} participants:{keyspace:"shop" shard:"-80"}`
)

func TestJournals(t *testing.T) {
	var target string
	db := scripted(func(statement string) ([][]string, error) {
		if strings.HasPrefix(statement, "use ") {
			target = statement
			return nil, nil
		}
		switch target {
		case "use `shop:-80@primary`":
			return [][]string{{"val"}, {movedJournal}, {reshardJournal}}, nil
		case "use `shop:none@primary`":
			return [][]string{{"val"}}, nil
		case "use `shop:newer@primary`":
			return [][]string{{"val"}, {movedJournal}, {`{"tables": 1`}}, nil
		}
		return nil, errNotAllowed
	}).open(t)
	db.sql.SetMaxOpenConns(1) // so that the target is the one of the query
	journals := map[gtid.Shard][]*binlogdatapb.Journal{}
	for _, shard := range append(gtid.Shards("shop", "-80", "none", "newer"), gtid.Shard{Keyspace: "other", Name: "-"}) {
		asked, err := db.Journals(t.Context(), []gtid.Shard{shard})
		if err != nil {
			t.Fatal(err)
		}
		for shard, here := range asked {
			journals[shard] = here
		}
	}
	want := map[gtid.Shard][]*binlogdatapb.Journal{{Keyspace: "shop", Name: "none"}: nil, {Keyspace: "shop", Name: "-80"}: {{
		Id: 2776992227897983739, Tables: []string{"orders", `order's "lines"`},
		LocalPosition: "MySQL56/37ffa7fc-ea34-11f1-ad2b-02fc00000001:1-27",
		ShardGtids:    []*binlogdatapb.ShardGtid{{Keyspace: "commerce", Shard: "-", Gtid: "MySQL56/38037f5a-ea34-11f1-a2a9-02fc00000001:1-57"}},
		Participants:  []*binlogdatapb.KeyspaceShard{{Keyspace: "shop", Shard: "-80"}, {Keyspace: "shop", Shard: "80-"}},
	}}}
	if diff := cmp.Diff(want, journals, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func FuzzJournal(f *testing.F) {
	f.Add(`id:7 tables:"t" local_position:"MySQL56/16b1039f-22b6-11ed-b765-0a43f95f28a3:1-10" shard_gtids:{keyspace:"k" shard:"-80" gtid:"x"}`)
	f.Add(`migration_type:SHARDS participants:{keyspace:"k"} odd:<a:1>`)
	f.Fuzz(func(t *testing.T, text string) {
		if j, err := parseJournal([]byte(text)); err == nil && j == nil || err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("%q became %v, %v", text, j, err)
		}
	})
}
