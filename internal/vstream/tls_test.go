package vstream

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/dial"
	"source-planetscale/internal/gtid"
)

// gRPC passes on only the text of a failed handshake. With TLS 1.3, a server that misses a client certificate ends the connection after it,
// and what is read then is a matter of timing.
func TestAFailedHandshakeIsAboutTheTLSSettings(t *testing.T) {
	for name, c := range map[string]struct {
		trusted bool
		client  tls.ClientAuthType
	}{
		"an authority that is not trusted":     {false, tls.NoClientCert},
		"a client certificate that is missing": {true, tls.RequireAnyClientCert},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.NotFoundHandler())
			server.EnableHTTP2, server.TLS = true, &tls.Config{ClientAuth: c.client, MaxVersion: tls.VersionTLS12}
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.StartTLS()
			defer server.Close()
			settings := dial.TLS{Mode: dial.VerifyIdentity}
			if c.trusted {
				settings.CACertificate = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
			}
			port := server.Listener.Addr().(*net.TCPAddr).Port
			client, err := New(Config{Dial: dial.Config{Host: "127.0.0.1", GRPCPort: port, TLS: settings}, Auth: NoAuth})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			_, err = client.Peek(t.Context(), gtid.Shard{Keyspace: "shop", Name: "-"})
			if v := dial.Judge(err); v == nil || v.Kind != airbyte.ConfigError {
				t.Errorf("%v", err)
			}
		})
	}
}
