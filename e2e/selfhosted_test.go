package e2e

import (
	"maps"
	"strings"
	"testing"
)

// TestSelfHosted reads through vtgates that are protected in every way that Vitess supports: check must succeed, and the table must
// be read. Errors in the configuration must be reported.
func TestSelfHosted(t *testing.T) {
	c := shared(t)
	p := newPipeline(t, c, c.ConfigPlain, "self_hosted")
	p.exec("insert into self_hosted (id, part, v, note) values (1,1,1,'one'), (2,1,1,'two'), (30,1,1,'three')")
	ca, clientCA := newAuthority(t), newAuthority(t)
	server, elsewhere := ca.issue(t, "vtgate of a test", "localhost"), ca.issue(t, "vtgate elsewhere", "elsewhere.test")
	client, stranger := clientCA.issue(t, "reader"), ca.issue(t, "reader")
	static := p.file("grpc-users.json", []byte(`[{"Username":"reader","Password":"grpc-and-mysql"}]`))
	users := p.file("mysql-users.json", []byte(
		`{"reader":[{"Password":"grpc-and-mysql","UserData":"reader"}],"other":[{"Password":"mysql-only","UserData":"reader"}]}`))

	tls := func(id *identity) []string {
		return []string{
			"--mysql-server-ssl-cert", id.certificate, "--mysql-server-ssl-key", id.key, "--mysql-server-require-secure-transport",
			"--grpc-cert", id.certificate, "--grpc-key", id.key,
		}
	}
	login := []string{"--mysql-auth-server-static-file", users, "--grpc-auth-mode", "static", "--grpc-auth-static-password-file", static}
	mtls := []string{
		"--mysql-server-ssl-ca", clientCA.certificate,
		"--grpc-ca", clientCA.certificate, "--grpc-auth-mode", "mtls", "--grpc-auth-mtls-allowed-substrings", "CN=reader",
	}
	byCertificate := append(mtls, "--mysql-auth-server-impl", "clientcert")

	type object = map[string]any
	type gateCase struct {
		change []object
		want   string // part of the failure's message; empty for success
	}
	reader := object{"username": "reader", "password": "grpc-and-mysql", "grpc_auth": "static"}
	trusting := func(mode string, more ...string) object {
		o := object{"mode": mode, "ca_certificate": ca.text(t)}
		for i := 0; i < len(more); i += 2 {
			o[more[i]] = more[i+1]
		}
		return object{"tls": o, "host": "localhost"}
	}
	const unfit = "The TLS settings do not match the server"
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
			"right":          {[]object{reader}, ""},
			"wrong password": {[]object{reader, {"password": "wrong"}}, "refused the username or password"},
			"unknown to gRPC": {
				[]object{reader, {"username": "other", "password": "mysql-only"}},
				"refused to stream with this username and password",
			},
			"PlanetScale's way": {[]object{reader, {"grpc_auth": "basic"}}, "check both, \"gRPC authentication\" (grpc_auth)"},
			"TLS not offered":   {[]object{reader, trusting("verify_identity")}, "the server does not offer it, but \"TLS mode\" (tls.mode) requires it"},
		}},
		{"TLS and static passwords", append(tls(server), login...), map[string]gateCase{
			"right":       {[]object{reader, trusting("verify_identity")}, ""},
			"without TLS": {[]object{reader}, "the server requires TLS, but \"TLS mode\" (tls.mode) is \"Disabled\""},
			"another authority": {
				[]object{reader, trusting("verify_identity"), {"tls": object{"mode": "verify_identity", "ca_certificate": clientCA.text(t)}}}, unfit,
			},
		}},
		{"TLS for another name", append(tls(elsewhere), login...), map[string]gateCase{
			"its chain is good": {[]object{reader, trusting("verify_ca")}, ""},
			"its name is not":   {[]object{reader, trusting("verify_identity")}, "valid for elsewhere.test, not localhost"},
		}},
		{"mTLS", append(tls(server), byCertificate...), map[string]gateCase{
			"right":          {[]object{as(client)}, ""},
			"another user":   {[]object{as(client), {"username": "somebody"}}, "refused the username or password"},
			"stranger":       {[]object{as(stranger)}, unfit},
			"no certificate": {[]object{trusting("verify_identity"), {"username": "reader", "grpc_auth": "none"}}, unfit},
		}},
		{"mTLS of gRPC alone", append(append(tls(server), mtls[2:]...), "--mysql-auth-server-static-file", users), map[string]gateCase{
			"right":          {[]object{as(client), {"password": "grpc-and-mysql"}}, ""},
			"no certificate": {[]object{trusting("verify_identity"), reader, {"grpc_auth": "none"}}, "TLS settings"},
		}},
	} {
		g := c.gate(t, gate.flags...)
		for name, one := range gate.cases {
			t.Run(gate.name+"/"+name, func(t *testing.T) {
				change := object{"mysql_port": g.MySQLPort, "grpc_port": g.GRPCPort}
				for _, more := range one.change {
					maps.Copy(change, more)
				}
				p := p.in(t, change)
				check := p.check()
				if one.want == "" && check.Status != "SUCCEEDED" || !strings.Contains(check.Message, one.want) {
					t.Fatalf("got %+v, want %q", check, one.want)
				}
				if one.want == "" {
					p.readToEnd()
					p.mustEqualTheSource()
				}
			})
		}
		g.Stop()
	}
}
