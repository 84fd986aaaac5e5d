package dial

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"
)

// identity is a certificate with its key, created for one test.
type identity struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// issue creates a certificate from a template, self-signed if there is no issuer.
func issue(t *testing.T, template x509.Certificate, issuer *identity) *identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	parent, signer := &template, key
	if issuer != nil {
		parent, signer = issuer.certificate, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &identity{certificate, key}
}

func authority(t *testing.T, issuer *identity) *identity {
	t.Helper()
	return issue(t, x509.Certificate{
		Subject: pkix.Name{CommonName: "authority of a test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}, issuer)
}

// serverTemplate is valid for 127.0.0.1 and database.test.
func serverTemplate() x509.Certificate {
	return x509.Certificate{
		Subject:     pkix.Name{CommonName: "server of a test"},
		DNSNames:    []string{"database.test"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
}

func clientTemplate() x509.Certificate {
	return x509.Certificate{Subject: pkix.Name{CommonName: "client of a test"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
}

func (id *identity) certificatePEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.certificate.Raw}))
}

func (id *identity) keyPEM(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(id.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// present returns what a TLS server sends: the certificate followed by its intermediates.
func (id *identity) present(intermediates ...*identity) tls.Certificate {
	chain := tls.Certificate{Certificate: [][]byte{id.certificate.Raw}, PrivateKey: id.key}
	for _, intermediate := range intermediates {
		chain.Certificate = append(chain.Certificate, intermediate.certificate.Raw)
	}
	return chain
}

func pool(ids ...*identity) *x509.CertPool {
	certificates := x509.NewCertPool()
	for _, id := range ids {
		certificates.AddCert(id.certificate)
	}
	return certificates
}
