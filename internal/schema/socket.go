package schema

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
)

// maxAnswer is how many bytes a server may send for a login, or for all the questions between two selections of a shard. It is
// enough for 2,000,000 columns.
const maxAnswer = 256 << 20

// errTooMuch says that a server sends more than any answer can be.
var errTooMuch = errors.New("the server's answers about the schema exceed 256 MiB")

// socket is a connection to the server that ends where an answer is larger than maxAnswer: the driver puts packets together,
// and skips rows, without a bound.
type socket struct {
	net.Conn
	left atomic.Int64 // bytes
}

func newSocket(conn net.Conn) *socket {
	s := &socket{Conn: conn}
	s.left.Store(maxAnswer)
	return s
}

// Read implements net.Conn.
func (s *socket) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if s.left.Add(int64(-n)) < 0 {
		return 0, errTooMuch
	}
	return n, err
}

// forDriver lets the driver see what lies below, if it does: it asks the kernel whether a connection of the pool is still good.
func (s *socket) forDriver() net.Conn {
	if raw, ok := s.Conn.(syscall.Conn); ok {
		return struct {
			*socket
			syscall.Conn
		}{s, raw}
	}
	return s
}
