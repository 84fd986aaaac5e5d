package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

// TestPicture checks that the picture is XML and has every word of the step that fits, in its style.
func TestPicture(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out, width: 40, color: true}
	s.title("Before")
	s.title("check: <this> & that")
	s.command("source-planetscale check --with more options than fit")
	s.say("%s", s.paint(dim, "one\n  two"))
	s.good("%s", "all is well")
	s.title("Behind")
	got := string(picture(out.Bytes(), s.width, []string{"check:"}))
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
			text.WriteString(strings.ReplaceAll(string(data), "\u00a0", " "))
		}
	}
	if want := "2. check: <this> & that\n$ source-planetscale check --with more …\n  one\n  two\n  ✓ all is well"; strings.TrimSpace(text.String()) != want {
		t.Errorf("the picture's text is %q, want %q", strings.TrimSpace(text.String()), want)
	}
	for _, style := range []string{bold, cyan, green, dim} {
		if !strings.Contains(got, look[style]) {
			t.Errorf("no text has the style %s", style)
		}
	}
}
