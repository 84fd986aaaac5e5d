package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"testing"
	"time"
)

// identity is a certificate and its key, in files.
type identity struct {
	certificate, key string
	parsed           *x509.Certificate
	private          *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *identity {
	t.Helper()
	return (*identity)(nil).make(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority of a test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
}

// issue creates a certificate for clients or, with host names, for servers.
func (id *identity) issue(t *testing.T, name string, hosts ...string) *identity {
	t.Helper()
	usage := x509.ExtKeyUsageClientAuth
	if len(hosts) > 0 {
		usage = x509.ExtKeyUsageServerAuth
	}
	return id.make(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: hosts, ExtKeyUsage: []x509.ExtKeyUsage{usage}})
}

// make signs the template, with its own key if there is no issuer.
func (id *identity) make(t *testing.T, template *x509.Certificate) *identity {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	dir := t.TempDir()
	made := &identity{certificate: filepath.Join(dir, "certificate.pem"), key: filepath.Join(dir, "key.pem"), private: private}
	issuer, signer := template, private
	if id != nil {
		issuer, signer = id.parsed, id.private
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &private.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	if made.parsed, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write(t, made.certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, made.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	return made
}

func (id *identity) text(t *testing.T) string    { return string(read(t, id.certificate)) }
func (id *identity) keyText(t *testing.T) string { return string(read(t, id.key)) }
