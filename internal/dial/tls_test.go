package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// serve accepts TLS connections on a loopback port and sends a greeting to each whose handshake succeeds.
func serve(t *testing.T, server *tls.Config) (port int) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { listener.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			_, _ = io.WriteString(conn, "welcome") // fails if the handshake does; the client is what is tested
			conn.Close()
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

// greet dials through Config as the real clients do, does the handshake and waits for the greeting: with TLS 1.3 a server
// refuses a client's certificate only after the client's side of the handshake has finished.
func greet(ctx context.Context, c Config, port int) error {
	config, err := c.TLSConfig()
	if err != nil {
		return err
	}
	raw, err := Config{Host: "127.0.0.1", MySQLPort: port}.dialMySQL(ctx)
	if err != nil {
		return err
	}
	defer raw.Close()
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, len("welcome")))
	return err
}

func (c Config) dialMySQL(ctx context.Context) (net.Conn, error) {
	return c.DialContext(ctx, "tcp", c.MySQLAddr())
}

func TestHandshake(t *testing.T) {
	ca, otherCA := authority(t, nil), authority(t, nil)
	intermediate := authority(t, ca)
	good := issue(t, serverTemplate(), ca)
	expiredTemplate := serverTemplate()
	expiredTemplate.NotBefore, expiredTemplate.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	expired := issue(t, expiredTemplate, ca)
	notForServers := serverTemplate()
	notForServers.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	clientsOnly := issue(t, notForServers, ca)
	behind := issue(t, serverTemplate(), intermediate)

	bundle := otherCA.certificatePEM() + "a comment\n" + ca.certificatePEM()
	cases := []struct {
		name   string
		server tls.Certificate
		host   string
		ca     string
		// part of the error in each mode; empty for success
		identity, chain string
	}{
		{"trusted", good.present(), "database.test", ca.certificatePEM(), "", ""},
		{"address in the certificate", good.present(), "127.0.0.1", ca.certificatePEM(), "", ""},
		{"one of several authorities", good.present(), "database.test", bundle, "", ""},
		{"intermediate sent", behind.present(intermediate), "database.test", ca.certificatePEM(), "", ""},
		{"intermediate missing", behind.present(), "database.test", ca.certificatePEM(), "unknown authority", "unknown authority"},
		{"another authority", good.present(), "database.test", otherCA.certificatePEM(), "unknown authority", "unknown authority"},
		{"system authorities", good.present(), "database.test", "", "unknown authority", "unknown authority"},
		{"another host", good.present(), "elsewhere.test", ca.certificatePEM(), "not elsewhere.test", ""},
		{"expired", expired.present(), "database.test", ca.certificatePEM(), "expired", "expired"},
		{"client's certificate", clientsOnly.present(), "database.test", ca.certificatePEM(), "incompatible key usage", "incompatible key usage"},
	}
	for _, c := range cases {
		port := serve(t, &tls.Config{Certificates: []tls.Certificate{c.server}})
		for mode, want := range map[TLSMode]string{"": c.identity, VerifyIdentity: c.identity, VerifyCA: c.chain} {
			if mode == VerifyCA && c.ca == "" {
				continue // TestVerifyCAWithoutAuthority
			}
			t.Run(c.name+"/"+string(mode), func(t *testing.T) {
				err := greet(t.Context(), Config{Host: c.host, TLS: TLS{Mode: mode, CACertificate: c.ca}}, port)
				checkHandshake(t, err, want)
			})
		}
	}
}

func checkHandshake(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Fatalf("handshake failed: %v", err)
		}
		return
	}
	var refused *tls.CertificateVerificationError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), want) {
		t.Fatalf("got error %v, want a CertificateVerificationError saying %q", err, want)
	}
	if !IsTLSError(err) {
		t.Errorf("IsTLSError(%v) is false", err)
	}
}

func TestVerifyCAOnResumedSession(t *testing.T) {
	ca := authority(t, nil)
	// TLS 1.2 so that the session ticket is part of the handshake
	port := serve(t, &tls.Config{Certificates: []tls.Certificate{issue(t, serverTemplate(), ca).present()}, MaxVersion: tls.VersionTLS12})
	config, err := Config{Host: "database.test", TLS: TLS{Mode: VerifyCA, CACertificate: ca.certificatePEM()}}.TLSConfig()
	if err != nil {
		t.Fatal(err)
	}
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	verify, verified := config.VerifyConnection, 0
	config.VerifyConnection = func(state tls.ConnectionState) error { verified++; return verify(state) }
	for attempt := range 2 {
		conn, err := tls.Dial("tcp", Config{Host: "127.0.0.1", MySQLPort: port}.MySQLAddr(), config)
		if err != nil {
			t.Fatal(err)
		}
		if resumed := conn.ConnectionState().DidResume; resumed != (attempt == 1) || verified != attempt+1 {
			t.Errorf("attempt %d: resumed %v, verified %d times", attempt, resumed, verified)
		}
		conn.Close()
	}
}

