package schema

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
)

// maxAnswer is how many bytes a server may send for all that is asked between two times that a connection is taken from the pool. It is
// enough for 2,000,000 columns.
const maxAnswer = 256 << 20

// errTooMuch reports that a server sends more than any valid answer can have.
var errTooMuch = errors.New("the server's answers about the schema exceed 256 MiB")

// socket is a connection to the server that is closed if an answer exceeds maxAnswer: the driver assembles packets, and skips rows,
// without a limit.
type socket struct {
	net.Conn
	left     atomic.Int64 // bytes
	timedOut atomic.Bool  // the server sent nothing in time
}

func newSocket(conn net.Conn) *socket {
	s := &socket{Conn: conn}
	s.left.Store(maxAnswer)
	return s
}

// Read implements net.Conn.
func (s *socket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.timedOut.Store(true)
	}
	if s.left.Add(int64(-n)) < 0 {
		return 0, errTooMuch
	}
	return n, err
}

// forDriver exposes the underlying connection to the driver, if it allows that: the driver asks the kernel whether a pooled connection is
// still open.
func (s *socket) forDriver() net.Conn {
	if raw, ok := s.Conn.(syscall.Conn); ok {
		return struct {
			*socket
			syscall.Conn
		}{s, raw}
	}
	return s
}
