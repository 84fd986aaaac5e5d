package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"source-planetscale/e2e/script"
	"source-planetscale/internal/destination"
)

// checkWith runs check with the hosted configuration, changed, and returns its answer and what it logged.
func checkWith(t *testing.T, like string, change map[string]any) (destination.Check, string) {
	t.Helper()
	p := &pipeline{t: t, dir: t.TempDir()}
	p.last = p.run("check", "--config", p.file("config.json", changedConfig(t, like, change)))
	if p.last.Check == nil {
		t.Fatal("check gave no answer")
	}
	return *p.last.Check, p.logged("WARN")
}

// changedConfig is a configuration with other values; nil removes a key.
func changedConfig(t *testing.T, like string, change map[string]any) []byte {
	t.Helper()
	var config map[string]any
	data, err := os.ReadFile(like)
	if err == nil {
		err = json.Unmarshal(data, &config)
	}
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(config, change)
	maps.DeleteFunc(config, func(_ string, v any) bool { return v == nil })
	if data, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	return data
}

// with returns a changed copy of a tunnel_method.
func with(tunnel map[string]any, pairs ...any) map[string]any {
	tunnel = maps.Clone(tunnel)
	for i := 0; i < len(pairs); i += 2 {
		tunnel[pairs[i].(string)] = pairs[i+1]
	}
	return tunnel
}

// TestTunnel checks the database through a real SSH server, and what is said when that does not work.
func TestTunnel(t *testing.T) {
	script.RequireSandbox(t)
	s := startSSHD(t)
	stranger, _ := newSSHKey(t)
	port := freePort(t)
	const unpinned = "nothing vouches for it"
	for name, c := range map[string]struct {
		tunnel map[string]any
		want   string // of the failure; empty for success
		warned string
	}{
		"key":               {s.byKey(), "", unpinned},
		"password":          {s.byPassword(), "", ""},
		"password unpinned": {with(s.byPassword(), "tunnel_host_key", ""), "The SSH tunnel cannot be used: the password is not sent to the jump server 127.0.0.1:PORT, because nothing proves that it is the right one; its host key is " + s.fingerprint, ""},
		"pinned host key":   {with(s.byKey(), "tunnel_host_key", s.fingerprint), "", ""},
		"none":              {map[string]any{"tunnel_method": "NO_TUNNEL"}, "", ""},
		"another host key":  {with(s.byKey(), "tunnel_host_key", "SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDtGGGrrJXVGDtGGGg"), "The SSH tunnel cannot be used: the jump server 127.0.0.1:PORT has other host keys than those in tunnel_host_key: " + s.fingerprint, ""},
		"wrong key":         {with(s.byKey(), "ssh_key", stranger), "The SSH tunnel cannot be used: the jump server 127.0.0.1:PORT refused the login of tunnel", unpinned},
		"wrong password":    {with(s.byPassword(), "tunnel_user_password", "wrong-secret"), "The SSH tunnel cannot be used: the jump server 127.0.0.1:PORT refused the login of tunnel", ""},
		"no such user":      {with(s.byPassword(), "tunnel_user", "nobody"), "refused the login of nobody", ""},
		"forwarding off":    {with(s.byKey(), "tunnel_user", "closed"), "forbids closed to forward to localhost:" + os.Getenv("SANDBOX_MYSQL_PORT"), unpinned},
		"not a key":         {with(s.byKey(), "ssh_key", "wrong-secret"), "tunnel_method.ssh_key is not a private key", ""},
		"unreachable":       {with(s.byKey(), "tunnel_port", port), "The SSH tunnel cannot be made: the jump server cannot be reached", ""},
		"no SSH server":     {with(s.byKey(), "tunnel_port", json.Number(os.Getenv("SANDBOX_GRPC_PORT"))), "The SSH tunnel cannot be made: the SSH handshake", ""},
	} {
		t.Run(name, func(t *testing.T) {
			check, warnings := checkWith(t, os.Getenv("SANDBOX_CONFIG_SHARDED"), map[string]any{"tunnel_method": c.tunnel})
			want := strings.ReplaceAll(c.want, "PORT", fmt.Sprint(s.port))
			if want == "" && check.Status != "SUCCEEDED" || !strings.Contains(check.Message, want) {
				t.Errorf("got %+v, want %q", check, want)
			}
			if !strings.Contains(warnings, c.warned) || c.warned == "" && warnings != "" || strings.Count(warnings, unpinned) > 1 {
				t.Errorf("warned %q, want %q once", warnings, c.warned)
			}
			if strings.Contains(check.Message+warnings, "wrong-secret") {
				t.Errorf("a secret is shown: %s %s", check.Message, warnings)
			}
		})
	}
	t.Run("host behind", func(t *testing.T) {
		check, _ := checkWith(t, os.Getenv("SANDBOX_CONFIG_SHARDED"), map[string]any{"tunnel_method": s.byKey(), "grpc_port": port})
		if want := fmt.Sprintf("The SSH tunnel cannot be made: the jump server 127.0.0.1:%d cannot reach localhost:%d", s.port, port); !strings.Contains(check.Message, want) {
			t.Errorf("got %+v, want %q", check, want)
		}
	})
}

// TestTunnelBreaks reads through a real SSH server whose sessions are killed in the middle of a copy and of a replication.
func TestTunnelBreaks(t *testing.T) {
	script.RequireSandbox(t)
	s := startSSHD(t)
	name := "tunnel_breaks"
	f := &rig{pipeline: newPipelineOf(t, name, os.Getenv("SANDBOX_PLAIN_MYSQL"), os.Getenv("SANDBOX_CONFIG_SHARDED")), random: rand.New(rand.NewPCG(1, 1))}
	f.proxy = newProxy(t, net.JoinHostPort(os.Getenv("SANDBOX_HOST"), os.Getenv("SANDBOX_GRPC_PORT")))
	for from := 0; from < faultRows(); from += 500 {
		rows := make([]string, 500)
		for i := range rows {
			rows[i] = fmt.Sprintf("(%d,1,0,'%s')", from+i, f.note())
		}
		f.exec("insert into " + name + " (id, part, v, note) values " + strings.Join(rows, ","))
	}
	f = f.in(t, map[string]any{"tunnel_method": s.byKey()})
	for _, phase := range []string{"copy", "replication"} {
		f.proxy.shut(faultGate)
		began := time.Now()
		sync := f.start()
		sync.until(100)
		if s.killSessions(t) == 0 {
			t.Fatal("there was no session to kill")
		}
		f.proxy.open()
		sync.toEnd()
		t.Logf("%s: ended after %.1f s; warnings: %s", phase, time.Since(began).Seconds(), f.logged("WARN"))
		if !strings.Contains(f.logged("WARN"), "broke (") {
			t.Errorf("in the %s: the stream did not break, so that nothing is tested", phase)
		}
		f.mustEqualTheSource()
		f.burst()
	}
	f.readToEnd()
	f.mustEqualTheSource()
	if _, err := os.Stat(filepath.Join("/proc", fmt.Sprint(s.pid))); err != nil {
		t.Errorf("the server itself ended: %v", err)
	}
}
