package dial

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"

	"source-planetscale/internal/failure"
)

// TunnelError is the reason why there is no connection through the tunnel.
type TunnelError struct {
	// Permanent reports that an option, or the jump server's configuration, must be changed first.
	Permanent bool
	unknown   bool // the jump server's name, which a restart may explain
	text      string
	cause     error // may be nil
}

func (e *TunnelError) Error() string {
	if e.cause == nil {
		return e.text
	}
	return e.text + " (" + shorten(e.cause.Error()) + ")"
}

// maxText is how many characters are kept of a reason, which may be the jump server's text.
const maxText = 500

func shorten(text string) string {
	if runes := []rune(text); len(runes) > maxText {
		return string(runes[:maxText]) + "…"
	}
	return text
}

func (e *TunnelError) Unwrap() error { return e.cause }

func (t *Tunnel) fault(permanent bool, cause error, format string, args ...any) *TunnelError {
	return &TunnelError{Permanent: permanent, text: fmt.Sprintf(format, args...), cause: cause}
}

func (t *Tunnel) unreachable(err error) error {
	if errors.Is(err, ErrUnknownHost) {
		unknown := t.fault(true, nil, "the jump server %q has no address; check "+failure.Option("Jump server host", "tunnel_host"), t.host)
		unknown.unknown = true
		return unknown
	}
	return t.fault(false, err, "the jump server %s cannot be reached; check "+failure.Option("Jump server host", "tunnel_host")+" and "+failure.Option("Jump server port", "tunnel_port")+", and whether a firewall blocks this machine", t.addr)
}

// notForwarded is the error for an address that the jump server, after the login, could not connect to.
func (t *Tunnel) notForwarded(addr string, err error) error {
	var refused *ssh.OpenChannelError
	switch {
	case !errors.As(err, &refused):
		return t.fault(false, err, "the tunnel through the jump server %s broke while it was being opened", t.addr)
	case refused.Reason == ssh.ConnectionFailed:
		return t.fault(false, err, "the jump server %s cannot reach %s; check host and port as they are seen from there", t.addr, addr)
	case refused.Reason == ssh.ResourceShortage:
		return t.fault(false, err, "the jump server %s has no resources left to forward to %s", t.addr, addr)
	}
	return t.fault(true, err, "the jump server %s forbids %s to forward to %s; allow it in its sshd_config (AllowTcpForwarding, "+
		"PermitOpen) and in the user's authorized_keys", t.addr, t.config.User, addr)
}
