//go:build unix

package airbyte

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// closed tells whether nobody can read any more what is written to a file: a pipe, socket or terminal whose other end is gone
// (poll(2) reports it whatever it is asked for).
func closed(f syscall.Conn) bool {
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	var events int16
	err = raw.Control(func(fd uintptr) { // File.Fd would make the file blocking
		polled := []unix.PollFd{{Fd: int32(fd)}}
		if _, err := unix.Poll(polled, 0); err == nil {
			events = polled[0].Revents
		}
	})
	return err == nil && events&(unix.POLLERR|unix.POLLHUP) != 0
}
