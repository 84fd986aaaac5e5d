package dial

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func signerOf(t *testing.T, key any, err error) ssh.Signer {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func rsaSigner(t *testing.T, bits int) ssh.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	return signerOf(t, key, err)
}

func ecdsaSigner(t *testing.T, curve elliptic.Curve) ssh.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	return signerOf(t, key, err)
}

// jumpServerWith returns a jump server with these host keys.
func jumpServerWith(t *testing.T, keys ...ssh.Signer) *jumpServer {
	t.Helper()
	s := newJumpServer(t, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = keys
	return s
}

// wantFault checks that an error is permanent and contains these words.
func wantFault(t *testing.T, err error, words ...string) {
	t.Helper()
	var fault *TunnelError
	if !errors.As(err, &fault) || !fault.Permanent {
		t.Fatalf("got %v", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v does not contain %q", err, w)
		}
	}
}

// A server has three host keys by default, and any of them may be pinned.
func TestAnyOfSeveralHostKeysMayBePinned(t *testing.T) {
	keys := []ssh.Signer{
		newSigner(t), rsaSigner(t, 2048), ecdsaSigner(t, elliptic.P256()), ecdsaSigner(t, elliptic.P384()), ecdsaSigner(t, elliptic.P521()),
	}
	s, target := jumpServerWith(t, keys...), echo(t)
	for _, key := range keys {
		o := s.options()
		o.HostKey = "SHA256:AAAA, " + ssh.FingerprintSHA256(key.PublicKey()) + "="
		tunnel, err := NewTunnel(o, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time the tunnel knows which kind of key to request
			if err := pass(t.Context(), tunnel, target); err != nil {
				t.Errorf("%s: %v", key.PublicKey().Type(), err)
			}
		}
		if first := tunnel.wanted()[0]; !slices.Contains(first, key.PublicKey().Type()) && key.PublicKey().Type() != ssh.KeyAlgoRSA {
			t.Errorf("%s: requests %s first", key.PublicKey().Type(), first)
		}
	}
	o := s.options()
	o.HostKey = "SHA256:AAAA"
	err := through(t.Context(), o, target)
	for _, key := range keys {
		wantFault(t, err, "being intercepted", ssh.FingerprintSHA256(key.PublicKey()), key.PublicKey().Type())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if want := 2 * 2 * len(keys); s.logins > want { // each login tries none and password
		t.Errorf("%d logins were attempted, some of them on a server that is not the pinned one", s.logins)
	}
}

// Servers behind the same name may have keys of different kinds.
func TestAKeyOfAnotherKindIsAskedForAgain(t *testing.T) {
	first, second := newSigner(t), rsaSigner(t, 2048)
	s, target := jumpServerWith(t, first), echo(t)
	o := s.options()
	o.HostKey += "," + ssh.FingerprintSHA256(second.PublicKey())
	tunnel, err := NewTunnel(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []ssh.Signer{first, second, first} {
		s.mu.Lock()
		s.keys = []ssh.Signer{key}
		s.mu.Unlock()
		if err := pass(t.Context(), tunnel, target); err != nil {
			t.Errorf("%s: %v", key.PublicKey().Type(), err)
		}
	}
}

func TestPasswordsAreForPinnedServersOnly(t *testing.T) {
	s := newJumpServer(t, nil)
	for _, asks := range []bool{false, true} {
		s.mu.Lock()
		s.asks = asks
		s.mu.Unlock()
		o := s.options()
		pin := o.HostKey
		o.HostKey = ""
		wantFault(t, through(t.Context(), o, echo(t)), "password is not sent", pin, "tunnel_host_key")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logins != 0 {
		t.Errorf("%d logins were attempted", s.logins)
	}
}

// A login by key reveals nothing that could be used elsewhere.
func TestFirstHostKeyIsTrustedWithAKey(t *testing.T) {
	private, public := newKey(t, "")
	s, target := newJumpServer(t, public), echo(t)
	o := s.options()
	first := o.HostKey
	o.Method, o.Key, o.HostKey = SSHKey, private, ""
	var warnings []string
	tunnel, err := NewTunnel(o, func(sentence string) { warnings = append(warnings, sentence) })
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := pass(t.Context(), tunnel, target); err != nil {
			t.Fatal(err)
		}
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], first) || !strings.Contains(warnings[0], "tunnel_host_key") {
		t.Errorf("warned %q, want once of %s", warnings, first)
	}
	s.mu.Lock()
	s.keys = []ssh.Signer{newSigner(t)}
	s.mu.Unlock()
	wantFault(t, pass(t.Context(), tunnel, target), "changed during the run")
}

// A host key that can be forged, or that is a certificate, does not identify a server, even if it is pinned.
func TestWeakHostKeysAreRefused(t *testing.T) {
	authority := newSigner(t)
	ed := newSigner(t)
	certificate := &ssh.Certificate{Key: ed.PublicKey(), CertType: ssh.HostCert, ValidBefore: ssh.CertTimeInfinity}
	if err := certificate.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	certified, err := ssh.NewCertSigner(certificate, ed)
	if err != nil {
		t.Fatal(err)
	}
	sha1, err := ssh.NewSignerWithAlgorithms(rsaSigner(t, 2048).(ssh.AlgorithmSigner), []string{ssh.KeyAlgoRSA})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key  ssh.Signer
		want string
	}{
		"RSA of 1024 bits":   {rsaSigner(t, 1024), "less than 2048 bits"},
		"RSA of 2040 bits":   {rsaSigner(t, 2040), "less than 2048 bits"},
		"a certificate":      {certified, "no host key that can be trusted"},
		"signing with SHA-1": {sha1, "no host key that can be trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			s := jumpServerWith(t, c.key)
			wantFault(t, through(t.Context(), s.options(), echo(t)), c.want)
		})
	}
}

// The text of the jump server in an error is limited.
func TestTheJumpServersWordsAreBounded(t *testing.T) {
	tunnel := &Tunnel{addr: "h:22"}
	err := tunnel.notForwarded("db:1", &ssh.OpenChannelError{Reason: ssh.Prohibited, Message: strings.Repeat("ä", 100_000)})
	if len([]rune(err.Error())) > 1000 {
		t.Errorf("an error of %d characters", len([]rune(err.Error())))
	}
}
