// Package config is the file given with --config: its schema (spec.json), its defaults, which are in spec.json, and the meaning of its
// options.
package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	topodatapb "vitess.io/vitess/go/vt/proto/topodata"

	"source-planetscale/internal/dial"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/row"
	"source-planetscale/internal/vstream"
)

// Config is the file given with --config; spec.json describes it, and a test keeps the two in sync.
type Config struct {
	Host     string `json:"host"`
	Database string `json:"database"` // a keyspace
	Username string `json:"username"`
	Password string `json:"password"`
	// Keyspaces are further keyspaces; everyKeyspace stands for all that the server has.
	Keyspaces []string `json:"keyspaces"`

	MySQLPort int                `json:"mysql_port"`
	GRPCPort  int                `json:"grpc_port"`
	TLS       dial.TLS           `json:"tls"`
	Tunnel    dial.TunnelOptions `json:"tunnel_method"`
	GRPCAuth  vstream.Auth       `json:"grpc_auth"`
	Cells     string             `json:"cells"`

	Shards          string `json:"shards"`
	UseReplica      bool   `json:"use_replica"`
	UseRDOnly       bool   `json:"use_rdonly"`
	IncludeMetadata bool   `json:"include_metadata"`
	StartingGTIDs   string `json:"starting_gtids"`

	Concurrency               int    `json:"concurrency"`
	CheckpointIntervalSeconds int    `json:"checkpoint_interval_seconds"`
	InvalidPositionBehavior   string `json:"invalid_cdc_cursor_position_behavior"`
	MaxRetries                int    `json:"max_retries"`
	TimeoutSeconds            int    `json:"timeout_seconds"`
	// UseGTIDWithTablePKs is accepted and ignored: without the position, a resumed copy loses changes.
	UseGTIDWithTablePKs bool `json:"use_gtid_with_table_pks"`
	Options             struct {
		DoNotTreatTinyIntAsBoolean bool `json:"do_not_treat_tiny_int_as_boolean"`
	} `json:"options"`

	startingPositions map[gtid.Shard]gtid.Position
	tunnel            *dial.Tunnel // nil for none
	reached           *atomic.Bool
	log               *slog.Logger
}

// minTimeoutSeconds is the shortest timeout_seconds; the former connector had the same.
const minTimeoutSeconds = 300

// maxTimeoutSeconds is a day: after that a connection may be closed anyway.
const maxTimeoutSeconds = 24 * 60 * 60

// Resync is the value of invalid_cdc_cursor_position_behavior that copies a stream again.
const Resync = "Re-sync data"

// maxConfig is the maximum size of a configuration in bytes: PEM texts are a few thousand.
const maxConfig = 1 << 20

// Parse validates a configuration against the specification and fills in the defaults. Its errors name keys, never values: a secret may
// have been pasted into any of them.
func Parse(data []byte, log *slog.Logger) (*Config, error) {
	if len(data) > maxConfig {
		return nil, errors.New("the configuration is larger than 1 MiB")
	}
	data, unknown, err := known(data)
	if err != nil {
		return nil, err
	}
	if err := validateConfig(data); err != nil {
		return nil, err
	}
	c := &Config{log: log, reached: &atomic.Bool{}}
	if err := json.Unmarshal(defaults(), c); err != nil {
		return nil, fmt.Errorf("the defaults of spec.json, which is built in, cannot be read: %w", err)
	}
	if err := json.Unmarshal(data, c); err != nil {
		var wrong *json.UnmarshalTypeError // it passed the specification, so that it is an integer: 1e30, or 1.0
		if errors.As(err, &wrong) {
			return nil, fmt.Errorf("the configuration is not valid: %s: must be an integer without a fraction or an exponent, and not as large as this", wrong.Field)
		}
		return nil, fmt.Errorf("the configuration cannot be read: %w", err)
	}
	c.Host = strings.Trim(c.Host, "[]")
	c.warn(unknown, log)
	if _, err := c.Dial().TLSConfig(); err != nil {
		return nil, err
	}
	if c.tunnel, err = dial.NewTunnel(c.Tunnel, func(sentence string) { log.Warn(sentence) }); err != nil {
		return nil, err
	}
	if err := c.checkShards(); err != nil {
		return nil, err
	}
	c.startingPositions, err = parseStartingGTIDs(c.StartingGTIDs, c.keyspaces())
	return c, err
}

func (c *Config) warn(unknown []string, log *slog.Logger) {
	for _, key := range unknown {
		log.Warn(fmt.Sprintf("The configuration has the unknown key %q, which is ignored.", key))
	}
	if c.TLS.Mode == dial.Disabled {
		log.Warn("TLS is switched off by " + failure.Option("TLS mode", "tls.mode") + ": the password and all rows are sent over the network unencrypted.")
	}
	if c.TimeoutSeconds < minTimeoutSeconds {
		log.Warn(fmt.Sprintf(failure.Option("Timeout (seconds)", "timeout_seconds")+" is %d; the minimum, %d, is used.", c.TimeoutSeconds, minTimeoutSeconds))
		c.TimeoutSeconds = minTimeoutSeconds
	}
	c.TimeoutSeconds = min(c.TimeoutSeconds, maxTimeoutSeconds)
}

// Dial says where the server is, and how to reach it.
func (c *Config) Dial() dial.Config {
	return dial.Config{
		Host: c.Host, MySQLPort: c.MySQLPort, GRPCPort: c.GRPCPort, TLS: c.TLS, Tunnel: c.tunnel, Reached: c.reached, Log: c.log,
	}
}

// VStream says the same for its streams.
func (c *Config) VStream() vstream.Config {
	return vstream.Config{
		Dial: c.Dial(), Auth: c.GRPCAuth, Username: c.Username, Password: c.Password,
		TabletType: c.TabletType(), Cells: strings.ReplaceAll(c.Cells, " ", ""),
	}
}

// TabletType is the type of the tablets to read from.
func (c *Config) TabletType() topodatapb.TabletType {
	switch {
	case c.UseRDOnly:
		return topodatapb.TabletType_RDONLY
	case c.UseReplica:
		return topodatapb.TabletType_REPLICA
	}
	return topodatapb.TabletType_PRIMARY
}

// Primary reports whether primaries are read.
func (c *Config) Primary() bool { return c.TabletType() == topodatapb.TabletType_PRIMARY }

// RowOptions are the user's choices that change a column's type.
func (c *Config) RowOptions() row.Options {
	return row.Options{TinyIntAsInteger: c.Options.DoNotTreatTinyIntAsBoolean}
}

// CheckpointInterval is how often progress is saved.
func (c *Config) CheckpointInterval() time.Duration {
	return time.Duration(c.CheckpointIntervalSeconds) * time.Second
}

// Timeout is how long a stream may send neither a row nor a newer position.
func (c *Config) Timeout() time.Duration { return time.Duration(c.TimeoutSeconds) * time.Second }

// Resyncs reports whether a stream whose position is lost should be copied again.
func (c *Config) Resyncs() bool { return c.InvalidPositionBehavior == Resync }
