package dial

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// echo accepts connections and sends back what it receives.
func echo(t *testing.T) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); conn.Close() }()
		}
	}()
	return listener.Addr().String()
}

// through opens a connection to addr through a tunnel with these options, and sends some bytes there and back.
func through(ctx context.Context, o TunnelOptions, addr string) error {
	tunnel, err := NewTunnel(o, func(string) {})
	if err != nil {
		return err
	}
	return pass(ctx, tunnel, addr)
}

func pass(ctx context.Context, tunnel *Tunnel, addr string) error {
	conn, err := Config{Tunnel: tunnel}.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "hello"); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, len("hello")))
	return err
}

func TestTunnelLogins(t *testing.T) {
	plain, public := newKey(t, "")
	protected, protectedPublic := newKey(t, "open")
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaSigner, err := ssh.NewSignerFromKey(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	// The format that Airbyte's own sources require: ssh-keygen -t rsa -m PEM.
	rsaPEM := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)}))
	for name, c := range map[string]struct {
		key     ssh.PublicKey
		asks    bool
		options TunnelOptions
	}{
		"password":            {nil, false, TunnelOptions{Method: SSHPassword, Password: "right"}},
		"password on request": {nil, true, TunnelOptions{Method: SSHPassword, Password: "right"}},
		"OpenSSH key":         {public, false, TunnelOptions{Method: SSHKey, Key: plain}},
		"key on one line":     {public, false, TunnelOptions{Method: SSHKey, Key: strings.ReplaceAll(plain, "\n", `\n`)}},
		"protected key":       {protectedPublic, false, TunnelOptions{Method: SSHKey, Key: protected, KeyPassphrase: "open"}},
		"RSA key as PEM":      {rsaSigner.PublicKey(), false, TunnelOptions{Method: SSHKey, Key: rsaPEM}},
		"a needless password": {public, false, TunnelOptions{Method: SSHKey, Key: plain, KeyPassphrase: "not needed"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newJumpServer(t, c.key)
			s.mu.Lock()
			s.asks = c.asks
			s.mu.Unlock()
			pinned := s.options()
			c.options.Host, c.options.Port, c.options.User, c.options.HostKey = pinned.Host, pinned.Port, pinned.User, pinned.HostKey
			if err := through(t.Context(), c.options, echo(t)); err != nil {
				t.Error(err)
			}
			<-s.ended // the tunnel ends with its connection
		})
	}
}

func TestTunnelOptionsThatCannotBe(t *testing.T) {
	plain, public := newKey(t, "")
	protected, _ := newKey(t, "open")
	for name, c := range map[string]struct {
		options TunnelOptions
		want    string
	}{
		"no key":             {TunnelOptions{Method: SSHKey, Key: "secret"}, "\"Private key\" (ssh_key) is not a private key"},
		"public half":        {TunnelOptions{Method: SSHKey, Key: string(ssh.MarshalAuthorizedKey(public))}, "\"Private key\" (ssh_key) is not a private key"},
		"cut off":            {TunnelOptions{Method: SSHKey, Key: plain[:len(plain)/2]}, "\"Private key\" (ssh_key) is not a private key"},
		"lines lost":         {TunnelOptions{Method: SSHKey, Key: strings.ReplaceAll(plain, "\n", " ")}, "\"Private key\" (ssh_key) is not a private key"},
		"passphrase missing": {TunnelOptions{Method: SSHKey, Key: protected}, "protected by a passphrase"},
		"passphrase wrong":   {TunnelOptions{Method: SSHKey, Key: protected, KeyPassphrase: "secret"}, "(ssh_key_passphrase) does not open"},
		"method":             {TunnelOptions{Method: "TELNET"}, `(tunnel_method) must be "NO_TUNNEL"`},
		"fingerprint":        {TunnelOptions{Method: SSHPassword, HostKey: "SHA256:AAAA secret"}, "form SHA256:"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewTunnel(c.options, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want an error with %q and without the secret", err, c.want)
			}
		})
	}
	for _, none := range []TunnelMethod{"", NoTunnel} {
		if tunnel, err := NewTunnel(TunnelOptions{Method: none, Host: "left over"}, nil); tunnel != nil || err != nil {
			t.Errorf("%q: got %v, %v; want neither", none, tunnel, err)
		}
	}
}

