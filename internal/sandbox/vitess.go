package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// VitessVersion is the Vitess the sandbox runs, the one in go.mod.
const VitessVersion = "v0.24.3"

// vitessPrograms are built in this order; the first build compiles what all
// of them share.
var vitessPrograms = []struct{ name, expected string }{
	{"vtgate", "about 2 minutes"},
	{"vttablet", "about 2 minutes"},
	{"vtctld", "about 20 seconds"},
	{"vtctldclient", "about 20 seconds"},
}

// installVitess builds Vitess's programs from its Go module: `go install`
// refuses them because that go.mod has replace directives.
func (c cache) installVitess(ctx context.Context) (string, error) {
	return c.install("vitess-"+VitessVersion, func(dir string) error {
		var module struct{ Dir, Sum string }
		err := c.step("downloading the source of Vitess "+VitessVersion, "about 10 seconds", func() error {
			out, err := run(ctx, dir, []string{"GOWORK=off"}, "go", "mod", "download", "-json", "vitess.io/vitess@"+VitessVersion)
			if err != nil {
				return err
			}
			return json.Unmarshal(out, &module)
		})
		if err != nil {
			return err
		}
		// The users Vitess expects in every mysqld.
		users, err := os.ReadFile(filepath.Join(module.Dir, "config", "init_db.sql"))
		if err != nil {
			return err
		}
		versions, err := c.buildPrograms(ctx, module.Dir, dir)
		if err != nil {
			return err
		}
		return writeFiles(dir, map[string]string{
			"init_db.sql": string(users),
			"VERSIONS":    fmt.Sprintf("vitess.io/vitess %s %s\n%s", VitessVersion, module.Sum, versions),
		})
	})
}

// buildPrograms returns a line for each program with its checksum.
func (c cache) buildPrograms(ctx context.Context, source, dir string) (string, error) {
	var versions strings.Builder
	for i, program := range vitessPrograms {
		what := fmt.Sprintf("building %s (%d of %d)", program.name, i+1, len(vitessPrograms))
		to := filepath.Join(dir, program.name)
		if err := c.step(what, program.expected+" on 2 cores", func() error { return buildVitess(ctx, source, program.name, to) }); err != nil {
			return "", err
		}
		sum, err := checksum(to)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&versions, "%s %s sha256:%s\n", program.name, VitessVersion, sum)
	}
	return versions.String(), nil
}

func buildVitess(ctx context.Context, source, name, to string) error {
	_, err := run(ctx, source, []string{"CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly"},
		"go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", to, "./go/cmd/"+name)
	return err
}

func checksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", hash.Sum(nil)), nil
}

// writeFiles writes each file into the folder, for all to read.
func writeFiles(dir string, files map[string]string) error {
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
