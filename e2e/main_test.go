// Package e2e tests the whole program on a real Vitess, which `make test` starts; scripts are in testdata/script.
package e2e

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"source-planetscale/e2e/script"
	"source-planetscale/internal/connector"
)

func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){"source-planetscale": func() { os.Exit(connector.Main()) }})
}

// suite reports once, rather than for each test, that there is no Vitess.
type suite struct{ *testing.M }

func (s suite) Run() int {
	flag.Parse()
	if lacking := script.NoSandbox(); lacking != "" && !testing.Short() {
		fmt.Fprintln(os.Stderr, lacking)
		return 1
	}
	return s.M.Run()
}

func TestScripts(t *testing.T) {
	script.Run(t, "testdata/script", nil, func(*testscript.Env) error { return nil })
}

// testAll reports whether there is time for all tests, and for the long forms of the others.
func testAll() bool { return os.Getenv("TEST_ALL") != "" }

// long skips a test that needs minutes.
func long(t *testing.T) {
	t.Helper()
	if !testAll() {
		t.Skip("slow: set TEST_ALL=1")
	}
}

// await polls until there is no error.
func await(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	late := time.After(limit)
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-late:
			t.Fatal(err)
		}
	}
}
