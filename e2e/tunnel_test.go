package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// with returns a changed copy of a tunnel_method.
func with(tunnel map[string]any, pairs ...any) map[string]any {
	tunnel = maps.Clone(tunnel)
	for i := 0; i < len(pairs); i += 2 {
		tunnel[pairs[i].(string)] = pairs[i+1]
	}
	return tunnel
}

// TestTunnel runs check through a real SSH server, and checks the messages if that does not work.
func TestTunnel(t *testing.T) {
	c := shared(t)
	p := newPipeline(t, c, c.ConfigSharded)
	s := startSSHD(t)
	stranger, _ := newSSHKey(t)
	port := freePort(t)
	const unpinned = "it cannot be verified"
	const refused = "The SSH tunnel cannot be used: the jump server 127.0.0.1:PORT refused the login of tunnel"
	another := "SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDtGGGrrJXVGDtGGGg"
	for name, one := range map[string]struct {
		tunnel map[string]any
		want   string // part of the failure's message; empty for success
		warned string
	}{
		"key":      {s.byKey(), "", unpinned},
		"password": {s.byPassword(), "", ""},
		"password unpinned": {
			with(s.byPassword(), "tunnel_host_key", ""),
			"The SSH tunnel cannot be used: the password is not sent to the jump server 127.0.0.1:PORT, because its identity cannot be verified; its host key is " + s.fingerprint, "",
		},
		"pinned host key": {with(s.byKey(), "tunnel_host_key", s.fingerprint), "", ""},
		"none":            {map[string]any{"tunnel_method": "NO_TUNNEL"}, "", ""},
		"another host key": {
			with(s.byKey(), "tunnel_host_key", another),
			"The SSH tunnel cannot be used: the jump server 127.0.0.1:PORT has host keys other than those in \"Host key fingerprint\" (tunnel_host_key): " +
				s.fingerprint, "",
		},
		"wrong key":      {with(s.byKey(), "ssh_key", stranger), refused, unpinned},
		"wrong password": {with(s.byPassword(), "tunnel_user_password", "wrong-secret"), refused, ""},
		"no such user":   {with(s.byPassword(), "tunnel_user", "nobody"), "refused the login of nobody", ""},
		"forwarding off": {
			with(s.byKey(), "tunnel_user", "closed"),
			"forbids closed to forward to localhost:" + strconv.Itoa(c.MySQLPort), unpinned,
		},
		"not a key":     {with(s.byKey(), "ssh_key", "wrong-secret"), "\"Private key\" (ssh_key) is not a private key", ""},
		"unreachable":   {with(s.byKey(), "tunnel_port", port), "The SSH tunnel cannot be opened: the jump server ", ""},
		"no SSH server": {with(s.byKey(), "tunnel_port", c.GRPCPort), "The SSH tunnel cannot be opened: the SSH handshake", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := p.in(t, map[string]any{"tunnel_method": one.tunnel})
			check, warnings := p.check(), p.logged("WARN")
			want := strings.ReplaceAll(one.want, "PORT", fmt.Sprint(s.port))
			if want == "" && check.Status != "SUCCEEDED" || !strings.Contains(check.Message, want) {
				t.Errorf("got %+v, want %q", check, want)
			}
			if !strings.Contains(warnings, one.warned) || one.warned == "" && warnings != "" || strings.Count(warnings, unpinned) > 1 {
				t.Errorf("warned %q, want %q once", warnings, one.warned)
			}
			if strings.Contains(check.Message+warnings, "wrong-secret") {
				t.Errorf("a secret is printed: %s %s", check.Message, warnings)
			}
		})
	}
	t.Run("host behind", func(t *testing.T) {
		check := p.in(t, map[string]any{"tunnel_method": s.byKey(), "grpc_port": port}).check()
		want := fmt.Sprintf("The SSH tunnel cannot be opened: the jump server 127.0.0.1:%d cannot reach localhost:%d", s.port, port)
		if !strings.Contains(check.Message, want) {
			t.Errorf("got %+v, want %q", check, want)
		}
	})
}

// TestTunnelBreaks reads through a real SSH server whose sessions are killed in the middle of a copy and of a replication.
func TestTunnelBreaks(t *testing.T) {
	c := shared(t)
	s := startSSHD(t)
	p := newFaultPipeline(t, c, "tunnel_breaks").in(t, map[string]any{"tunnel_method": s.byKey()})
	for _, phase := range []string{"copy", "replication"} {
		p.proxy.shut(faultGate)
		began := time.Now()
		sync := p.start()
		sync.until(100)
		if s.killSessions(t) == 0 {
			t.Fatal("there was no session to kill")
		}
		p.proxy.open()
		sync.toEnd()
		t.Logf("%s: ended after %.1f s; warnings: %s", phase, time.Since(began).Seconds(), p.logged("WARN"))
		if !strings.Contains(p.logged("WARN"), "trying again in") {
			t.Errorf("in the %s: the stream did not break, so that nothing is tested", phase)
		}
		p.mustEqualTheSource()
		p.burst()
	}
	p.readToEnd()
	p.mustEqualTheSource()
	if _, err := os.Stat(filepath.Join("/proc", fmt.Sprint(s.pid))); err != nil {
		t.Errorf("the server itself ended: %v", err)
	}
}
