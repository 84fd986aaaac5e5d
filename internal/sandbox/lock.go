package sandbox

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock waits for the file's lock and returns what releases it. The kernel
// releases it too when the process ends, however it ends.
func lock(path string, waiting func()) (release func(), err error) {
	release, err = tryLock(path)
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return release, err
	}
	waiting()
	return flock(path, syscall.LOCK_EX)
}

func tryLock(path string) (release func(), err error) {
	return flock(path, syscall.LOCK_EX|syscall.LOCK_NB)
}

func flock(path string, how int) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the lock file: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), how); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}
