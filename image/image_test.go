// Package image tests the image, and the metadata for the registry and the platform.
package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"source-planetscale/e2e/script"
	"source-planetscale/internal/connector"
)

// imageVariable names the image to test.
const imageVariable = "SOURCE_PLANETSCALE_IMAGE"

// TestMain defines the scripts' command source-planetscale, which runs the image.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"source-planetscale": func() { os.Exit(runInImage(os.Getenv(imageVariable), os.Args[1:])) }})
}

// asThePlatform are the limits under which Airbyte runs a connector, and stricter ones: nothing but /source can be written.
var asThePlatform = []string{
	"--user=1000:1000", "--cap-drop=all", "--security-opt=no-new-privileges", "--read-only", "--read-only-tmpfs=false",
	"--memory=2g", "--network=host",
}

// platformScript starts the connector as the platform does: by eval of AIRBYTE_ENTRYPOINT, both outputs into FIFOs, no stdin.
const platformScript = `
cat /pipes/out & cat /pipes/err >&2 &
eval "$AIRBYTE_ENTRYPOINT $*" <&- >/pipes/out 2>/pipes/err
code=$?
wait
exit $code`

// runInImage runs the connector's image on the files of the working directory, and returns the exit code.
func runInImage(image string, args []string) int {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	pipes, err := makePipes(dir)
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(pipes)
	mounts := []string{"--volume=" + dir + ":/source", "--workdir=/source", "--volume=" + pipes + ":/pipes"}
	run := []string{"run", "--rm", "--entrypoint=sh"}
	cmd := podman(slices.Concat(run, asThePlatform, mounts, []string{image, "-c", platformScript, "sh"}, args)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		panic(err)
	}
	return cmd.ProcessState.ExitCode()
}

// makePipes makes the FIFOs, and the files of dir readable by the user in the container.
func makePipes(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		err = errors.Join(err, os.Chmod(file, 0o644))
	}
	pipes, mkdirErr := os.MkdirTemp("", "pipes")
	err = errors.Join(err, mkdirErr, os.Chmod(pipes, 0o755))
	for _, name := range []string{"out", "err"} {
		file := filepath.Join(pipes, name)
		err = errors.Join(err, unix.Mkfifo(file, 0o666), os.Chmod(file, 0o666))
	}
	return pipes, err
}

func podman(args ...string) *exec.Cmd { return exec.Command("podman", args...) }

// TestImageScripts runs the scripts about spec, check, discover and read with the image, as e2e's TestScripts does with the program.
func TestImageScripts(t *testing.T) {
	image := requireImage(t)
	names := []string{"usage", "check", "discover", "full_refresh", "incremental_sharded", "former_connector"}
	script.Run(t, "../e2e/testdata/script", names, func(e *testscript.Env) error {
		e.Setenv(imageVariable, image)
		e.Setenv("CONTAINERS_CONF", os.Getenv("CONTAINERS_CONF"))
		return copyConfigs(e)
	})
}

// copyConfigs copies the sandbox's configurations into a folder that the container can read.
func copyConfigs(e *testscript.Env) error {
	var all error
	for _, name := range []string{"SANDBOX_CONFIG_SHARDED", "SANDBOX_CONFIG_UNSHARDED", "SANDBOX_CONFIG_PLAIN"} {
		file := filepath.Base(e.Getenv(name))
		data, err := os.ReadFile(e.Getenv(name))
		all = errors.Join(all, err, os.WriteFile(filepath.Join(e.WorkDir, file), data, 0o644))
		e.Setenv(name, file)
	}
	return all
}

// requireImage returns the image's name. Without one the test is skipped, but not in CI.
func requireImage(t *testing.T) string {
	t.Helper()
	image := os.Getenv(imageVariable)
	switch {
	case image != "":
	case os.Getenv("CI") != "":
		t.Fatal("no image: run the tests with `make test`, which builds one in CI, or `make test-image`")
	default:
		t.Skip("no image: run `make test-image`, which builds one")
	}
	settings, err := filepath.Abs("containers.conf")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONTAINERS_CONF", settings)
	return image
}

type inspected struct {
	ID      string `json:"Id"`
	Created time.Time
	Config  struct {
		User       string
		Env        []string
		Entrypoint []string
		Labels     map[string]string
	}
	RootFS struct{ Layers []string }
}

