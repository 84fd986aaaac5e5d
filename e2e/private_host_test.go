package e2e

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"source-planetscale/e2e/script"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/sandbox/edge"
)

// privateHost is a host of PlanetScale's that has an address inside a customer's private network only.
const privateHost = "us-east.private-connect.psdb.cloud"

// TestPrivateHost reads from a front with that name, which serves no other: directly, with the name in /etc/hosts, and through
// a jump server that alone can resolve it. TLS's server name, the certificate and gRPC's authority must all be the host's.
func TestPrivateHost(t *testing.T) {
	script.RequireSandbox(t)
	s := startSSHD(t, privateHost)
	p := newPipelineOf(t, "private_host", os.Getenv("SANDBOX_PLAIN_MYSQL"), os.Getenv("SANDBOX_CONFIG_SHARDED"))
	p.exec("insert into private_host (id, part, v, note) values (1,1,1,'one'), (30,1,1,'three')")
	ca := newAuthority(t)
	change := startEdge(t, privateHost, ca)
	p.config = p.file("private.json", changedConfig(t, os.Getenv("SANDBOX_CONFIG_SHARDED"), change))
	hosts := p.file("hosts", []byte("127.0.0.1 localhost "+privateHost+"\n"))

	t.Run("directly", func(t *testing.T) {
		p := *p
		p.t, p.dir = t, t.TempDir()
		p.reset()
		out := underHosts(t, hosts, "check", "--config", p.config)
		if parsed, err := destination.Parse(bytes.NewReader(out)); err != nil || parsed.Check.Status != "SUCCEEDED" {
			t.Fatalf("%v: %s", err, out)
		}
		p.deliver(underHosts(t, hosts, p.readArgs()...))
		p.mustEqualTheSource()
	})
	t.Run("through a tunnel", func(t *testing.T) {
		p := *p
		p.t, p.dir = t, t.TempDir()
		p.config = p.file("tunnel.json", changedConfig(t, p.config, map[string]any{"tunnel_method": s.byKey()}))
		p.reset()
		p.readToEnd()
		p.mustEqualTheSource()
	})
	t.Run("under another name", func(t *testing.T) {
		check, _ := checkWith(t, p.config, map[string]any{"host": "localhost", "tls": map[string]any{"mode": "verify_ca", "ca_certificate": ca.text(t)}})
		if !strings.Contains(check.Message, "The TLS options do not fit the server") {
			t.Errorf("the front serves any name, so that nothing is tested: %+v", check)
		}
	})
}

// startEdge runs a front like the hosted service's under that name, and returns what a configuration must say of it.
func startEdge(t *testing.T, name string, ca *identity) map[string]any {
	t.Helper()
	id := ca.issue(t, name, name)
	mysqlPort, grpcPort := freePort(t), freePort(t)
	addr := func(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- edge.Run(ctx, edge.Config{
			Username: os.Getenv("SANDBOX_USERNAME"), Password: os.Getenv("SANDBOX_PASSWORD"),
			Certificate: id.certificate, Key: id.key, Name: name,
			MySQL: addr(mysqlPort), GRPC: addr(grpcPort),
			PlainMySQL: os.Getenv("SANDBOX_PLAIN_MYSQL"), PlainGRPC: os.Getenv("SANDBOX_PLAIN_GRPC"), MaxMessage: 100 << 20,
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

// underHosts runs the connector with another /etc/hosts, in a mount namespace of its own.
func underHosts(t *testing.T, hosts string, args ...string) []byte {
	t.Helper()
	script := `mount --bind "$0" /etc/hosts && exec source-planetscale "$@"`
	cmd := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-c", script, hosts}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, lastLines(out))
	}
	return out
}
