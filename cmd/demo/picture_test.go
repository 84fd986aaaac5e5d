package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

// TestPicture has every word that was shown from the step on, in its style, and is XML.
func TestPicture(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out, width: 40, color: true}
	s.title("Before")
	s.title("check: <this> & that")
	s.command("source-planetscale check")
	s.good("%s", "all is well")
	got := string(picture(out.Bytes(), s.width, "check:"))
	decoder := xml.NewDecoder(strings.NewReader(got))
	var text strings.Builder
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v: %s", err, got)
		}
		if data, ok := token.(xml.CharData); ok {
			text.Write(data)
		}
	}
	if want := "2. check: <this> & that\n$ source-planetscale check\n  ✓ all is well"; strings.TrimSpace(text.String()) != want {
		t.Errorf("the picture's text is %q, want %q", strings.TrimSpace(text.String()), want)
	}
	for _, style := range []string{bold, cyan, green} {
		if !strings.Contains(got, look[style]) {
			t.Errorf("nothing has the style %s", style)
		}
	}
}
