package e2e

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"source-planetscale/internal/destination"
)

// clockVariable names the file with the seconds by which the clock of the torturer's connector is ahead, or behind if there are less than
// none.
const clockVariable = "TORTURE_CLOCK"

// clockSource is added to the standard library's package time. The monotonic clock stays as it is, as it does where a clock is set. The
// runtime asks for the time on its own stacks, too, where no system call may be made: the file is in memory.
const clockSource = `package time

import (
	"syscall"
	"unsafe"
)

var ahead = openOffset()

func openOffset() *int64 {
	name, ok := syscall.Getenv("` + clockVariable + `")
	if !ok {
		return new(int64)
	}
	fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		panic(name + ": " + err.Error())
	}
	bytes, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(name + ": " + err.Error())
	}
	return (*int64)(unsafe.Pointer(&bytes[0]))
}

func offset() int64 { return *ahead }
`

// settableConnector builds the connector from the sources of the one that is shipped, with a standard library whose clock can be set.
func settableConnector(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	const call = "sec, nsec, mono := runtimeNow()\n"
	library := filepath.Join(strings.TrimSpace(string(out)), "src", "time")
	source, err := os.ReadFile(filepath.Join(library, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, now, found := strings.Cut(string(source), "\nfunc Now() Time {\n")
	if !found || !strings.HasPrefix(strings.TrimSpace(now), call) {
		t.Fatal("time.Now of this version of Go is another one: change how its clock is set")
	}
	dir := t.TempDir()
	replaced := map[string]string{}
	for name, text := range map[string]string{
		"time.go":   strings.TrimSuffix(string(source), now) + strings.Replace(now, call, call+"\tsec += offset()\n", 1),
		"offset.go": clockSource,
	} {
		replaced[filepath.Join(library, name)] = filepath.Join(dir, name)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return builtConnector(t, os.Getenv("GOFLAGS")+" -overlay="+filepath.Join(dir, "overlay.json"))
}

// clock is what the connectors of a rig read their clock's offset from, also while they run.
type clock struct{ file *os.File }

func newClock(t *testing.T) *clock {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "clock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	c := &clock{file}
	if err := c.set("0"); err != nil {
		t.Fatal(err)
	}
	t.Setenv(clockVariable, file.Name())
	return c
}

// set makes the clock run that many seconds ahead.
func (c *clock) set(seconds string) error {
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err == nil {
		_, err = c.file.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(n)), 0)
	}
	return err
}

// TestTheTorturersClock: what the torturer sets is what the connector prints.
func TestTheTorturersClock(t *testing.T) {
	c, program := newClock(t), settableConnector(t)
	for _, seconds := range []int{0, -86400, 7200} {
		if err := c.set(strconv.Itoa(seconds)); err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		printed, _ := exec.Command(program, "read", "--config", "none", "--catalog", "none").Output() // it fails: only the trace's time matters
		out, err := destination.Parse(strings.NewReader(string(printed)))
		if err != nil || len(out.Errors) != 1 {
			t.Fatalf("%v: %s", err, printed)
		}
		var line struct {
			Trace struct {
				EmittedAt int64 `json:"emitted_at"`
			} `json:"trace"`
		}
		for text := range strings.Lines(string(printed)) {
			if strings.Contains(text, `"ERROR"`) {
				err = json.Unmarshal([]byte(text), &line)
			}
		}
		at := time.UnixMilli(line.Trace.EmittedAt).Add(-time.Duration(seconds) * time.Second)
		if err != nil || at.Before(before.Add(-time.Millisecond)) || at.After(time.Now()) {
			t.Errorf("%v: %d seconds ahead, it says %v at %v", err, seconds, at, before)
		}
	}
}
