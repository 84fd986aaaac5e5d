package dial

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"source-planetscale/internal/failure"
)

// TLSMode says what is verified in the server's certificate. Its values are those of the option tls.mode.
type TLSMode string

const (
	// VerifyIdentity verifies the chain and that the certificate is for Config.Host. The zero TLSMode means the same.
	VerifyIdentity TLSMode = "verify_identity"
	// VerifyCA verifies the chain, its dates and its use as a server's certificate, but not the host that it is for. It requires a
	// CACertificate.
	VerifyCA TLSMode = "verify_ca"
	// Disabled sends everything, including the password, unencrypted.
	Disabled TLSMode = "disabled"
)

// TLS holds the options under "tls"; the three texts are PEM and may be empty.
type TLS struct {
	Mode TLSMode `json:"mode"`
	// CACertificate is one or more authorities. If set, only they are trusted, not the system's; if empty, the system's are.
	CACertificate string `json:"ca_certificate"`
	// ClientCertificate, with its intermediates, and ClientKey belong together; a server that does not request one ignores them.
	ClientCertificate string `json:"client_certificate"`
	ClientKey         string `json:"client_key"`
}

// TLSConfig is the configuration for a client of either port, at least TLS 1.2, or nil if TLS is disabled. The caller owns it. Errors
// name the option and never contain the key.
func (c Config) TLSConfig() (*tls.Config, error) {
	if c.TLS.Mode == Disabled {
		return nil, nil
	}
	roots, err := c.TLS.roots()
	if err != nil {
		return nil, err
	}
	certificates, err := c.TLS.clientCertificates()
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.Host, RootCAs: roots, Certificates: certificates}
	switch c.TLS.Mode {
	case VerifyIdentity, "":
	case VerifyCA:
		if roots == nil {
			return nil, errors.New("TLS mode \"Verify CA\" requires " + failure.Option("CA certificate", "tls.ca_certificate") + ": without it a certificate of any public authority for any " +
				"host would be accepted; enter the certificate of your own authority, or choose \"Verify identity\"")
		}
		// crypto/tls cannot skip only the host name: its own verification is switched off and ours does the rest of it.
		config.InsecureSkipVerify = true
		config.VerifyConnection = chainVerifier(roots)
	default:
		return nil, fmt.Errorf(failure.Option("TLS mode", "tls.mode")+" must be %q, %q or %q", VerifyIdentity, VerifyCA, Disabled)
	}
	return config, nil
}

// chainVerifier does what crypto/tls does for a client, except for the host name; it also runs on resumed sessions.
func chainVerifier(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("tls: the server sent no certificate")
		}
		intermediates := x509.NewCertPool()
		for _, certificate := range state.PeerCertificates[1:] {
			intermediates.AddCert(certificate)
		}
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
			Roots:         roots,
			Intermediates: intermediates,
			KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		if err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
		}
		return nil
	}
}

// roots is nil, for the system's authorities, if none is configured.
func (t TLS) roots() (*x509.CertPool, error) {
	if strings.TrimSpace(t.CACertificate) == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	found := 0
	for block, rest := pem.Decode([]byte(t.CACertificate)); block != nil; block, rest = pem.Decode(rest) {
		found++
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf(failure.Option("CA certificate", "tls.ca_certificate")+" must contain only certificates; part %d of it is something else", found)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d in "+failure.Option("CA certificate", "tls.ca_certificate")+" cannot be read: %w", found, err)
		}
		pool.AddCert(certificate)
	}
	// pem.Decode skips what it cannot parse; no authority may be lost that way.
	if found == 0 || found != strings.Count(t.CACertificate, "-----BEGIN ") {
		return nil, errors.New(failure.Option("CA certificate", "tls.ca_certificate") + " is not complete PEM text; paste each certificate from its line -----BEGIN CERTIFICATE----- to " +
			"its line -----END CERTIFICATE-----")
	}
	return pool, nil
}

func (t TLS) clientCertificates() ([]tls.Certificate, error) {
	hasCertificate, hasKey := strings.TrimSpace(t.ClientCertificate) != "", strings.TrimSpace(t.ClientKey) != ""
	switch {
	case !hasCertificate && !hasKey:
		return nil, nil
	case !hasKey:
		return nil, errors.New(failure.Option("Client certificate", "tls.client_certificate") + " is set without " + failure.Option("Client key", "tls.client_key") + "; set both or neither")
	case !hasCertificate:
		return nil, errors.New(failure.Option("Client key", "tls.client_key") + " is set without " + failure.Option("Client certificate", "tls.client_certificate") + "; set both or neither")
	}
	pair, err := tls.X509KeyPair([]byte(t.ClientCertificate), []byte(t.ClientKey))
	if err != nil {
		return nil, fmt.Errorf(failure.Option("Client certificate", "tls.client_certificate")+" and "+failure.Option("Client key", "tls.client_key")+" must be PEM texts that belong together, the key without a "+
			"passphrase: %w", err)
	}
	return []tls.Certificate{pair}, nil
}

// ErrTLS is a failed handshake of which only a text is left, as gRPC passes it on.
var ErrTLS = errors.New("tls: failure")

// IsTLSError reports whether one of our connections failed because of TLS: a certificate not trusted by either side, no protocol in
// common, or no TLS at all. Most of crypto/tls's errors, such as the alerts, have no type but a prefix, which counts only where an error
// has nothing else in its text: names of tables and keyspaces end in tls, and a server passes on what it hears from others.
func IsTLSError(err error) bool {
	if errors.As(err, new(*tls.CertificateVerificationError)) {
		return true
	}
	switch wrapper := err.(type) { //nolint:errorlint // all errors in the tree are visited
	case interface{ Unwrap() error }:
		return IsTLSError(wrapper.Unwrap())
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(wrapper.Unwrap(), IsTLSError)
	}
	return err != nil && strings.HasPrefix(err.Error(), "tls: ")
}
