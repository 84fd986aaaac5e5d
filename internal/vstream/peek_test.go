package vstream

import (
	"strings"
	"testing"
	"time"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"

	"source-planetscale/internal/dial"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
)

// A shard whose tablet hangs returns no position, while heartbeats show that vtgate is alive.
func TestPeekOfAShardThatDoesNotAnswer(t *testing.T) {
	answers := fakevtgate.Script{Keyspace: "shop", Shard: "-80"}
	server, err := fakevtgate.Start(func(_ *vtgatepb.VStreamRequest, send func(...*binlogdatapb.VEvent), done <-chan struct{}) error {
		send(answers.VGTID(5, nil), fakevtgate.Other())
		for {
			select {
			case <-done:
				return nil
			case <-time.After(10 * time.Millisecond):
				send(fakevtgate.Heartbeat())
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	client, err := New(Config{
		Dial: dial.Config{
			Host:     "127.0.0.1",
			GRPCPort: server.Port(),
			TLS:      dial.TLS{Mode: dial.Disabled},
		}, Auth: NoAuth, Silence: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Peek(t.Context(), gtid.Shards("shop", "-80", "80-")...)
	if err == nil || !strings.Contains(err.Error(), "shard 80- of keyspace shop") || KindOf(err) != Transient {
		t.Errorf("got %v", err)
	}
}
