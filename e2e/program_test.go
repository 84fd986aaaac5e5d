package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestProgramIsSmall builds the program as `make build` does: platforms pull it for every sync on a new node.
func TestProgramIsSmall(t *testing.T) {
	const most = 25_000_000
	info, err := os.Stat(plainConnector(t))
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() >= most {
		t.Errorf("the program has %d bytes, and should have less than %d: check what a new import adds", info.Size(), most)
	}
}

// plainConnector builds the connector as it is shipped.
func plainConnector(t *testing.T) string {
	t.Helper()
	return builtConnector(t, os.Getenv("GOFLAGS"))
}

func builtConnector(t *testing.T, goflags string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plain")
	command := exec.Command("make", "--silent", "--directory=..", "build", "PROGRAM="+path)
	command.Env = append(os.Environ(), "GOFLAGS="+goflags)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}