func inspect(t *testing.T, image string) inspected {
	t.Helper()
	out, err := podman("image", "inspect", image).Output()
	if err != nil {
		t.Fatalf("podman image inspect %s: %v", image, err)
	}
	var images []inspected
	if err := json.Unmarshal(out, &images); err != nil {
		t.Fatal(err)
	}
	return images[0]
}

// The limits are in effect when the scripts run.
func TestImageRunsUnderLimits(t *testing.T) {
	image := requireImage(t)
	const script = `id -u; id -g
grep -E "^(CapEff|CapBnd|NoNewPrivs)" /proc/self/status
touch /file /tmp/file 2>/dev/null || echo nothing can be written
cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max`
	args := slices.Concat([]string{"run", "--rm", "--entrypoint=sh"}, asThePlatform, []string{image, "-c", script})
	out, err := podman(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := "1000 1000 CapEff: 0000000000000000 CapBnd: 0000000000000000 NoNewPrivs: 1 nothing can be written 2147483648"
	if got := strings.Join(strings.Fields(string(out)), " "); got != want {
		t.Errorf("the connector runs as\n%s\nand not as\n%s", got, want)
	}
}

// The platform and the registry rely on the image's entrypoint, user and labels.
func TestImageIsAConnectors(t *testing.T) {
	image := requireImage(t)
	got := inspect(t, image).Config
	if len(got.Entrypoint) != 1 || !filepath.IsAbs(got.Entrypoint[0]) || !slices.Contains(got.Env, "AIRBYTE_ENTRYPOINT="+got.Entrypoint[0]) {
		t.Errorf("the entrypoint %q differs from AIRBYTE_ENTRYPOINT in %q, or is not absolute", got.Entrypoint, got.Env)
	}
	if got.User != "1000:1000" {
		t.Errorf("the user is %q", got.User)
	}
	if got.Labels["io.airbyte.name"] != "airbyte/source-planetscale" || got.Labels["io.airbyte.version"] != connector.Version {
		t.Errorf("the labels are %v", got.Labels)
	}
	inside(t, image, `[ "$(id -un) $(id -u):$(id -g)" = "airbyte 1000:1000" ]`)
	inside(t, image, `for p in sh sleep mv touch cat; do command -v $p >/dev/null || exit 1; done`)
	inside(t, image, `grep -q BEGIN /etc/ssl/certs/ca-certificates.crt`)
	inside(t, image, `[ "$($AIRBYTE_ENTRYPOINT version)" = `+connector.Version+` ]`)
	inside(t, image, `! touch $AIRBYTE_ENTRYPOINT 2>/dev/null`)
	inside(t, image, `[ "$(pwd)" = /airbyte ] && touch /airbyte/file`)
}

// inside runs a shell command in the image, as the image's user.
func inside(t *testing.T, image, script string) {
	t.Helper()
	out, err := podman("run", "--rm", "--security-opt=no-new-privileges", "--entrypoint=sh", image, "-ec", script).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v %s", script, err, out)
	}
}

// The platform pulls the image for every sync on a new node.
func TestImageIsSmall(t *testing.T) {
	image := requireImage(t)
	inside(t, image, `[ "$(stat -c %s $AIRBYTE_ENTRYPOINT)" -lt 25000000 ]`)
	// The size as it is pushed; gzip's default level would make it smaller.
	dir := filepath.Join(t.TempDir(), "pushed")
	if out, err := podman("save", "--quiet", "--compress", "--format=docker-dir", "--output="+dir, image).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size < 10e6 || size >= 40e6 {
		t.Errorf("the image has %d bytes compressed", size)
	}
	t.Logf("%d bytes compressed", size)
}

// Two builds of a commit produce the same image.
func TestImageIsReproducible(t *testing.T) {
	image := requireImage(t)
	const again = "localhost/source-planetscale-again"
	a := inspect(t, image)
	cmd := exec.Command("./build.sh", again, runtime.GOARCH)
	cmd.Env = append(os.Environ(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", a.Created.Unix()))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	defer func() { _ = podman("rmi", again).Run() }()
	if b := inspect(t, again); a.ID != b.ID {
		t.Errorf("two builds differ: %s with layers %q, %s with %q", a.ID, a.RootFS.Layers, b.ID, b.RootFS.Layers)
	}
}
