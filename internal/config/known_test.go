package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"

	"source-planetscale/internal/dial"
)

// valid has a valid value for each property that is required somewhere.
var valid = map[string]any{
	"host": "h.example.com", "database": "shop", "username": "u", "password": "p",
	"tunnel_host": "h.example.com", "tunnel_port": 22, "tunnel_user": "u", "tunnel_user_password": "p", "ssh_key": "k",
}

// eachProperty calls f for every property of the specification, with a way to set it in an otherwise valid configuration.
func eachProperty(t *testing.T, f func(name string, p specProperty, set func(value any) []byte)) {
	t.Helper()
	base := func() map[string]any {
		return map[string]any{"host": valid["host"], "database": valid["database"], "username": valid["username"], "password": valid["password"]}
	}
	marshal := func(v any) []byte {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, p := range specProperties(t) {
		f(name, p, func(value any) []byte {
			config := base()
			config[name] = value
			return marshal(config)
		})
		for i, branch := range append([]specProperty{p}, p.OneOf...) {
			for inner, q := range branch.Properties {
				f(fmt.Sprintf("%s[%d].%s", name, i, inner), q, func(value any) []byte {
					object := map[string]any{}
					for key, r := range branch.Properties {
						if r.Const != nil {
							object[key] = r.Const
						} else if v, ok := valid[key]; ok {
							object[key] = v
						}
					}
					object[inner] = value
					config := base()
					config[name] = object
					return marshal(config)
				})
			}
		}
	}
}

// A secret may be pasted into any field, in any form: no message repeats it.
func TestMessagesRepeatNoValue(t *testing.T) {
	const marker = "Zq7xKw9"
	forms := []any{
		marker, "mysql://u:" + marker + "@h:3306/d?x=1", "u:" + marker + "@h", marker + "@h", "h/" + marker, " " + marker, marker + "\n" + marker, "[" + marker,
		"-----BEGIN RSA PRIVATE KEY-----\n" + marker + "\n-----END RSA PRIVATE KEY-----\n", "-----BEGIN " + marker + "-----\nAAAA\n-----END " + marker + "-----\n",
		"-----BEGIN CERTIFICATE-----\n" + marker + "=\n-----END CERTIFICATE-----", "SHA256:" + marker, "SHA256:" + strings.Repeat("A", 43) + " " + marker,
		"{" + marker + "}", `{"shop":{"-":"` + marker + `"}}`, `{"shop":{"` + marker + `":""}}`, `{"shop":"` + marker + `"}`, `{"` + marker + `":{}}`,
		strings.Repeat(marker, 10_000),
		[]any{marker},
		map[string]any{"x": marker},
		map[string]any{"mode": marker},
		map[string]any{"tunnel_method": marker},
	}
	refused := 0
	eachProperty(t, func(name string, _ specProperty, set func(any) []byte) {
		for _, form := range forms {
			log, out := logged()
			_, err := Parse(set(form), log)
			if err != nil {
				refused++
			}
			if text := fmt.Sprint(err) + out.String(); strings.Contains(text, marker) {
				t.Errorf("%s as %.60q: %.300s", name, form, text)
			}
		}
	})
	for _, form := range []string{`"` + marker + `"`, `{"host": ` + marker + `}`, marker, `{"host":"` + marker + `"`, `["` + marker + `"]`} {
		log, out := logged()
		if _, err := Parse([]byte(form), log); err == nil || strings.Contains(err.Error()+out.String(), marker) {
			t.Errorf("%s: %v", form, err)
		}
	}
	t.Logf("%d of the configurations are refused", refused)
	if refused < 300 {
		t.Errorf("only %d of the configurations are refused", refused)
	}
}

// encoding/json accepts keys in upper or lower case; the checks of the specification do not.
func TestKeysCountAsTheyAreWritten(t *testing.T) {
	want, err := Parse([]byte(`{`+minimal+`}`), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	eachProperty(t, func(name string, _ specProperty, _ func(any) []byte) {
		key, inner, nested := strings.Cut(name, ".")
		key, _, _ = strings.Cut(key, "[")
		for _, as := range []func(string) string{
			strings.ToUpper, func(s string) string { return strings.ToUpper(s[:1]) + s[1:] },
			func(s string) string { return strings.ReplaceAll(s, "s", "ſ") },
		} {
			object := map[string]any{as(key): -1}
			if nested {
				object = map[string]any{key: map[string]any{"mode": "verify_identity", "tunnel_method": "NO_TUNNEL", as(inner): -1}}
			}
			config := maps.Clone(object)
			if as(key) == key && !nested || nested && as(inner) == inner {
				continue
			}
			for _, k := range []string{"host", "database", "username", "password"} {
				config[k] = map[string]any{"host": want.Host, "database": want.Database, "username": want.Username, "password": want.Password}[k]
			}
			data, err := json.Marshal(config)
			if err != nil {
				t.Fatal(err)
			}
			log, out := logged()
			got, err := Parse(data, log)
			if got != nil {
				got.log, got.reached = want.log, want.reached
			}
			if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
				t.Errorf("%s: %+v, %v", data, got, err)
			}
			if !strings.Contains(out.String(), "unknown key") {
				t.Errorf("%s is ignored without a warning", data)
			}
		}
	})
}

func TestDeepAndLargeConfigurations(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"deep in an unknown key": {`{` + minimal + `,"x":` + strings.Repeat(`{"x":`, 9000) + `1` + strings.Repeat(`}`, 9000) + `}`, ""},
		"deep in a known key":    {`{` + minimal + `,"tls":` + strings.Repeat(`{"mode":`, 9000) + `1` + strings.Repeat(`}`, 9000) + `}`, "tls"},
		"deeper than JSON may":   {strings.Repeat(`{"x":`, 20_000) + `1` + strings.Repeat(`}`, 20_000), "not a JSON object"},
		"large":                  {`{` + minimal + `,"x":"` + strings.Repeat("x", maxConfig) + `"}`, "larger than 1 MiB"},
	} {
		_, err := Parse([]byte(c.in), slog.New(slog.DiscardHandler))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) || len(fmt.Sprint(err)) > 1000 {
			t.Errorf("%s: %.300v", name, err)
		}
	}
}

