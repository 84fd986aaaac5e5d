package e2e

import (
	"context"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"source-planetscale/internal/sandbox/edge"
)

// privateHost is a PlanetScale host that has an address only inside a customer's private network.
const privateHost = "us-east.private-connect.psdb.cloud"

// TestPrivateHost reads from a front that serves only this name: directly, with the name in /etc/hosts, and through
// a jump server, which alone can resolve it. TLS's server name, the certificate and gRPC's authority must all be the host's.
func TestPrivateHost(t *testing.T) {
	c := shared(t)
	s := startSSHD(t, privateHost)
	p := newPipeline(t, c, c.ConfigSharded, "private_host")
	p.exec("insert into private_host (id, part, v, note) values (1,1,1,'one'), (30,1,1,'three')")
	ca := newAuthority(t)
	p = p.with(c.startEdge(t, privateHost, ca))
	hosts := p.file("hosts", []byte("127.0.0.1 localhost "+privateHost+"\n"))

	t.Run("directly", func(t *testing.T) {
		p := p.in(t, nil)
		p.command = func(args ...string) *exec.Cmd { return underHosts(hosts, args...) }
		if check := p.check(); check.Status != "SUCCEEDED" {
			t.Fatalf("%+v", check)
		}
		p.readToEnd()
		p.mustEqualTheSource()
	})
	t.Run("through a tunnel", func(t *testing.T) {
		p := p.in(t, map[string]any{"tunnel_method": s.byKey()})
		p.readToEnd()
		p.mustEqualTheSource()
	})
	t.Run("under another name", func(t *testing.T) {
		tls := map[string]any{"mode": "verify_ca", "ca_certificate": ca.text(t)}
		check := p.in(t, map[string]any{"host": "localhost", "tls": tls}).check()
		if !strings.Contains(check.Message, "The TLS settings do not match the server") {
			t.Errorf("the front serves any name, so that nothing is tested: %+v", check)
		}
	})
}

// startEdge runs a front like that of the hosted service under this name, and returns the options to connect to it.
func (c cluster) startEdge(t *testing.T, name string, ca *identity) map[string]any {
	t.Helper()
	id := ca.issue(t, name, name)
	mysqlPort, grpcPort := freePort(t), freePort(t)
	addr := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- edge.Run(ctx, edge.Config{
			Username: c.Username, Password: c.Password,
			Certificate: id.certificate, Key: id.key, Name: name,
			MySQL: addr(mysqlPort), GRPC: addr(grpcPort),
			PlainMySQL: c.PlainMySQL, PlainGRPC: c.PlainGRPC, MaxMessage: 100 << 20,
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return map[string]any{
		"host": name, "mysql_port": mysqlPort, "grpc_port": grpcPort,
		"tls": map[string]any{"mode": "verify_identity", "ca_certificate": ca.text(t)},
	}
}

// underHosts runs the connector with another /etc/hosts, in its own mount namespace.
func underHosts(hosts string, args ...string) *exec.Cmd {
	bind := `mount --bind "$0" /etc/hosts && exec source-planetscale "$@"`
	cmd := exec.Command("/bin/sh", append([]string{"-c", bind, hosts}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return cmd
}
