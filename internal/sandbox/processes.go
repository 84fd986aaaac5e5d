package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

const (
	cell = "zone1"
	// firstTablet is the number of the topology's first tablet in Vitess.
	firstTablet = 100
	// maxMessage is the largest gRPC message in bytes, so that rows beyond
	// Vitess's default of 16 MiB pass.
	maxMessage = 100 << 20
)

// listeners names every port of a cluster with these tablets.
func listeners(tablets []tablet) []string {
	names := []string{
		"edge-mysql",
		"edge-grpc",
		"vtgate-mysql",
		"vtgate-grpc",
		"vtgate-web",
		"vtctld-grpc",
		"vtctld-web",
		"etcd-client",
		"etcd-peer",
	}
	for _, t := range tablets {
		names = append(names, t.listeners()...)
	}
	return names
}

// processes lists the cluster's processes by when they start: each group
// needs those before it.
func (s *Sandbox) processes() [][]process {
	var mysqlds, vttablets []process
	for _, t := range s.tablets {
		mysqlds = append(mysqlds, s.mysqld(t))
		vttablets = append(vttablets, s.vttablet(t))
	}
	return [][]process{
		append([]process{s.etcd()}, mysqlds...),
		{s.vtctld()},
		vttablets,
		{s.vtgate(), s.edge()},
	}
}

func (s *Sandbox) etcd() process {
	client, peer := "http://"+s.ports.addr("etcd-client"), "http://"+s.ports.addr("etcd-peer")
	return process{
		name: "etcd",
		args: []string{
			s.cache.path(debianRecipe, "bin", "etcd"), "--data-dir", s.data("etcd"),
			"--listen-client-urls", client, "--advertise-client-urls", client,
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=" + peer,
			"--unsafe-no-fsync",
		},
		dir:     s.data("etcd"),
		ready:   []string{s.ports.addr("etcd-client")},
		prepare: func() error { return mkdirOwned(s.data("etcd")) },
	}
}

// vitessArgs are the arguments all of Vitess's servers share, as Vitess 24
// spells them: see spell.
func (s *Sandbox) vitessArgs(program, version, listener string) []string {
	return []string{
		s.cache.path(vitessFolder(version), program),
		"--topo-implementation", "etcd2",
		"--topo-global-server-address", s.ports.addr("etcd-client"),
		"--topo-global-root", "/vitess/global",
		"--bind-address", "127.0.0.1", "--port", strconv.Itoa(s.ports[listener+"-web"]),
		"--grpc-bind-address", "127.0.0.1", "--grpc-port", strconv.Itoa(s.ports[listener+"-grpc"]),
		"--grpc-max-message-size", strconv.Itoa(maxMessage),
		"--onterm-timeout", "1s", "--onclose-timeout", "1s",
		"--logtostderr", // older ones write files
	}
}

func (s *Sandbox) vtctld() process {
	return process{
		name:  "vtctld",
		args:  append(s.vitessArgs("vtctld", VitessVersion, "vtctld"), "--cell", cell, "--service-map", "grpc-vtctl,grpc-vtctld"),
		spell: true,
		dir:   s.data(""),
		ready: []string{s.ports.addr("vtctld-grpc")},
	}
}

func (s *Sandbox) mysqld(t tablet) process {
	dir := s.data(t.mysqld())
	return process{
		name:  t.mysqld(),
		args:  []string{s.cache.path(mysqldFolder(s.VTTabletVersion), "bin", "mysqld"), "--defaults-file=" + filepath.Join(dir, "my.cnf")},
		dir:   dir,
		ready: []string{s.ports.addr(t.mysqld())},
		prepare: func() error {
			if err := s.newData(t); err != nil {
				return err
			}
			for _, left := range []string{"mysql.sock", "mysql.sock.lock"} { // by kill -9
				if err := os.Remove(filepath.Join(dir, "data", left)); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
			own := []string{"bind_address = 127.0.0.1", fmt.Sprintf("port = %d", s.ports[t.mysqld()]), fmt.Sprintf("server_id = %d", t.UID)}
			return writeFiles(dir, map[string]string{"my.cnf": mycnf(s.cache.path(debianRecipe, "root", "usr"), dir, append(own, s.mysql...)...)})
		},
	}
}

// newData gives a mysqld its data, once: the folder appears whole.
func (s *Sandbox) newData(t tablet) error {
	dir := s.data(t.mysqld())
	if exists(filepath.Join(dir, "data")) {
		return nil
	}
	for _, sub := range []string{dir, filepath.Join(dir, "tmp")} {
		if err := mkdirOwned(sub); err != nil {
			return err
		}
	}
	part := filepath.Join(dir, "data.part")
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := copyOwned(part, s.cache.path(mysqldTemplate, "data")); err != nil {
		return err
	}
	return os.Rename(part, filepath.Join(dir, "data"))
}

func (s *Sandbox) vttablet(t tablet) process {
	return process{
		name: t.vttablet(),
		args: slices.Concat(s.vitessArgs("vttablet", s.VTTabletVersion, t.vttablet()), []string{
			"--tablet-path", t.alias(), "--tablet-hostname", "127.0.0.1",
			"--init-keyspace", t.Keyspace, "--init-shard", t.Shard, "--init-tablet-type", "replica",
			"--service-map", "grpc-queryservice,grpc-tabletmanager,grpc-updatestream",
			"--db-socket", "mysql.sock", // in the working folder
			"--health-check-interval", "1s",
			"--queryserver-config-schema-reload-time", "1s",
		}, s.vttabletFlags),
		spell: true,
		dir:   filepath.Join(s.data(t.mysqld()), "data"),
		ready: []string{s.ports.addr(t.vttablet() + "-grpc")},
	}
}

func (s *Sandbox) vtgate() process {
	return process{
		name: "vtgate",
		args: append(s.vitessArgs("vtgate", s.VTGateVersion, "vtgate"),
			"--cell", cell, "--cells-to-watch", cell, "--tablet-types-to-wait", "PRIMARY",
			"--service-map", "grpc-vtgateservice",
			"--mysql-server-bind-address", "127.0.0.1", "--mysql-server-port", strconv.Itoa(s.ports["vtgate-mysql"]),
			"--mysql-auth-server-impl", "static", "--mysql-auth-server-static-file", filepath.Join(s.Dir, "vtgate-users.json"),
			"--tablet-refresh-interval", "2s",
			"--vschema-ddl-authorized-users", "%"),
		spell: true,
		dir:   s.data(""),
		ready: []string{s.PlainMySQL, s.PlainGRPC},
	}
}

func (s *Sandbox) edge() process {
	return process{
		name:  "edge",
		args:  []string{filepath.Join(s.Dir, "bin", "sandbox"), "edge", filepath.Join(s.Dir, "edge.json")},
		dir:   s.data(""),
		ready: []string{s.ports.addr("edge-mysql"), s.ports.addr("edge-grpc")},
	}
}
