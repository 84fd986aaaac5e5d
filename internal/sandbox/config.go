package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"source-planetscale/internal/sandbox/edge"
)

// command is the program that has the subcommand edge.
const command = "source-planetscale/cmd/sandbox"

// writeConfigs writes the files that hold ports and passwords.
func (s *Sandbox) writeConfigs() error {
	authority, err := os.ReadFile(s.CA)
	if err != nil {
		return err
	}
	type object = map[string]any
	hosted := func(database string) object {
		return object{
			"host": s.Host, "database": database, "username": s.Username, "password": s.Password,
			"mysql_port": s.MySQLPort, "grpc_port": s.GRPCPort,
			"tls": object{"mode": "verify_identity", "ca_certificate": string(authority)},
		}
	}
	plain := object{
		"host": "127.0.0.1", "database": "customer", "username": "root", "password": "",
		"mysql_port": s.ports["vtgate-mysql"], "grpc_port": s.ports["vtgate-grpc"], "grpc_auth": "none",
		"tls": object{"mode": "disabled"},
	}
	user := func(name, password string) []object { return []object{{"Password": password, "UserData": name}} }
	return errors.Join(
		writeJSON(s.ConfigUnsharded, hosted("commerce")),
		writeJSON(s.ConfigSharded, hosted("customer")),
		writeJSON(s.ConfigPlain, plain),
		writeJSON(filepath.Join(s.Dir, "vtgate-users.json"), object{"root": user("root", ""), s.Username: user(s.Username, s.Password)}),
		writeJSON(filepath.Join(s.Dir, "edge.json"), edge.Config{
			Username: s.Username, Password: s.Password,
			Certificate: filepath.Join(s.Dir, "edge.pem"), Key: filepath.Join(s.Dir, "edge.key"),
			MySQL: s.ports.addr("edge-mysql"), GRPC: s.ports.addr("edge-grpc"),
			PlainMySQL: s.PlainMySQL, PlainGRPC: s.PlainGRPC,
			MaxMessage: maxMessage,
		}),
	)
}

func writeJSON(path string, value any) error {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o600)
}

// buildEdge puts the program of the edge into the folder: a copy of this one,
// or built when this one is a test.
func (s *Sandbox) buildEdge(ctx context.Context) error {
	to := filepath.Join(s.Dir, "bin", "sandbox")
	if _, ok := s.running("edge"); ok {
		return nil
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Path == command {
		return copySelf(to)
	}
	if _, err := run(ctx, "", nil, "go", "build", "-o", to, command); err != nil {
		return fmt.Errorf("building the sandbox's edge (in a folder of this module): %w", err)
	}
	return nil
}

func copySelf(to string) error {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer self.Close()
	part, err := os.OpenFile(to+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(part, self)
	return errors.Join(err, part.Close(), os.Rename(part.Name(), to))
}