func TestTLSVersion(t *testing.T) {
	ca := authority(t, nil)
	old := &tls.Config{
		Certificates: []tls.Certificate{issue(t, serverTemplate(), ca).present()},
		MinVersion:   tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
	}
	for _, mode := range []TLSMode{VerifyIdentity, VerifyCA} {
		err := greet(t.Context(), Config{Host: "database.test", TLS: TLS{Mode: mode, CACertificate: ca.certificatePEM()}}, serve(t, old))
		if !IsTLSError(err) || !strings.Contains(err.Error(), "protocol version") {
			t.Errorf("%s: got %v from a TLS 1.1 server, want a protocol version error", mode, err)
		}
	}
}

func TestClientCertificate(t *testing.T) {
	ca, clientCA := authority(t, nil), authority(t, nil)
	port := serve(t, &tls.Config{
		Certificates: []tls.Certificate{issue(t, serverTemplate(), ca).present()},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool(clientCA),
	})
	mine, stranger := issue(t, clientTemplate(), clientCA), issue(t, clientTemplate(), authority(t, nil))
	for _, mode := range []TLSMode{VerifyIdentity, VerifyCA} {
		options := TLS{Mode: mode, CACertificate: ca.certificatePEM()}
		if err := greet(t.Context(), Config{Host: "database.test", TLS: options}, port); !IsTLSError(err) {
			t.Errorf("%s without certificate: got %v, want a TLS error", mode, err)
		}
		options.ClientCertificate, options.ClientKey = stranger.certificatePEM(), stranger.keyPEM(t)
		if err := greet(t.Context(), Config{Host: "database.test", TLS: options}, port); !IsTLSError(err) {
			t.Errorf("%s with a certificate of another authority: got %v, want a TLS error", mode, err)
		}
		options.ClientCertificate, options.ClientKey = mine.certificatePEM(), mine.keyPEM(t)
		if err := greet(t.Context(), Config{Host: "database.test", TLS: options}, port); err != nil {
			t.Errorf("%s with its certificate: %v", mode, err)
		}
	}
}

func TestBadOptions(t *testing.T) {
	ca := authority(t, nil)
	client, other := issue(t, clientTemplate(), ca), issue(t, clientTemplate(), ca)
	key, otherKey := client.keyPEM(t), other.keyPEM(t)
	mangledKey := strings.Replace(key, "\n", "\n!!", 1)
	cases := []struct {
		name    string
		options TLS
		want    string
	}{
		{"mode", TLS{Mode: "prefer"}, "tls.mode"},
		{"not PEM", TLS{CACertificate: "MIIB"}, "\"CA certificate\" (tls.ca_certificate) is not complete PEM"},
		{"one line", TLS{CACertificate: strings.ReplaceAll(ca.certificatePEM(), "\n", " ")}, "\"CA certificate\" (tls.ca_certificate) is not complete PEM"},
		{"second one cut off", TLS{CACertificate: ca.certificatePEM() + ca.certificatePEM()[:100]}, "\"CA certificate\" (tls.ca_certificate) is not complete PEM"},
		{"key for CA", TLS{CACertificate: key}, "\"CA certificate\" (tls.ca_certificate) must contain only certificates"},
		{
			"not a certificate",
			TLS{CACertificate: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
			"certificate 1 in \"CA certificate\" (tls.ca_certificate)",
		},
		{"certificate alone", TLS{ClientCertificate: client.certificatePEM()}, "without \"Client key\" (tls.client_key)"},
		{"key alone", TLS{ClientKey: key}, "without \"Client certificate\" (tls.client_certificate)"},
		{"another's key", TLS{ClientCertificate: client.certificatePEM(), ClientKey: otherKey}, "tls.client_key"},
		{"mangled key", TLS{ClientCertificate: client.certificatePEM(), ClientKey: mangledKey}, "tls.client_key"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			config, err := Config{Host: "database.test", TLS: c.options}.TLSConfig()
			if err == nil || config != nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, %v; want an error with %q", config, err, c.want)
			}
			for _, line := range strings.Fields(key + otherKey) {
				if len(line) > 20 && strings.Contains(err.Error(), line) {
					t.Errorf("the error shows the key: %v", err)
				}
			}
		})
	}
}

func TestDisabled(t *testing.T) {
	config, err := Config{Host: "database.test", TLS: TLS{Mode: Disabled, CACertificate: "left over"}}.TLSConfig()
	if config != nil || err != nil {
		t.Errorf("got %v, %v; want neither", config, err)
	}
}

// Anyone can get a certificate from a public authority for some host of their own.
func TestVerifyCAWithoutAuthority(t *testing.T) {
	for _, ca := range []string{"", " \n"} {
		_, err := Config{Host: "database.test", TLS: TLS{Mode: VerifyCA, CACertificate: ca}}.TLSConfig()
		if err == nil || !strings.Contains(err.Error(), "requires \"CA certificate\" (tls.ca_certificate)") {
			t.Errorf("with %q: %v", ca, err)
		}
	}
	for _, mode := range []TLSMode{"", VerifyIdentity, Disabled} {
		if _, err := (Config{Host: "database.test", TLS: TLS{Mode: mode}}).TLSConfig(); err != nil {
			t.Errorf("%q: %v", mode, err)
		}
	}
}
