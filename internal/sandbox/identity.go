package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// identity distinguishes a process from all others, including a later one with the same pid: Started is the boot and the clock tick of
// its start.
type identity struct {
	PID     int    `json:"pid"`
	Started string `json:"started"`
}

// identify reads who has that pid now; false when nobody has, or only a zombie
// that nobody has reaped yet.
func identify(pid int) (identity, bool) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return identity{}, false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return identity{}, false
	}
	// proc_pid_stat(5); the fields count from the third, the state, because
	// the second is a name in parentheses that may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return identity{}, false
	}
	// A killed process whose other threads still end looks like a zombie too,
	// and still holds its ports and files.
	state, threads := fields[0], fields[17]
	if state == "Z" && (threads == "0" || threads == "1") {
		return identity{}, false
	}
	return identity{PID: pid, Started: strings.TrimSpace(string(boot)) + "/" + fields[19]}, true
}

// alive reports whether that very process still runs.
func (id identity) alive() bool {
	now, ok := identify(id.PID)
	return ok && id.PID > 0 && now == id
}

// signal does nothing when the process is gone.
func (id identity) signal(sig syscall.Signal) error {
	if !id.alive() {
		return nil
	}
	if err := syscall.Kill(id.PID, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}
