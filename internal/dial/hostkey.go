package dial

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"source-planetscale/internal/failure"
)

// minRSA is the minimum size of an RSA host key in bits.
const minRSA = 2048

// fingerprints are those of HostKey.
func (o TunnelOptions) fingerprints() ([]string, error) {
	pinned := strings.FieldsFunc(o.HostKey, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })
	for i, fingerprint := range pinned {
		if !strings.HasPrefix(fingerprint, "SHA256:") { // it may be a private key, pasted into the wrong field
			return nil, errors.New(failure.Option("Host key fingerprint", "tunnel_host_key") + " must contain fingerprints of the form SHA256:…, as ssh-keygen -lf prints them; " +
				"one has another form")
		}
		pinned[i] = strings.TrimRight(fingerprint, "=")
	}
	return pinned, nil
}

// families are the algorithms of host keys, grouped by kind of key: no certificates, whose authority cannot be configured here, and
// nothing with SHA-1.
func families() [][]string {
	var all [][]string
	var rsa []string
	for _, algorithm := range ssh.SupportedAlgorithms().HostKeys {
		switch {
		case strings.Contains(algorithm, "-cert-"):
		case strings.HasPrefix(algorithm, "rsa-"):
			rsa = append(rsa, algorithm)
		default:
			all = append(all, []string{algorithm})
		}
	}
	return append(all, rsa)
}

// enter logs in to the jump server. A server has a host key of each kind and presents one of them, and a fingerprint does not reveal its
// kind: so the kinds are requested one after another until the server presents a pinned key. The errors are *TunnelError.
func (t *Tunnel) enter(ctx context.Context) (*ssh.Client, error) {
	var shown []string
	for _, family := range t.wanted() {
		client, err := t.connect(ctx, family)
		var other *otherKey
		switch {
		case err == nil:
			t.mu.Lock()
			defer t.mu.Unlock()
			t.found = family
			return client, nil
		case !errors.As(err, &other):
			return nil, err
		case other.text != "":
			shown = append(shown, other.text)
		}
	}
	if shown == nil {
		return nil, t.fault(true, nil, "the jump server %s has no host key that can be trusted: neither Ed25519 nor ECDSA nor RSA with "+
			"SHA-2; give it one with ssh-keygen -A", t.addr)
	}
	return nil, t.fault(true, nil, "the jump server %s has host keys other than those in "+failure.Option("Host key fingerprint", "tunnel_host_key")+": %s; either its key was rotated, or the connection is being intercepted: ask its administrator before you pin one of them", t.addr, strings.Join(shown, ", "))
}

// wanted are the families to request, one after another.
func (t *Tunnel) wanted() [][]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.pinned) == 0 {
		return [][]string{slices.Concat(families()...)}
	}
	rest := slices.DeleteFunc(families(), func(family []string) bool { return slices.Equal(family, t.found) })
	if t.found == nil {
		return rest
	}
	return slices.Insert(rest, 0, t.found)
}

// otherKey is the error for a host key that is not pinned or, without text, if there is none of the requested kind; the server may still
// have one that is pinned.
type otherKey struct{ text string }

func (e *otherKey) Error() string { return e.text }

// know compares a host key with the pinned ones, or with the first one seen.
func (t *Tunnel) know(key ssh.PublicKey) error {
	fingerprint := ssh.FingerprintSHA256(key)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case isWeak(key):
		return t.fault(true, nil, "the jump server %s has an RSA host key of less than %d bits, which can be forged; give it another "+
			"one", t.addr, minRSA)
	case slices.Contains(t.pinned, fingerprint), fingerprint == t.first:
		return nil
	case len(t.pinned) > 0:
		return &otherKey{fmt.Sprintf("%s (%s)", fingerprint, key.Type())}
	case t.mustPin:
		return t.fault(true, nil, "the password is not sent to the jump server %s, because its identity cannot be verified; its host key is %s (%s): check that with its administrator (ssh-keygen -lf on the server), and enter it as "+failure.Option("Host key fingerprint", "tunnel_host_key"), t.addr, fingerprint, key.Type())
	case t.first != "":
		return t.fault(true, nil, "the host key of the jump server %s changed during the run, from %s to %s; either the connection is being "+
			"intercepted, or there are several servers behind one name: then enter the fingerprints of all as "+failure.Option("Host key fingerprint", "tunnel_host_key"), t.addr, t.first, fingerprint)
	}
	t.first = fingerprint
	t.warn(fmt.Sprintf("The host key of the jump server %s is %s (%s); it cannot be verified, and is trusted for this run. To be safe from interception, check it and enter it as "+failure.Option("Host key fingerprint", "tunnel_host_key")+".", t.addr, fingerprint, key.Type()))
	return nil
}

// isWeak reports whether a key is a short RSA key.
func isWeak(key ssh.PublicKey) bool {
	of, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return false
	}
	public, ok := of.CryptoPublicKey().(*rsa.PublicKey)
	return ok && public.N.BitLen() < minRSA
}

// withoutSHA1 prevents an RSA key from signing with SHA-1, which the library does for servers from before 2016.
func withoutSHA1(signer ssh.Signer) (ssh.Signer, error) {
	algorithms, ok := signer.(ssh.AlgorithmSigner)
	if !ok || signer.PublicKey().Type() != ssh.KeyAlgoRSA {
		return signer, nil
	}
	return ssh.NewSignerWithAlgorithms(algorithms, []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256})
}
