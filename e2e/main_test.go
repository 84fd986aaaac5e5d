// Package e2e tests the whole program on a real Vitess, which `make test` starts; scripts are in testdata/script.
package e2e

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"source-planetscale/e2e/script"
	"source-planetscale/internal/connector"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"source-planetscale": func() { os.Exit(connector.Main()) }})
}

func TestScripts(t *testing.T) {
	script.Run(t, "testdata/script", nil, func(*testscript.Env) error { return nil })
}
