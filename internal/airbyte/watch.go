package airbyte

import (
	"context"
	"syscall"
	"time"
)

// watchInterval is how often stdout is checked; a command must end within 5 s after it was closed.
const watchInterval = time.Second

// EndWithReader cancels a context, with ErrWrite as the cause, once nobody reads stdout. A write would show it as well, but a command
// that waits for a server writes nothing for minutes.
func EndWithReader(ctx context.Context, stdout syscall.Conn, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if closed(stdout) {
				cancel(ErrWrite)
			}
		}
	}
}
