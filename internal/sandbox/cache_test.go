package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
)

func TestInstallOnceForAll(t *testing.T) {
	var said strings.Builder
	var mu sync.Mutex
	c := cache{dir: t.TempDir(), progress: writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return said.Write(p)
	})}
	var fills atomic.Int32
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			dir, err := c.install("tool", func(dir string) error {
				fills.Add(1)
				return writeFiles(dir, map[string]string{"VERSIONS": "tool v1 sha256:abc\n", "program": "x"})
			})
			if err == nil && !exists(filepath.Join(dir, "program")) {
				return errors.New("the folder is incomplete")
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := fills.Load(); got != 1 {
		t.Errorf("filled %d times, want 1", got)
	}
	if got := strings.Count(said.String(), "tool v1 sha256:abc"); got != 1 {
		t.Errorf("the versions were reported %d times, want 1", got)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestFailedInstallLeavesNothing(t *testing.T) {
	c := cache{dir: t.TempDir(), progress: writerFunc(func(p []byte) (int, error) { return len(p), nil })}
	broken := errors.New("broken")
	_, err := c.install("tool", func(dir string) error {
		return errors.Join(writeFiles(dir, map[string]string{"half": ""}), broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the reason", err)
	}
	if exists(c.path("tool")) || exists(c.path("tool.part")) {
		t.Error("a half-installed folder remains")
	}
}

func TestMissingAptIsExplained(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := checkDebian()
	if err == nil || !strings.Contains(err.Error(), "apt-get") || !strings.Contains(err.Error(), "Debian") {
		t.Errorf("got %v, want an error that names apt-get and Debian", err)
	}
}

func TestNeededPackages(t *testing.T) {
	const plan = `Reading package lists...
Inst gcc-16-base (16.2.0-4 Debian:unstable [amd64])
Inst libc6 (2.43-7 Debian:unstable [amd64]) []
Inst perl-modules-5.42 (5.42.3-1 Debian:unstable [all])
Inst libsystemd0 (262.1-1 Debian:unstable [amd64])
Inst mysql-server-core (9.7.4-2 Debian:unstable [amd64])
Conf libc6 (2.43-7 Debian:unstable [amd64])
`
	if got, want := strings.Join(neededPackages(plan), " "), "libc6 libsystemd0 mysql-server-core"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestVitessVersionIsTheModules(t *testing.T) {
	raw, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), "\tvitess.io/vitess "+moduleVersion(VitessVersion)+"\n") {
		t.Errorf("go.mod does not require Vitess %s, the version of the sandbox", VitessVersion)
	}
}
