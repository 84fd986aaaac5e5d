package dial

import (
	"strings"
	"testing"
)

// PEM texts and keys are accepted or refused, without revealing their contents.
func FuzzPEM(f *testing.F) {
	f.Add("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE "+
		"KEY-----\n", "")
	f.Add("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "-----BEGIN RSA PRIVATE "+
		"KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIB\n-----END RSA PRIVATE KEY-----", "open")
	f.Add(`-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----`, "x", "x")
	f.Fuzz(func(t *testing.T, certificate, key, passphrase string) {
		for _, o := range []TLS{
			{CACertificate: certificate}, {CACertificate: key, Mode: VerifyCA}, {ClientCertificate: certificate, ClientKey: key},
		} {
			config, err := Config{Host: "h", TLS: o}.TLSConfig()
			if err == nil && (config == nil || o.Mode == VerifyCA && config.RootCAs == nil) {
				t.Errorf("%+v is accepted, but protects nothing", o)
			}
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		}
		tunnel, err := NewTunnel(
			TunnelOptions{Method: SSHKey, Host: "h", User: "u", Key: key, KeyPassphrase: passphrase, HostKey: certificate},
			nil,
		)
		switch {
		case err == nil && tunnel == nil:
			t.Error("no tunnel, and no error")
		case err != nil && len(passphrase) > 20 && strings.Contains(err.Error(), passphrase):
			t.Errorf("the error contains the passphrase: %v", err)
		}
	})
}
