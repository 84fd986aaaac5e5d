package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// unneededSource are files of Vitess's source that the sandbox builds without:
// plugins for clouds, other topologies and tracing, which import half of all
// packages, and a check that stops Vitess 22 and 23 from being built by newer
// Gos than theirs.
var unneededSource = []string{
	"go/trace/plugin_*.go",
	"go/cmd/*/cli/plugin_azblob*.go",
	"go/cmd/*/cli/plugin_ceph*.go",
	"go/cmd/*/cli/plugin_consultopo.go",
	"go/cmd/*/cli/plugin_gcs*.go",
	"go/cmd/*/cli/plugin_opentracing.go",
	"go/cmd/*/cli/plugin_opentsdb.go",
	"go/cmd/*/cli/plugin_s3*.go",
	"go/cmd/*/cli/plugin_statsd.go",
	"go/cmd/*/cli/plugin_zk2topo.go",
	"go/hack/ensure_swiss_map.go",
}

// vitessPrograms are what is built of a version. Of another one than the usual
// only what rows pass: the usual vtctld manages it, too.
func vitessPrograms(version string) []string {
	programs := []string{"vtgate", "vttablet"}
	if version == VitessVersion {
		programs = append(programs, "vtctld", "vtctldclient")
	}
	return programs
}

// installVitess builds Vitess's programs from its Go module: `go install`
// refuses them because that go.mod has replace directives.
func (c cache) installVitess(ctx context.Context, version string) (string, error) {
	return c.install(vitessFolder(version), func(dir string) error {
		var module struct{ Dir, Version, Sum string }
		err := c.step("downloading the source of Vitess "+version, "about 10 seconds", func() error {
			out, err := run(ctx, dir, []string{"GOWORK=off"}, "go", "mod", "download", "-json", "vitess.io/vitess@"+moduleVersion(version))
			if err != nil {
				return err
			}
			return json.Unmarshal(out, &module)
		})
		if err != nil {
			return err
		}
		source, programs := filepath.Join(dir, "source"), vitessPrograms(version)
		what := fmt.Sprintf("building Vitess %s (%s)", version, strings.Join(programs, ", "))
		err = c.step(what, "about 2 minutes on 2 cores", func() error { return buildVitess(ctx, module.Dir, source, dir, programs) })
		if err != nil {
			return err
		}
		users, err := os.ReadFile(filepath.Join(source, "config", "init_db.sql"))
		if err != nil {
			return err
		}
		files := map[string]string{"init_db.sql": string(users), "VERSIONS": fmt.Sprintf("vitess.io/vitess %s %s\n", module.Version, module.Sum)}
		for _, program := range programs {
			if err := describeProgram(ctx, dir, program, files); err != nil {
				return err
			}
		}
		return errors.Join(writeFiles(dir, files), os.RemoveAll(source))
	})
}

// buildVitess builds in a copy of the module: Go allows no changes of those in
// its cache.
func buildVitess(ctx context.Context, module, source, dir string, programs []string) error {
	if err := os.CopyFS(source, os.DirFS(module)); err != nil {
		return fmt.Errorf("copying the source of Vitess: %w", err)
	}
	for _, pattern := range unneededSource {
		files, err := filepath.Glob(filepath.Join(source, pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := os.Remove(file); err != nil {
				return err
			}
		}
	}
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", dir + "/"}
	for _, program := range programs {
		args = append(args, "./go/cmd/"+program)
	}
	_, err := run(ctx, source, []string{"CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly"}, "go", args...)
	return err
}

// describeProgram adds to files what must be known about a program: its line in VERSIONS, and which flags it has.
func describeProgram(ctx context.Context, dir, program string, files map[string]string) error {
	path := filepath.Join(dir, program)
	sum, err := checksum(path)
	if err != nil {
		return err
	}
	files["VERSIONS"] += fmt.Sprintf("%s sha256:%s\n", program, sum)
	help, err := run(ctx, "", nil, path, "--help")
	if err != nil {
		return err
	}
	files[program+flagsSuffix] = strings.Join(flagNames(string(help)), "\n") + "\n"
	return nil
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