func TestTunnelErrors(t *testing.T) {
	_, public := newKey(t, "")
	stranger, _ := newKey(t, "")
	target, nobody := echo(t), "127.0.0.1:1"
	for name, c := range map[string]struct {
		change    func(*TunnelOptions)
		refuse    ssh.RejectionReason
		target    string
		permanent bool
		want      string
	}{
		"wrong password": {func(o *TunnelOptions) { o.Password = "secret" }, 0, target, true, "refused the login of u"},
		"wrong key":      {func(o *TunnelOptions) { o.Method, o.Key = SSHKey, stranger }, 0, target, true, "refused the login of u"},
		"no such host":   {func(o *TunnelOptions) { o.Host = "no..such" }, 0, target, true, `"no..such" has no address`},
		"nobody there":   {func(o *TunnelOptions) { o.Port = 1 }, 0, target, false, "cannot be reached; check \"Jump server host\" (tunnel_host)"},
		"host behind":    {func(*TunnelOptions) {}, 0, nobody, false, "cannot reach " + nobody},
		"forbidden":      {func(*TunnelOptions) {}, ssh.Prohibited, target, true, "forbids u to forward to " + target},
		"too many":       {func(*TunnelOptions) {}, ssh.ResourceShortage, target, false, "has no resources left to forward to " + target},
		"another key": {func(o *TunnelOptions) { o.HostKey = ssh.FingerprintSHA256(public) }, 0, target, true, "host keys other than " +
			"those in \"Host key fingerprint\" (tunnel_host_key)"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newJumpServer(t, public)
			s.mu.Lock()
			s.refuse = c.refuse
			s.mu.Unlock()
			o := s.options()
			c.change(&o)
			err := through(t.Context(), o, c.target)
			var fault *TunnelError
			if !errors.As(err, &fault) || fault.Permanent != c.permanent || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v (%+v), want %q", err, fault, c.want)
			}
			if strings.Contains(err.Error(), "secret") || IsTLSError(err) {
				t.Errorf("the error contains the password, or is classified as a TLS error: %v", err)
			}
		})
	}
}

// A server of another kind, and one that sends nothing.
func TestTunnelToNoSSHServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	o := TunnelOptions{Method: SSHPassword, Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var fault *TunnelError
	err = through(ctx, o, "127.0.0.1:1") // the connection is never accepted
	if !errors.As(err, &fault) || fault.Permanent || !strings.Contains(err.Error(), "does not answer") ||
		!errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silent: got %v", err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			conn.Close()
		}
	}()
	err = through(t.Context(), o, "127.0.0.1:1")
	if !errors.As(err, &fault) || fault.Permanent || !strings.Contains(err.Error(), "handshake with the jump server") {
		t.Errorf("web server: got %v", err)
	}
}

// gRPC and TLS set deadlines on connections that they close; without them they would wait forever for a tunnel that is stuck.
// tunnelledEcho is a connection through a jump server of its own, to a server that sends back what it is sent. The caller closes it.
func tunnelledEcho(t *testing.T) (net.Conn, *jumpServer) {
	t.Helper()
	s := newJumpServer(t, nil)
	tunnel, err := NewTunnel(s.options(), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := Config{Tunnel: tunnel}.DialContext(t.Context(), "tcp", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	return conn, s
}

func TestTunnelledConnectionsEndAtTheirDeadline(t *testing.T) {
	conn, s := tunnelledEcho(t)
	if err := conn.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("read something past the deadline")
	}
	<-s.ended
}

// Like a socket's, a deadline that passes while nobody waits does nothing: the MySQL driver leaves one behind on each idle connection.
func TestTunnelledConnectionsSurviveADeadlineWhileIdle(t *testing.T) {
	conn, _ := tunnelledEcho(t)
	defer conn.Close()
	for range 2 {
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("ask")); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 3)
		if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "ask" {
			t.Fatalf("got %q, %v", answer, err)
		}
		if err := conn.SetDeadline(time.Now().Add(-time.Second)); err != nil {
			t.Fatal(err)
		}
		<-time.After(20 * time.Millisecond) // the test may pass although it is broken, but does not fail although it works
	}
}

// A deadline also ends a read that has begun before it was set; what it reports is what a socket reports, and a write is not limited by it.
func TestTunnelledReadsEndAtALaterDeadline(t *testing.T) {
	conn, _ := tunnelledEcho(t)
	defer conn.Close()
	read := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		read <- err
	}()
	if err := conn.SetWriteDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-read:
		t.Fatalf("a deadline of writes ended a read: %v", err)
	case <-time.After(20 * time.Millisecond): // may pass although it is broken, but does not fail although it works
	}
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestTunnelResolvesTheJumpServer(t *testing.T) {
	s := newJumpServer(t, nil)
	tunnel, err := NewTunnel(s.options(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := (Config{Host: "known-to-the-jump-server-only.invalid", Tunnel: tunnel}).Resolve(t.Context()); err != nil {
		t.Errorf("the host is the jump server's to resolve: %v", err)
	}
	tunnel.host = "no..such"
	var fault *TunnelError
	if err := (Config{Host: "127.0.0.1", Tunnel: tunnel}).Resolve(t.Context()); !errors.As(err, &fault) || !fault.Permanent {
		t.Errorf("got %v", err)
	}
}
