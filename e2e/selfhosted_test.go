package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"source-planetscale/e2e/script"
	"source-planetscale/internal/sandbox"
)

// TestSelfHosted reads through vtgates that are protected in every way Vitess has: check must pass, and the table must
// arrive. What is wrong in the configuration must be said.
func TestSelfHosted(t *testing.T) {
	script.RequireSandbox(t)
	p := newPipelineOf(t, "self_hosted", os.Getenv("SANDBOX_PLAIN_MYSQL"), os.Getenv("SANDBOX_CONFIG_PLAIN"))
	p.exec("insert into self_hosted (id, part, v, note) values (1,1,1,'one'), (2,1,1,'two'), (30,1,1,'three')")
	ca, clientCA := newAuthority(t), newAuthority(t)
	server, elsewhere := ca.issue(t, "vtgate of a test", "localhost"), ca.issue(t, "vtgate elsewhere", "elsewhere.test")
	client, stranger := clientCA.issue(t, "reader"), ca.issue(t, "reader")
	static := p.file("grpc-users.json", []byte(`[{"Username":"reader","Password":"grpc-and-mysql"}]`))
	users := p.file("mysql-users.json", []byte(`{"reader":[{"Password":"grpc-and-mysql","UserData":"reader"}],"other":[{"Password":"mysql-only","UserData":"reader"}]}`))

	tls := func(id *identity) []string {
		return []string{"--mysql-server-ssl-cert", id.certificate, "--mysql-server-ssl-key", id.key, "--mysql-server-require-secure-transport", "--grpc-cert", id.certificate, "--grpc-key", id.key}
	}
	login := []string{"--mysql-auth-server-static-file", users, "--grpc-auth-mode", "static", "--grpc-auth-static-password-file", static}
	mtls := []string{"--mysql-server-ssl-ca", clientCA.certificate, "--grpc-ca", clientCA.certificate, "--grpc-auth-mode", "mtls", "--grpc-auth-mtls-allowed-substrings", "CN=reader"}
	byCertificate := append(mtls, "--mysql-auth-server-impl", "clientcert")

	type object = map[string]any
	type gateCase struct {
		change []object
		want   string // of the failure; empty for success
	}
	reader := object{"username": "reader", "password": "grpc-and-mysql", "grpc_auth": "static"}
	trusting := func(mode string, more ...string) object {
		o := object{"mode": mode, "ca_certificate": ca.text(t)}
		for i := 0; i < len(more); i += 2 {
			o[more[i]] = more[i+1]
		}
		return object{"tls": o, "host": "localhost"}
	}
	as := func(id *identity) object {
		o := trusting("verify_identity", "client_certificate", id.text(t), "client_key", id.keyText(t))
		maps.Copy(o, object{"grpc_auth": "none", "username": "reader", "password": "not asked for"})
		return o
	}
	for _, gate := range []struct {
		name  string
		flags []string
		cases map[string]gateCase
	}{
		{"static passwords", login, map[string]gateCase{
			"right":             {[]object{reader}, ""},
			"wrong password":    {[]object{reader, {"password": "wrong"}}, "refused the username or password"},
			"unknown to gRPC":   {[]object{reader, {"username": "other", "password": "mysql-only"}}, "refused to stream with this username and password"},
			"PlanetScale's way": {[]object{reader, {"grpc_auth": "basic"}}, "check both, the option grpc_auth"},
			"TLS asked for":     {[]object{reader, trusting("verify_identity")}, "the server offers none, but tls.mode asks for it"},
		}},
		{"TLS and static passwords", append(tls(server), login...), map[string]gateCase{
			"right":             {[]object{reader, trusting("verify_identity")}, ""},
			"without TLS":       {[]object{reader}, "the server demands TLS, but tls.mode is disabled"},
			"another authority": {[]object{reader, trusting("verify_identity"), {"tls": object{"mode": "verify_identity", "ca_certificate": clientCA.text(t)}}}, "The TLS options do not fit the server"},
		}},
		{"TLS for another name", append(tls(elsewhere), login...), map[string]gateCase{
			"its chain is good": {[]object{reader, trusting("verify_ca")}, ""},
			"its name is not":   {[]object{reader, trusting("verify_identity")}, "valid for elsewhere.test, not localhost"},
		}},
		{"mTLS", append(tls(server), byCertificate...), map[string]gateCase{
			"right":          {[]object{as(client)}, ""},
			"another user":   {[]object{as(client), {"username": "somebody"}}, "refused the username or password"},
			"stranger":       {[]object{as(stranger)}, "The TLS options do not fit the server"},
			"no certificate": {[]object{trusting("verify_identity"), {"username": "reader", "grpc_auth": "none"}}, "The TLS options do not fit the server"},
		}},
		{"mTLS of gRPC alone", append(append(tls(server), mtls[2:]...), "--mysql-auth-server-static-file", users), map[string]gateCase{
			"right":          {[]object{as(client), {"password": "grpc-and-mysql"}}, ""},
			"no certificate": {[]object{trusting("verify_identity"), reader, {"grpc_auth": "none"}}, "TLS options"},
		}},
	} {
		g := startGate(t, gate.flags...)
		for name, c := range gate.cases {
			t.Run(gate.name+"/"+name, func(t *testing.T) {
				change := object{"mysql_port": g.MySQLPort, "grpc_port": g.GRPCPort}
				for _, one := range c.change {
					maps.Copy(change, one)
				}
				check, _ := checkWith(t, os.Getenv("SANDBOX_CONFIG_PLAIN"), change)
				if c.want == "" && check.Status != "SUCCEEDED" || !strings.Contains(check.Message, c.want) {
					t.Fatalf("got %+v, want %q", check, c.want)
				}
				if c.want != "" {
					return
				}
				q := *p
				q.t, q.dir = t, t.TempDir()
				q.config = q.file("config.json", changedConfig(t, os.Getenv("SANDBOX_CONFIG_PLAIN"), change))
				q.reset()
				q.readToEnd()
				q.mustEqualTheSource()
			})
		}
		g.Stop()
	}
}

