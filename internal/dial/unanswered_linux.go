package dial

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// limitUnanswered makes the kernel drop a connection whose peer has not acknowledged sent data for that long (TCP_USER_TIMEOUT, tcp(7));
// keepalive alone only covers idle connections.
func limitUnanswered(raw syscall.RawConn, limit time.Duration) error {
	var set error
	err := raw.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(limit.Milliseconds()))
	})
	if err != nil {
		return err
	}
	if set != nil {
		return fmt.Errorf("TCP_USER_TIMEOUT cannot be set: %w", set)
	}
	return nil
}
