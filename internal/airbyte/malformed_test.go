package airbyte

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestMalformedDocumentsAreToldInPlainWords(t *testing.T) {
	var v struct {
		Streams []struct {
			Name string `json:"name"`
		} `json:"streams"`
	}
	for in, want := range map[string]string{
		`5`:                                  "it has a JSON number where none is allowed",
		`{"streams":[{"name":4711}]}`:        "streams.name must not be a JSON number",
		`{"streams":"s3cr3t"}`:               "streams must not be a JSON string",
		`{"streams":[{"name":{"s3cr3t":1}}`:  "it is incomplete",
		`s3cr3t`:                             "it is not valid JSON from byte 1 on",
		`{"streams":[{"name":"a"}]} s3cr3t`:  "it is not valid JSON from byte 28 on",
		strings.Repeat("[", 20_000):          "it is not valid JSON from byte 10001 on",
		"{\"streams\":[{\"name\":\"a\xff\"}": "it is incomplete",
	} {
		err := json.Unmarshal([]byte(in), &v)
		if err == nil {
			t.Fatalf("%.60s is accepted", in)
		}
		if got := Malformed(err).Error(); got != want {
			t.Errorf("%.60s: %q, want %q", in, got, want)
		}
	}
}
