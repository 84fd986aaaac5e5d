package dial

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A connection that silently breaks cannot be simulated on loopback; this checks that the kernel is configured to detect one.
func TestSocketOptions(t *testing.T) {
	raw, err := dialLoopback(t).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, option := range []struct {
		name              string
		level, opt, value int
	}{
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{"TCP_KEEPIDLE, s", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 10},
		{"TCP_KEEPINTVL, s", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 10},
		{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 2},
		{"TCP_USER_TIMEOUT, ms", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 30_000},
	} {
		var value int
		var optErr error
		if err := raw.Control(func(fd uintptr) { value, optErr = unix.GetsockoptInt(int(fd), option.level, option.opt) }); err != nil {
			t.Fatal(err)
		}
		if optErr != nil || value != option.value {
			t.Errorf("%s is %d (%v), want %d", option.name, value, optErr, option.value)
		}
	}
}