// Invalid TLS options are a configuration error, and reported before any connection is opened.
func TestWrongTLSOptionsAreRefused(t *testing.T) {
	for in, want := range map[string]string{
		`{"mode":"verify_ca"}`:                                      "requires \"CA certificate\" (tls.ca_certificate)",
		`{"mode":"verify_identity","ca_certificate":"x"}`:           "not complete PEM text",
		`{"mode":"verify_identity","client_key":"x"}`:               "without \"Client certificate\" (tls.client_certificate)",
		`{"mode":"verify_identity","client_certificate":"x"}`:       "without \"Client key\" (tls.client_key)",
		`{"mode":"verify_ca","ca_certificate":" ","client_key":""}`: "requires \"CA certificate\" (tls.ca_certificate)",
	} {
		if _, err := Parse([]byte(`{`+minimal+`,"tls":`+in+`}`), slog.New(slog.DiscardHandler)); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{` + minimal + `}`))
	f.Add([]byte(`{` + minimal + `,"tls":{"mode":"disabled"},"tunnel_method":` + tunnel(`"tunnel_host_key":""`) + `,"concurrency":null}`))
	f.Add([]byte(`{` + minimal + `,"CONCURRENCY":-1,"starting_gtids":"{\"shop\":{\"-\":\"\"}}"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data, slog.New(slog.DiscardHandler))
		if err != nil {
			if len(err.Error()) > 5000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if c.Host == "" || c.Concurrency < 1 || c.Concurrency > 64 || c.MySQLPort < 1 || c.MySQLPort > 65535 ||
			c.TimeoutSeconds < minTimeoutSeconds ||
			c.MaxRetries < 0 {
			t.Errorf("out of bounds: %+v", c)
		}
		if _, err := c.Dial().TLSConfig(); err != nil {
			t.Errorf("accepted, but unusable: %v", err)
		}
		switch c.TLS.Mode {
		case dial.VerifyIdentity, dial.VerifyCA, dial.Disabled:
		default:
			t.Errorf("mode %q", c.TLS.Mode)
		}
	})
}
