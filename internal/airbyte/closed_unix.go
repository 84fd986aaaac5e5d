//go:build unix

package airbyte

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// closed reports whether what is written to a file can no longer be read: a pipe, socket or terminal whose other end is gone (poll(2)
// reports that whatever events are requested).
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
