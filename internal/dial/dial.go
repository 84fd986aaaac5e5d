// Package dial knows how to reach a host: addresses, name resolution, TCP options, SSH tunnels and TLS. It is the one place for them,
// shared by the gRPC client (vstream) and the MySQL client (schema), and imports no other package of the program.
package dial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"source-planetscale/internal/failure"
)

const (
	// connectTimeout limits one TCP connect, including all addresses of the name.
	connectTimeout = 15 * time.Second
	// deadPeerTimeout is how long a peer may leave our data or our keepalive probes unacknowledged before the connection counts as lost.
	// Without it, a connection that is cut silently (a NAT table, a lost node) is only noticed after 15 minutes.
	deadPeerTimeout = 30 * time.Second
	// probeInterval is the pause before the first and between two keepalive probes of an idle connection.
	probeInterval = 10 * time.Second
)

// ErrUnknownHost reports that the name service does not know a host that was never reached: a mistyped option rather than a temporary
// failure. Where names follow what runs (containers, service discovery), that of a server which restarts is unknown for a moment.
var ErrUnknownHost = errors.New("unknown host")

// Config says where a Vitess or PlanetScale database is and how its connections are protected. PlanetScale serves
// MySQL and gRPC on two ports of one host, with one certificate.
type Config struct {
	// Host is a DNS name or an IP address (IPv6 without brackets), without port.
	Host      string
	MySQLPort int
	GRPCPort  int
	TLS       TLS
	// Tunnel is what all connections go through; nil for none. Host is then a name as the jump server knows it.
	Tunnel *Tunnel
	// Reached is shared by all that connect to the host, and set once it was reached; nil to remember nothing.
	Reached *atomic.Bool
	// Log gets, at level Debug, what is done over the connections; nil for no log.
	Log *slog.Logger
}

// Debug logs what is done over a connection, for troubleshooting. It must never contain row values.
func (c Config) Debug(format string, args ...any) {
	if c.Log != nil && c.Log.Enabled(context.Background(), slog.LevelDebug) {
		c.Log.Debug(fmt.Sprintf(format, args...))
	}
}

// MySQLAddr is host:port of the MySQL protocol.
func (c Config) MySQLAddr() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.MySQLPort)) }

// GRPCAddr is host:port of gRPC.
func (c Config) GRPCAddr() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.GRPCPort)) }

// Resolve asks the name service for the host and reports whether it has an address. The error names the host; it wraps ErrUnknownHost if
// the service answered that there is none, but not if the service itself failed. Behind a tunnel, the jump server resolves the host; then
// Resolve looks up the jump server, and the error is a *TunnelError.
func (c Config) Resolve(ctx context.Context) error {
	if c.Tunnel != nil {
		return c.Tunnel.resolve(ctx)
	}
	return lookUp(ctx, c.Host)
}

func lookUp(ctx context.Context, host string) error {
	_, err := net.DefaultResolver.LookupHost(ctx, host)
	var dns *net.DNSError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &dns):
		return resolveError(dns, false)
	default:
		return fmt.Errorf("host %q cannot be looked up: %w", host, err)
	}
}

func resolveError(dns *net.DNSError, reached bool) error {
	if dns.IsNotFound && !reached {
		return fmt.Errorf("%w: %q has no address; check "+failure.Option("Host", "host"), ErrUnknownHost, dns.Name)
	}
	return fmt.Errorf("the name service gave no address of host %q: %w", dns.Name, dns)
}

// DialContext opens a TCP connection, without TLS, through the tunnel if there is one; both clients dial through it. The caller owns the
// connection. The error names the address and wraps ErrUnknownHost where Resolve would; a tunnel's is a *TunnelError.
func (c Config) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	started := time.Now()
	conn, err := c.dial(ctx, network, addr)
	if err == nil {
		c.Debug("Connected to %s in %s.", addr, time.Since(started).Round(time.Millisecond))
	}
	return conn, err
}

func (c Config) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if c.Tunnel != nil {
		return c.Tunnel.dial(ctx, addr)
	}
	return dialTCP(ctx, network, addr, cmp.Or(c.Reached, &atomic.Bool{}))
}

// dialTCP is the only place where keepalive and the limit on unacknowledged data are set. It sets reached if it succeeds.
func dialTCP(ctx context.Context, network, addr string, reached *atomic.Bool) (net.Conn, error) {
	dialer := net.Dialer{
		Timeout: connectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{
			Enable:   true,
			Idle:     probeInterval,
			Interval: probeInterval,
			Count:    int(deadPeerTimeout/probeInterval) - 1,
		},
		ControlContext: func(_ context.Context, _, _ string, raw syscall.RawConn) error {
			return limitUnanswered(raw, deadPeerTimeout)
		},
	}
	conn, err := dialer.DialContext(ctx, network, addr)
	var dns *net.DNSError
	switch {
	case err == nil:
		reached.Store(true)
		return conn, nil
	case errors.As(err, &dns):
		return nil, resolveError(dns, reached.Load())
	default:
		return nil, fmt.Errorf("%s cannot be reached: %w", addr, err)
	}
}
