package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// debianRecipe changes with what installDebian puts into its folder.
const debianRecipe = "debian-1"

const (
	debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
	debianMirror  = "http://deb.debian.org/debian"
)

// debianPackages are what the sandbox runs. Only Debian's sid has a MySQL
// server.
var debianPackages = []string{"mysql-server-core", "mysql-client-core", "etcd-server"}

// debianUnneeded are dependencies (by the start of their names) that none of
// the three programs loads: the scripts and services around them.
var debianUnneeded = []string{
	"perl", "libperl", "gcc-", "libc-gconv", "libdb5", "libgdbm",
	"systemd", "libsystemd-shared", "libmount", "libblkid", "libselinux", "libpcre2",
}

// installDebian unpacks MySQL and etcd from Debian sid, with sid's own libc,
// into a private folder; the system stays as it is. apt checks the archive's
// signature and each package's checksum.
func (c cache) installDebian(ctx context.Context) (string, error) {
	return c.install(debianRecipe, func(dir string) error {
		if err := checkDebian(); err != nil {
			return err
		}
		apt, err := newApt(dir)
		if err != nil {
			return err
		}
		root := filepath.Join(dir, "root")
		err = c.step("installing MySQL and etcd from Debian sid into the cache", "about 15 seconds", func() error {
			return apt.unpack(ctx, root)
		})
		if err != nil {
			return err
		}
		return errors.Join(os.RemoveAll(apt.dir), c.writeWrappers(dir))
	})
}

func checkDebian() error {
	for _, program := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("the sandbox takes MySQL and etcd from Debian's packages and needs %s: run it on Debian or Ubuntu, or in a "+
				"container of one (%w)", program, err)
		}
	}
	if !exists(debianKeyring) {
		return fmt.Errorf("%s is missing, by which Debian's packages are verified: install the package debian-archive-keyring", debianKeyring)
	}
	return nil
}

// apt is an apt state of our own, with no package installed and sid the only
// source.
type apt struct{ dir string }

func newApt(dir string) (apt, error) {
	a := apt{dir: filepath.Join(dir, "apt")}
	for _, sub := range []string{"lists/partial", "archives/partial", "debs"} {
		if err := os.MkdirAll(filepath.Join(a.dir, sub), 0o755); err != nil {
			return apt{}, err
		}
	}
	config := fmt.Sprintf(`Dir::Etc::sourcelist "%[1]s/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "%[1]s/lists";
Dir::State::status "%[1]s/status";
Dir::Cache "%[1]s";
APT::Sandbox::User ""; // the user _apt may not enter our folder
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
`, a.dir)
	return a, writeFiles(a.dir, map[string]string{
		"apt.conf":     config,
		"status":       "",
		"sources.list": fmt.Sprintf("deb [signed-by=%s] %s sid main\n", debianKeyring, debianMirror),
	})
}

func (a apt) get(ctx context.Context, args ...string) ([]byte, error) {
	args = append([]string{"--config-file", filepath.Join(a.dir, "apt.conf")}, args...)
	return run(ctx, filepath.Join(a.dir, "debs"), []string{"LC_ALL=C"}, "apt-get", args...)
}

// unpack downloads what is needed into root and writes VERSIONS next to it.
func (a apt) unpack(ctx context.Context, root string) error {
	if _, err := a.get(ctx, "update"); err != nil {
		return err
	}
	plan, err := a.get(ctx, append([]string{"-s", "--no-install-recommends", "install"}, debianPackages...)...)
	if err != nil {
		return err
	}
	if _, err := a.get(ctx, append([]string{"download"}, neededPackages(string(plan))...)...); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(a.dir, "debs", "*.deb"))
	if err != nil {
		return err
	}
	var versions strings.Builder
	for _, deb := range debs {
		if _, err := run(ctx, "", nil, "dpkg-deb", "-x", deb, root); err != nil {
			return err
		}
		sum, err := checksum(deb)
		if err != nil {
			return err
		}
		fmt.Fprintf(&versions, "%s sha256:%s\n", filepath.Base(deb), sum)
	}
	return writeFiles(filepath.Dir(root), map[string]string{"VERSIONS": versions.String()})
}

// neededPackages reads the names from the "Inst name (version …" lines of an
// apt-get simulation.
func neededPackages(plan string) []string {
	var names []string
	for line := range strings.Lines(plan) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "Inst" {
			continue
		}
		unneeded := slices.ContainsFunc(debianUnneeded, func(prefix string) bool { return strings.HasPrefix(fields[1], prefix) })
		if !unneeded {
			names = append(names, fields[1])
		}
	}
	return names
}

// writeWrappers makes bin/mysqld, bin/mysql and bin/etcd, which run the
// programs with the private libraries instead of the system's.
func (c cache) writeWrappers(dir string) error {
	loaders, err := filepath.Glob(filepath.Join(dir, "root", "usr", "lib", "*", "ld-linux-*.so.*"))
	if err != nil || len(loaders) != 1 {
		return errors.Join(fmt.Errorf("found %d program loaders in Debian's libc6, want 1", len(loaders)), err)
	}
	prefix := filepath.Join(c.path(debianRecipe), "root", "usr")
	triplet := filepath.Base(filepath.Dir(loaders[0]))
	libraries := filepath.Join(prefix, "lib", triplet)
	wrapper := func(program string, args ...string) string {
		command := []string{
			"exec",
			quote(filepath.Join(libraries, filepath.Base(loaders[0]))),
			"--library-path",
			quote(libraries),
			quote(filepath.Join(prefix, program)),
		}
		for _, arg := range args {
			command = append(command, quote(arg))
		}
		return "#!/bin/sh\n" + strings.Join(command, " ") + ` "$@"` + "\n"
	}
	// The client finds mysql_native_password, vtgate's login, among its
	// plugins; options of the machine's own MySQL do not concern it.
	scripts := map[string]string{
		"mysqld": wrapper("sbin/mysqld"),
		"mysql":  wrapper("bin/mysql", "--no-defaults", "--plugin-dir="+filepath.Join(prefix, "lib/mysql/plugin")),
		"etcd":   wrapper("bin/etcd"),
	}
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// quote makes one word of a POSIX shell.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
