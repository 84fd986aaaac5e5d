package dial

import (
	"errors"

	"source-planetscale/internal/failure"
)

// Judge returns the verdict on a network error: of the tunnel, of TLS, or of a name. It is nil for any other error. A sync retries an
// unknown name, which may be that of a server that restarts; check and discover, which retry nothing, report a mistyped one at once.
func Judge(err error) *failure.Verdict {
	var t *TunnelError
	switch {
	case errors.As(err, &t) && t.unknown:
		return failure.Config("", "The SSH tunnel cannot be used: %s", t).Because(err).Do(failure.Retry)
	case errors.As(err, &t) && t.Permanent:
		return failure.Config("", "The SSH tunnel cannot be used: %s", t).Because(err)
	case errors.As(err, &t):
		return failure.Transient("", "The SSH tunnel cannot be opened: %s", t).Because(err)
	case IsTLSError(err):
		return failure.Config("", "The TLS settings do not match the server: %s", err).Because(err)
	case errors.Is(err, ErrUnknownHost):
		return failure.Config("", "The host cannot be found: %s", err).Because(err).Do(failure.Retry)
	}
	return nil
}
