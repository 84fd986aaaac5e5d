package connector

import (
	"fmt"
	"strings"
	"testing"

	"source-planetscale/internal/config"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/schema"
)

func TestConnectedSaysWhereto(t *testing.T) {
	cfg := &config.Config{Host: "aws.connect.psdb.cloud", Database: "shop", Username: "k2x0", Password: "secret", UseReplica: true}
	var many []string
	for i := range mostNamed + 3 {
		many = append(many, fmt.Sprintf("s%d", i))
	}
	got := connected(cfg,
		&found{"shop", gtid.Shards("shop", "-"), []schema.Tablet{{Cell: "zone1"}}, 1},
		&found{"shop_sharded", gtid.Shards("shop_sharded", "-80", "80-"), []schema.Tablet{{Cell: "zone2"}, {Cell: "zone1"}, {Cell: "zone2"}}, 0},
		&found{"shop_many", gtid.Shards("shop_many", many...), nil, 12})
	want := "Successfully connected to database shop at host aws.connect.psdb.cloud with username k2x0. " +
		"Keyspace shop: shard -, read from 1 REPLICA tablet in cell zone1; 1 table. " +
		"Keyspace shop_sharded: shards -80, 80-, read from 3 REPLICA tablets in cells zone1, zone2; 0 tables. " +
		"Keyspace shop_many: shards " + strings.Join(many[:mostNamed], ", ") + " and 3 more; 12 tables."
	if got != want {
		t.Errorf("connected returns\n%s\nwant\n%s", got, want)
	}
}