// startGate starts one more vtgate before the tests' sandbox.
func startGate(t *testing.T, flags ...string) *sandbox.Gate {
	t.Helper()
	s, err := sandbox.Open(filepath.Dir(os.Getenv("SANDBOX_CA")))
	if err != nil {
		t.Fatal(err)
	}
	g, err := s.StartGate(t.Context(), t.TempDir(), flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	return g
}

// identity is a certificate and its key, in files.
type identity struct {
	certificate, key string
	parsed           *x509.Certificate
	private          *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *identity {
	t.Helper()
	return (*identity)(nil).make(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority of a test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
}

// issue makes a certificate for clients or, with host names, for servers.
func (id *identity) issue(t *testing.T, name string, hosts ...string) *identity {
	t.Helper()
	usage := x509.ExtKeyUsageClientAuth
	if len(hosts) > 0 {
		usage = x509.ExtKeyUsageServerAuth
	}
	return id.make(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: hosts, ExtKeyUsage: []x509.ExtKeyUsage{usage}})
}

// make signs the template, with itself when there is no issuer.
func (id *identity) make(t *testing.T, template *x509.Certificate) *identity {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	dir := t.TempDir()
	made := &identity{certificate: filepath.Join(dir, "certificate.pem"), key: filepath.Join(dir, "key.pem"), private: private}
	issuer, signer := template, private
	if id != nil {
		issuer, signer = id.parsed, id.private
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &private.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	if made.parsed, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{made.certificate: {Type: "CERTIFICATE", Bytes: der}, made.key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return made
}

func (id *identity) text(t *testing.T) string    { return string(read(t, id.certificate)) }
func (id *identity) keyText(t *testing.T) string { return string(read(t, id.key)) }

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
