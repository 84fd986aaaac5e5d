package schema

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"source-planetscale/internal/dial"
)

func TestOpenRefused(t *testing.T) {
	server := sandboxServer(t)
	user, password := os.Getenv("SANDBOX_USERNAME"), os.Getenv("SANDBOX_PASSWORD")
	const wrong = "wrong-p@ssword"
	closed, untrusted, plain, unknown := server, server, server, server
	closed.MySQLPort = closedPort(t)
	untrusted.TLS.CACertificate = ""
	unknown.Host = "no..such"
	host, port, err := net.SplitHostPort(os.Getenv("SANDBOX_PLAIN_MYSQL"))
	if err != nil {
		t.Fatal(err)
	}
	plain.Host = host
	if plain.MySQLPort, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name                     string
		server                   dial.Config
		user, password, keyspace string
		is                       func(error) bool
	}{
		{"wrong password", server, user, wrong, "commerce", is(ErrAuth)},
		{"wrong user", server, "nobody", wrong, "commerce", is(ErrAuth)},
		{"unknown keyspace", server, user, password, "no`such", is(ErrUnknownKeyspace)},
		{"closed port", closed, user, wrong, "commerce", is(ErrUnreachable)},
		{"unknown host", unknown, user, wrong, "commerce", is(dial.ErrUnknownHost)},
		{"untrusted certificate", untrusted, user, wrong, "commerce", dial.IsTLSError},
		{"server without TLS", plain, "root", wrong, "commerce", dial.IsTLSError},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			db, err := Open(t.Context(), c.server, c.user, c.password, c.keyspace, "primary")
			if err == nil {
				db.Close()
				t.Fatal("opened")
			}
			if !c.is(err) {
				t.Errorf("got %v", err)
			}
			if strings.Contains(err.Error(), wrong) || strings.Contains(err.Error(), password) {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) && !dial.IsTLSError(err) }
}

func closedPort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func TestOpenListsKeyspaces(t *testing.T) {
	_, err := Open(t.Context(), sandboxServer(t), os.Getenv("SANDBOX_USERNAME"), os.Getenv("SANDBOX_PASSWORD"), "comerce", "replica")
	if err == nil || !strings.Contains(err.Error(), `"comerce"`) || !strings.Contains(err.Error(), "commerce, customer") {
		t.Errorf("got %v, want the unknown name and the existing ones", err)
	}
}

func TestOpenPlain(t *testing.T) {
	sandboxServer(t)
	host, port, err := net.SplitHostPort(os.Getenv("SANDBOX_PLAIN_MYSQL"))
	if err != nil {
		t.Fatal(err)
	}
	server := dial.Config{Host: host, TLS: dial.TLS{Mode: dial.Disabled}}
	if server.MySQLPort, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	db, err := Open(t.Context(), server, "root", "", "customer", "primary")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if shards, err := db.Shards(t.Context()); err != nil || len(shards) < 2 {
		t.Errorf("got shards %v, %v", shards, err)
	}
}

func TestOpenSilentServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	server := dial.Config{Host: "127.0.0.1", MySQLPort: listener.Addr().(*net.TCPAddr).Port}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, server, "user", "password", "commerce", "primary"); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v, want ErrUnreachable", err)
	}
}

// A lost connection is not mistaken for a refusal, and a pool whose connections were all lost opens new ones.
func TestLostConnection(t *testing.T) {
	server := sandboxServer(t)
	proxy := newProxy(t, server.MySQLAddr())
	server.MySQLPort = proxy.port
	db, err := Open(t.Context(), server, os.Getenv("SANDBOX_USERNAME"), os.Getenv("SANDBOX_PASSWORD"), "commerce", "primary")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn := question(t, db)
	proxy.cut()
	_, err = conn.QueryContext(t.Context(), "select 1")
	if err = failed("asking", err); !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrRefused) {
		t.Errorf("on a cut connection: got %v, want ErrUnreachable", err)
	}
	if _, err := db.Tablets(t.Context()); err != nil {
		t.Errorf("after a cut: %v", err)
	}
	proxy.close()
	if _, err := db.Tablets(t.Context()); !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrRefused) {
		t.Errorf("without server: got %v, want ErrUnreachable", err)
	}
}

// A server that no longer answers while its connection stays open counts as lost, too.
func TestServerThatFallsSilent(t *testing.T) {
	server := sandboxServer(t)
	config, err := newConfig(server, os.Getenv("SANDBOX_USERNAME"), os.Getenv("SANDBOX_PASSWORD"))
	if err != nil {
		t.Fatal(err)
	}
	if config.ReadTimeout != answerTimeout || config.WriteTimeout != answerTimeout {
		t.Errorf("the limits are %s and %s", config.ReadTimeout, config.WriteTimeout)
	}
	config.ReadTimeout = 100 * time.Millisecond
	db := &DB{keyspace: "commerce", tabletType: "primary"}
	config.DBName = db.target("")
	if db.sql, err = login(t.Context(), config, maxConnections, server); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.askShard(t.Context(), "-", "select sleep(5)", nil, new(int)); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v, want ErrUnreachable", err)
	}
}

// proxy forwards connections until it cuts them.
type proxy struct {
	port     int
	target   string
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
	closed   bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{port: listener.Addr().(*net.TCPAddr).Port, target: target, listener: listener}
	t.Cleanup(p.close)
	go p.accept()
	return p
}

func (p *proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", p.target)
		if err != nil {
			near.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, near, far)
		closed := p.closed
		p.mu.Unlock()
		if closed { // while this connection was opened
			p.cut()
			return
		}
		go func() { _, _ = io.Copy(near, far) }()
		go func() { _, _ = io.Copy(far, near) }()
	}
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		conn.Close()
	}
	p.conns = nil
}

func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cut()
}

// Otherwise each query to all shards would log in again on all but two of its connections.
func TestConnectionsAreKept(t *testing.T) {
	db := openSandbox(t, "customer")
	var conns []*sql.Conn
	for range maxConnections {
		conn, err := db.conn(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if idle := db.sql.Stats().Idle; idle != maxConnections {
		t.Errorf("%d connections are kept", idle)
	}
}
