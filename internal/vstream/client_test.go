package vstream

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"source-planetscale/internal/dial"
)

func TestLogin(t *testing.T) {
	cfg := Config{Username: "Aladdin", Password: "open sesame", Dial: dial.Config{TLS: dial.TLS{Mode: dial.VerifyIdentity}}}
	for auth, want := range map[Auth]map[string]string{
		Basic:  {"authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, // RFC 7617's example
		Static: {"username": "Aladdin", "password": "open sesame"},
	} {
		cfg.Auth = auth
		got, err := login{cfg}.GetRequestMetadata(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", auth, diff)
		}
	}
}

// gRPC refuses to send a password that requires transport security over a connection without it.
func TestPasswordGoesInTheClearOnlyWhereTLSIsDisabled(t *testing.T) {
	for mode, want := range map[dial.TLSMode]bool{dial.VerifyIdentity: true, dial.VerifyCA: true, dial.Disabled: false} {
		l := login{Config{Dial: dial.Config{TLS: dial.TLS{Mode: mode}}}}
		if got := l.RequireTransportSecurity(); got != want {
			t.Errorf("%s: transport security is required: %v", mode, got)
		}
	}
}
