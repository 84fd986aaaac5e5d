// Package edge is what stands before vtgate in the hosted service: one host
// name with one certificate, gRPC and MySQL over TLS, a user name and a
// password.
package edge

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"os"

	"golang.org/x/sync/errgroup"
)

// Config is an edge's configuration file.
type Config struct {
	Username string `json:"username"`
	Password string `json:"password"`
	// Certificate and Key are PEM files.
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
	// MySQL and GRPC are the addresses to listen on, PlainMySQL and PlainGRPC
	// those of the vtgate behind.
	MySQL      string `json:"mysql"`
	GRPC       string `json:"grpc"`
	PlainMySQL string `json:"plain_mysql"`
	PlainGRPC  string `json:"plain_grpc"`
	// MaxMessage is the largest gRPC message in bytes.
	MaxMessage int `json:"max_message"`
	// Name is the only host name that is served, when given: TLS's server name
	// and gRPC's authority must be it, as where many hosts share one front.
	Name string `json:"name,omitempty"`
}

// Load reads a configuration file.
func Load(path string) (Config, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("reading the edge's configuration: %w", err)
	}
	var c Config
	if err := json.Unmarshal(raw, &c); err != nil {
		return Config{}, fmt.Errorf("reading the edge's configuration %s: %w", path, err)
	}
	return c, nil
}

// Run serves both ports until the context ends, which is no error.
func Run(ctx context.Context, c Config) error {
	certificate, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
	if err != nil {
		return fmt.Errorf("loading the edge's certificate: %w", err)
	}
	var listen net.ListenConfig
	mysqlListener, err := listen.Listen(ctx, "tcp", c.MySQL)
	if err != nil {
		return fmt.Errorf("listening for MySQL: %w", err)
	}
	grpcListener, err := listen.Listen(ctx, "tcp", c.GRPC)
	if err != nil {
		return fmt.Errorf("listening for gRPC: %w", err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if c.Name != "" && hello.ServerName != c.Name {
			return nil, fmt.Errorf("no host %q here", hello.ServerName)
		}
		return nil, nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serveMySQL(ctx, mysqlListener, config, c) })
	group.Go(func() error { return serveGRPC(ctx, grpcListener, config, c) })
	return group.Wait()
}
