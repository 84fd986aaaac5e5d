// Package sandbox runs a real Vitess cluster on this machine, for tests and
// by hand: etcd, vtctld, vtgate and a vttablet with a mysqld of its own per
// shard, as plain processes that outlive who started them. It needs Linux,
// Go, apt-get and dpkg-deb, no container and no root.
//
// A sandbox has two endpoints. The edge looks like the hosted service: gRPC and MySQL over TLS, with a user and a password. Behind it is
// the plain vtgate, as in a self-hosted Vitess: no TLS, no password.
package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
)

const host = "localhost"

// Sandbox is a cluster in a folder, whether it runs or not.
type Sandbox struct {
	Dir string // absolute

	// The hosted service's endpoint: TLS with the authority in the file CA.
	Host                string
	MySQLPort, GRPCPort int
	Username, Password  string
	CA                  string

	// The self-hosted endpoint, host:port: MySQL as root without password, gRPC without login.
	PlainMySQL, PlainGRPC string

	// VTCtld is the address of vtctld, VTCtldClient the program that talks to
	// it, MySQL a mysql client.
	VTCtld, VTCtldClient, MySQL string

	// Ready source.json files: database commerce and database customer of the
	// hosted face, and customer of the self-hosted one.
	ConfigUnsharded, ConfigSharded, ConfigPlain string

	// VTGateVersion and VTTabletVersion are Vitess's, such as 24.0.4.
	VTGateVersion, VTTabletVersion string

	topology Topology
	tablets  []tablet
	ports    ports
	// vttabletFlags are further flags of each vttablet.
	vttabletFlags []string
	mysql         []string // further lines for each mysqld's configuration
	cache         cache
}

// record is what is stored in the folder, in sandbox.json.
type record struct {
	Topology Topology `json:"topology"`
	// Tablets are the topology's, those added since and without those removed.
	Tablets  []tablet `json:"tablets"`
	Username string   `json:"username"`
	Password string   `json:"password"`
	Ports    ports    `json:"ports"`
	Cache    string   `json:"cache"`
	// VTGate and VTTablet are versions of Vitess other than the usual.
	VTGate   string `json:"vtgate,omitempty"`
	VTTablet string `json:"vttablet,omitempty"`
	// VTTabletFlags are further flags of each vttablet.
	VTTabletFlags []string `json:"vttablet_flags,omitempty"`
	// MySQL are further lines for the configuration of each mysqld.
	MySQL []string `json:"mysql,omitempty"`
	// Complete is set once the cluster has been set up to its end.
	Complete bool `json:"complete"`
}

// Open returns the sandbox that Up made in the folder. The error is
// fs.ErrNotExist when there is none.
func Open(dir string) (*Sandbox, error) {
	s, _, err := open(dir)
	return s, err
}

func open(dir string) (*Sandbox, record, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, record{}, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, "sandbox.json"))
	if err != nil {
		return nil, record{}, fmt.Errorf("no sandbox in %s (`sandbox up` makes one): %w", dir, err)
	}
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, record{}, fmt.Errorf("reading sandbox.json in %s (`sandbox down --purge` removes it): %w", dir, err)
	}
	return newSandbox(dir, r), r, nil
}

func newSandbox(dir string, r record) *Sandbox {
	in := func(name string) string { return filepath.Join(dir, name) }
	c := cache{dir: r.Cache, progress: io.Discard}
	return &Sandbox{
		Dir:  dir,
		Host: host, MySQLPort: r.Ports["edge-mysql"], GRPCPort: r.Ports["edge-grpc"],
		Username: r.Username, Password: r.Password, CA: in("ca.pem"),
		PlainMySQL: r.Ports.addr("vtgate-mysql"), PlainGRPC: r.Ports.addr("vtgate-grpc"),
		VTCtld: r.Ports.addr("vtctld-grpc"), VTCtldClient: c.path(vitessFolder(VitessVersion), "vtctldclient"),
		MySQL:           c.path(debianRecipe, "bin", "mysql"),
		ConfigUnsharded: in("source-unsharded.json"), ConfigSharded: in("source-sharded.json"), ConfigPlain: in("source-plain.json"),
		VTGateVersion: r.vtgate(), VTTabletVersion: r.vttablet(),
		topology: r.Topology, tablets: r.tablets(), ports: r.Ports, vttabletFlags: r.VTTabletFlags, mysql: r.MySQL, cache: c,
	}
}

func (s *Sandbox) data(name string) string { return filepath.Join(s.Dir, "data", name) }

