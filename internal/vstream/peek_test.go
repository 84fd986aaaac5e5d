package vstream

import (
	"strings"
	"sync"
	"testing"
	"time"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"

	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
)

// A shard whose tablet hangs returns no position, while heartbeats show that vtgate is alive.
func TestPeekOfAShardThatDoesNotAnswer(t *testing.T) {
	answers := fakevtgate.Script{Keyspace: "shop", Shard: "-80"}
	client := peeking(t, func(_ *vtgatepb.VStreamRequest, send func(...*binlogdatapb.VEvent), done <-chan struct{}) error {
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
	_, err := client.Peek(t.Context(), gtid.Shards("shop", "-80", "80-")...)
	if err == nil || !strings.Contains(err.Error(), "shard 80- of keyspace shop") || KindOf(err) != Transient {
		t.Errorf("got %v", err)
	}
}

// A server that knew until when the client waits could end the stream first. One of many such races would be lost.
func TestPeekEndsAStreamBeforeItsServerDoes(t *testing.T) {
	client := peeking(t, func(_ *vtgatepb.VStreamRequest, _ func(...*binlogdatapb.VEvent), done <-chan struct{}) error {
		<-done
		return nil
	})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := client.Peek(t.Context(), gtid.Shard{Keyspace: "shop", Name: "-"}); !IsUnanswered(err) {
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
}

// peeking creates a client of a server, with a short patience.
func peeking(t *testing.T, stream fakevtgate.Stream) *Client {
	t.Helper()
	server, err := fakevtgate.Start(stream)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return slowClient(t, server.Port(), 100*time.Millisecond)
}
