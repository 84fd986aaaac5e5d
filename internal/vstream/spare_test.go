package vstream

import (
	"testing"

	"google.golang.org/grpc/connectivity"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
	vtgatepb "vitess.io/vitess/go/vt/proto/vtgate"

	"source-planetscale/internal/dial"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
)

// A connection that was opened in advance is ready before the stream that uses it; each stream has its own.
func TestConnectionsAreMadeAhead(t *testing.T) {
	at := fakevtgate.Script{Keyspace: "shop", Shard: "-"}
	server, err := fakevtgate.Start(func(_ *vtgatepb.VStreamRequest, send func(...*binlogdatapb.VEvent), done <-chan struct{}) error {
		send(at.VGTID(5, nil))
		<-done
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := New(Config{
		Dial: dial.Config{Host: "127.0.0.1", GRPCPort: server.Port(), TLS: dial.TLS{Mode: dial.Disabled}}, Auth: NoAuth,
	})
	if err != nil {
		t.Fatal(err)
	}
	client.Ahead(2)
	conn := <-client.spare
	for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
		if !conn.WaitForStateChange(t.Context(), state) {
			t.Fatalf("the connection is %s", state)
		}
	}
	client.spare <- conn
	for left := 1; left >= 0; left-- {
		if _, err := client.Peek(t.Context(), gtid.Shard{Keyspace: "shop", Name: "-"}); err != nil || len(client.spare) != left {
			t.Errorf("%v, %d connections remain", err, len(client.spare))
		}
	}
	if _, err := client.Peek(t.Context(), gtid.Shard{Keyspace: "shop", Name: "-"}); err != nil {
		t.Error(err)
	}
	client.Ahead(100)
	if n := len(client.spare); n != maxAhead {
		t.Errorf("%d connections", n)
	}
	client.Close()
	if n := len(client.spare); n != 0 {
		t.Errorf("%d connections remain", n)
	}
}
