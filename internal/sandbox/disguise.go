package sandbox

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// disguiseRecipe changes with what installDisguise puts into its folder.
const disguiseRecipe = "mysqld-disguised-1"

// firstWithMySQL9 is the first major version of Vitess that knows MySQL 9. Earlier ones mistake it for 5.7, and cannot make replicas of
// it.
const firstWithMySQL9 = 23

// mysqldFolder is the folder in the cache with the bin/mysqld for vttablets of
// that version.
func mysqldFolder(vttablet string) string {
	if major(vttablet) < firstWithMySQL9 {
		return disguiseRecipe
	}
	return debianRecipe
}

var mysqlVersion = regexp.MustCompile(`Ver ([0-9]+\.[0-9]+\.[0-9]+)`)

// installDisguise makes a copy of mysqld that reports to be MySQL 8.4, which no Debian has. Otherwise it is the same server.
func (c cache) installDisguise(ctx context.Context, debian string) error {
	_, err := c.install(disguiseRecipe, func(dir string) error {
		plain := filepath.Join(debian, "bin", "mysqld")
		version, err := versionOf(ctx, plain)
		if err != nil {
			return err
		}
		program := filepath.Join(debian, "root", "usr", "sbin", "mysqld")
		raw, err := os.ReadFile(program)
		if err != nil {
			return err
		}
		pretended, err := pretend(version)
		if err != nil {
			return err
		}
		raw = bytes.ReplaceAll(raw, []byte(version), []byte(pretended))
		if err := os.WriteFile(filepath.Join(dir, "mysqld"), raw, 0o755); err != nil {
			return err
		}
		wrapper, err := os.ReadFile(plain)
		if err != nil {
			return err
		}
		wrapper = bytes.Replace(wrapper, []byte(quote(program)), []byte(`"${0%/*}/../mysqld"`), 1)
		disguised := filepath.Join(dir, "bin", "mysqld")
		if err := os.Mkdir(filepath.Dir(disguised), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(disguised, wrapper, 0o755); err != nil {
			return err
		}
		if version, err = versionOf(ctx, disguised); err == nil && version != pretended {
			err = fmt.Errorf("the copy of mysqld says that it is %s, not %s", version, pretended)
		}
		return err
	})
	return err
}

// versionOf queries a mysqld's version.
func versionOf(ctx context.Context, mysqld string) (string, error) {
	said, err := run(ctx, "", nil, mysqld, "--version")
	if err != nil {
		return "", err
	}
	version := mysqlVersion.FindSubmatch(said)
	if version == nil {
		return "", fmt.Errorf("mysqld says no version: %s", said)
	}
	return string(version[1]), nil
}

// pretend returns a version 8.4 of the same length, which replaces it in a program.
func pretend(version string) (string, error) {
	const series = "8.4."
	if len(version) <= len(series) {
		return "", fmt.Errorf("MySQL %s is too short a version to be written over with one of 8.4", version)
	}
	return series + strings.Repeat("9", len(version)-len(series)), nil
}
