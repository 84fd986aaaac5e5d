package sandbox

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProcessNames(t *testing.T) {
	s := newSandbox("/sandbox", record{Topology: Topology{
		{Name: "commerce", Shards: []Shard{{Name: "-", Tablets: 2}}},
		{Name: "customer", Shards: []Shard{{Name: "-80", Tablets: 1}}},
	}})
	want := []string{
		"etcd", "mysqld-commerce---0", "mysqld-commerce---1", "mysqld-customer--80-0", "vtctld",
		"vttablet-commerce---0", "vttablet-commerce---1", "vttablet-customer--80-0", "vtgate", "edge",
	}
	if diff := cmp.Diff(want, s.Processes()); diff != "" {
		t.Error(diff)
	}
}

func TestEveryProcessHasPortsOfItsOwn(t *testing.T) {
	chosen, release, err := choosePorts(t.Context(), t.TempDir(), listeners(Default().tablets()))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	s := newSandbox(t.TempDir(), record{Topology: Default(), Ports: chosen})
	taken := map[string]string{}
	for _, group := range s.processes() {
		for _, p := range group {
			for _, addr := range p.ready {
				if strings.HasSuffix(addr, ":0") {
					t.Errorf("%s has no port", p.name)
				}
				if other, ok := taken[addr]; ok {
					t.Errorf("%s and %s have the same address %s", p.name, other, addr)
				}
				taken[addr] = p.name
			}
		}
	}
}

func TestSandboxesAtOnceGetOtherPorts(t *testing.T) {
	dir, names := t.TempDir(), []string{"vtgate"}
	seen := map[int]bool{}
	for range 20 {
		chosen, release, err := choosePorts(t.Context(), dir, names)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if seen[chosen["vtgate"]] {
			t.Fatalf("port %d was assigned twice", chosen["vtgate"])
		}
		seen[chosen["vtgate"]] = true
	}
}

func TestAddedTabletsDifferFromAll(t *testing.T) {
	chosen, release, err := choosePorts(t.Context(), t.TempDir(), listeners(Default().tablets()))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	r := record{Topology: Default(), Ports: chosen}
	r.Tablets = append(r.tablets(), r.newTablets("customer", "-80", 2)...)
	r.Tablets = append(r.Tablets, r.newTablets("customer", "-40", 1)...)
	want := []tablet{
		{"commerce", "-", 0, 100},
		{"customer", "-80", 0, 101},
		{"customer", "80-", 0, 102},
		{"customer", "-80", 1, 103},
		{"customer", "-80", 2, 104},
		{"customer", "-40", 0, 105},
	}
	if diff := cmp.Diff(want, r.tablets()); diff != "" {
		t.Error(diff)
	}
	if err := r.addPorts(t.Context(), r.Tablets[3:]); err != nil {
		t.Fatal(err)
	}
	byPort := map[int]string{}
	for _, name := range listeners(r.tablets()) {
		if other, taken := byPort[r.Ports[name]]; taken || r.Ports[name] == 0 {
			t.Errorf("%s has the port %d, which %q has, too", name, r.Ports[name], other)
		}
		byPort[r.Ports[name]] = name
	}
}

func TestShellEnv(t *testing.T) {
	s := newSandbox("/a dir/it's", record{Username: "sandbox", Password: newPassword()})
	out, err := exec.Command("sh", "-c", s.ShellEnv()+`printf '%s\n' "$SANDBOX_PASSWORD" "$SANDBOX_CA"`).Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.Password+"\n/a dir/it's/ca.pem\n", string(out)); diff != "" {
		t.Error(diff)
	}
}

func TestOpenWithoutSandbox(t *testing.T) {
	if _, err := Open(t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

func TestUpRefusesAnotherTopology(t *testing.T) {
	t.Setenv(CacheVariable, t.TempDir())
	dir := t.TempDir()
	if err := (record{Topology: Default(), Complete: true}).save(dir); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // so that it ends soon even if it is not refused
	_, err := Up(ctx, dir, Default()[:1], os.Stderr)
	if err == nil || !strings.Contains(err.Error(), "another topology") {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	if err := makeCertificates(dir); err != nil {
		t.Fatal(err)
	}
	authority, server := readCertificate(t, filepath.Join(dir, "ca.pem")), readCertificate(t, filepath.Join(dir, "edge.pem"))
	pool := x509.NewCertPool()
	pool.AddCert(authority)
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		if _, err := server.Verify(x509.VerifyOptions{Roots: pool, DNSName: name}); err != nil {
			t.Errorf("for %s: %v", name, err)
		}
	}
	if _, err := server.Verify(x509.VerifyOptions{Roots: pool, DNSName: "example.com"}); err == nil {
		t.Error("the certificate is valid for any name")
	}
}

func readCertificate(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(raw)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}
