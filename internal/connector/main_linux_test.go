package connector

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"source-planetscale/internal/crash"
	"source-planetscale/internal/destination"
)

// panics makes the test binary run the program. In the watched process a goroutine of a library panics with the variable's value.
const panics = "CONNECTOR_TEST_PANICS"

func TestMain(m *testing.M) {
	value, set := os.LookupEnv(panics)
	if !set {
		os.Exit(m.Run())
	}
	if os.Getenv(crash.Process) != "" {
		time.AfterFunc(0, func() { panic(errors.New(value)) })
	}
	os.Exit(Main())
}

// A panic in a library's goroutine produces a TRACE and an exit code like any other error, and its value is not printed.
func TestPanicOfALibraryHasATrace(t *testing.T) {
	const secret = "s3cr3t"
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	_, port, err := net.SplitHostPort(silent.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "config.json")
	options := strings.Replace(files["config"], `"mysql_port":1`, `"mysql_port":`+port, 1)
	if err := os.WriteFile(config, []byte(options), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"check", "discover", "position", "spec"} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], command, "--config", config)
		if command == "spec" { // runs without a watched process, so nothing panics
			cmd.Args = cmd.Args[:2]
		}
		cmd.Env = append(os.Environ(), panics+"="+secret)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		_ = cmd.Run() // the exit code is checked below
		code, said := cmd.ProcessState.ExitCode(), stdout.String()
		if command == "spec" {
			if code != 0 || !strings.Contains(said, `"SPEC"`) {
				t.Errorf("spec: exit code %d, %s", code, said)
			}
			continue
		}
		out, err := destination.Parse(&stdout)
		if err != nil || code != exitFailed || stderr.Len() > 0 || strings.Contains(said, secret) {
			t.Errorf("%s: exit code %d, %v, %s, %s", command, code, err, said, stderr.String())
			continue
		}
		e := out.Errors[0]
		if len(out.Errors) != 1 || e.FailureType != "system_error" || !strings.HasPrefix(e.Message, "The connector crashed; ") ||
			!strings.HasPrefix(e.InternalMessage, "the program panicked in source-planetscale/internal/connector.TestMain.func1 (main_linux_test.go:") {
			t.Errorf("%s: %+v", command, out.Errors)
		}
	}
}