// Env returns KEY=value for each fact that scripts need, not quoted, as
// exec.Cmd.Env takes them.
func (s *Sandbox) Env() []string {
	env := []string{
		"SANDBOX_HOST=" + s.Host,
		fmt.Sprintf("SANDBOX_MYSQL_PORT=%d", s.MySQLPort),
		fmt.Sprintf("SANDBOX_GRPC_PORT=%d", s.GRPCPort),
		"SANDBOX_USERNAME=" + s.Username,
		"SANDBOX_PASSWORD=" + s.Password,
		"SANDBOX_CA=" + s.CA,
		"SANDBOX_PLAIN_MYSQL=" + s.PlainMySQL,
		"SANDBOX_PLAIN_GRPC=" + s.PlainGRPC,
		"SANDBOX_VTCTLD=" + s.VTCtld,
		"SANDBOX_VTCTLDCLIENT=" + s.VTCtldClient,
		"SANDBOX_MYSQL=" + s.MySQL,
		"SANDBOX_CONFIG_UNSHARDED=" + s.ConfigUnsharded,
		"SANDBOX_CONFIG_SHARDED=" + s.ConfigSharded,
		"SANDBOX_CONFIG_PLAIN=" + s.ConfigPlain,
		VTGateVariable + "=" + s.VTGateVersion,
		VTTabletVariable + "=" + s.VTTabletVersion,
	}
	for _, t := range s.tablets {
		env = append(env, t.env()+"="+s.dsn(t).FormatDSN())
	}
	return env
}

// ShellEnv returns Env as lines a POSIX shell can read.
func (s *Sandbox) ShellEnv() string {
	var lines strings.Builder
	for _, pair := range s.Env() {
		key, value, _ := strings.Cut(pair, "=")
		fmt.Fprintf(&lines, "%s=%s\n", key, quote(value))
	}
	return lines.String()
}

// Processes returns the names of the cluster's processes in the order of
// their start.
func (s *Sandbox) Processes() []string {
	var names []string
	for _, p := range slices.Concat(s.processes()...) {
		names = append(names, p.name)
	}
	return names
}

func (s *Sandbox) process(name string) (process, error) {
	for _, p := range slices.Concat(s.processes()...) {
		if p.name == name {
			return p, nil
		}
	}
	return process{}, fmt.Errorf("the sandbox has no process %s; it has %s", name, strings.Join(s.Processes(), ", "))
}

// Kill ends a process as kill -9 does and returns when it is gone. It is no
// error when the process was not running.
func (s *Sandbox) Kill(ctx context.Context, name string) error {
	if _, err := s.process(name); err != nil {
		return err
	}
	return s.stop(ctx, syscall.SIGKILL, name)
}

// Start brings back one process that was killed and returns when it listens. It is not an error if the process is running.
func (s *Sandbox) Start(ctx context.Context, name string) error {
	p, err := s.process(name)
	if err != nil {
		return err
	}
	release, err := s.lock(func() {})
	if err != nil {
		return err
	}
	defer release()
	return s.startAll(ctx, p)
}

// Down ends all processes; the data stays for the next Up.
func (s *Sandbox) Down(ctx context.Context) error {
	release, err := s.lock(func() {})
	if err != nil {
		return err
	}
	defer release()
	// The last started go first, so that each finds what it signs off from.
	groups := s.processes()
	for _, group := range slices.Backward(groups) {
		var names []string
		for _, p := range group {
			names = append(names, p.name)
		}
		if err := s.stop(ctx, syscall.SIGTERM, names...); err != nil {
			return err
		}
	}
	return nil
}

// Purge is Down and removes the folder. It is no error when that is gone.
func (s *Sandbox) Purge(ctx context.Context) error {
	if !exists(s.Dir) {
		return nil
	}
	if err := s.Down(ctx); err != nil {
		return err
	}
	return os.RemoveAll(s.Dir)
}

// lock keeps two commands from changing the folder's processes at the same
// time.
func (s *Sandbox) lock(waiting func()) (release func(), err error) {
	return lock(filepath.Join(s.Dir, "lock"), waiting)
}

// tablets are those of the topology while none were added or removed.
func (r record) tablets() []tablet {
	if r.Tablets == nil {
		return r.Topology.tablets()
	}
	return r.Tablets
}

func (r record) save(dir string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	part := filepath.Join(dir, "sandbox.json.part")
	if err := os.WriteFile(part, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(part, filepath.Join(dir, "sandbox.json"))
}

func sameTopology(a, b Topology) bool { return reflect.DeepEqual(a, b) }

func notFound(err error) bool { return errors.Is(err, fs.ErrNotExist) }
