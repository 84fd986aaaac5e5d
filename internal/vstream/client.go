// Package vstream implements VTGate's VStream RPC: it dials, authenticates, opens streams and classifies errors. Interpreting the events
// is up to its caller.
package vstream

import (
	"cmp"
	"context"
	"encoding/base64"
	"sync/atomic"
	"time"

	"github.com/mostynb/go-grpc-compression/snappy"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	topodatapb "vitess.io/vitess/go/vt/proto/topodata"

	"source-planetscale/internal/dial"
)

// Auth is how to authenticate to a VTGate.
type Auth string

// The authentication methods: PlanetScale's Basic header, vtgate's own static `username` and `password` metadata, or none (also for mTLS,
// where the client's certificate authenticates it).
const (
	Basic  Auth = "basic"
	Static Auth = "static"
	NoAuth Auth = "none"
)

// Config says which VTGate to connect to, and how.
type Config struct {
	Dial       dial.Config
	Auth       Auth
	Username   string
	Password   string
	TabletType topodatapb.TabletType
	// Cells are the comma-separated cells to pick tablets from; empty for vtgate's own.
	Cells string
	// Silence is how long a stream may be silent before it is dropped; zero for the constant of that name.
	Silence time.Duration
}

// MaxMessage is the largest message accepted, in bytes: what PlanetScale's own clients accept.
const MaxMessage = 100 << 20

// keepaliveTime is how often an idle connection is probed. PlanetScale's servers allow one ping in 10 s.
const keepaliveTime = 10 * time.Second

// window is how many bytes a server may send ahead, per stream and per connection. gRPC's own choice grows with the apparent capacity of
// the connection, and is slower with a server 20 ms away (ADR 5).
const window = 4 << 20

// Client opens streams. It is safe for concurrent use.
type Client struct {
	cfg     Config
	options []grpc.DialOption
	buffers *buffers
	streams atomic.Int32     // that are open
	turn    chan struct{}    // is full while a stream handles a large message
	spare   chan *connection // opened ahead
}

// share is how many bytes one of the open streams may receive ahead.
func (c *Client) share() int { return ahead / int(max(1, c.streams.Load())) }

// New prepares a client; each stream connects by itself.
func New(cfg Config) (*Client, error) {
	cfg.Silence = cmp.Or(cfg.Silence, Silence)
	transport, err := transportCredentials(cfg.Dial)
	if err != nil {
		return nil, err
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTime}),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage), grpc.UseCompressor(snappy.Name)),
		grpc.WithUserAgent("airbyte-source-planetscale"),
	}
	if cfg.Auth != NoAuth {
		options = append(options, grpc.WithPerRPCCredentials(login{cfg}))
	}
	return &Client{
		cfg: cfg, options: options, buffers: newBuffers(), turn: make(chan struct{}, 1), spare: make(chan *connection, maxAhead),
	}, nil
}

func transportCredentials(d dial.Config) (credentials.TransportCredentials, error) {
	config, err := d.TLSConfig()
	if err != nil {
		return nil, err
	}
	if config == nil {
		return insecure.NewCredentials(), nil
	}
	return credentials.NewTLS(config), nil
}

// login adds the username and password to every call.
type login struct{ cfg Config }

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (l login) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if l.cfg.Auth == Static {
		return map[string]string{"username": l.cfg.Username, "password": l.cfg.Password}, nil
	}
	pair := base64.StdEncoding.EncodeToString([]byte(l.cfg.Username + ":" + l.cfg.Password))
	return map[string]string{"authorization": "Basic " + pair}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials: a password may be sent in the clear only if the user has switched
// TLS off.
func (l login) RequireTransportSecurity() bool { return l.cfg.Dial.TLS.Mode != dial.Disabled }
