//go:build !linux

package crash

import (
	"errors"
	"os"
)

// Watch is only for Linux, which images are; elsewhere the program runs by itself.
func Watch() (code int, crashed *Crash, cut bool, err error) {
	return 0, nil, false, errors.ErrUnsupported
}

// Streams are the program's stdout and stderr.
func Streams() (stdout, stderr *os.File) { return os.Stdout, os.Stderr }
