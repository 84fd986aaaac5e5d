package main

import (
	"bytes"
	"fmt"
	"html"
	"os"
	"regexp"
	"strings"
)

// The picture's measures, in pixels.
const (
	pictureColumn = 8
	pictureLine   = 18
	pictureMargin = 16
)

// painted is a part of a line in one of the screen's styles.
var painted = regexp.MustCompile(`\x1b\[(\d+)m([^\x1b]*)\x1b\[0m`)

// look is how a terminal shows the screen's styles.
var look = map[string]string{
	bold: "font-weight:bold;fill:#ffffff", dim: "fill:#8b949e", red: "fill:#ff7b72", green: "fill:#7ee787", cyan: "fill:#79c0ff",
}

// picture makes an SVG of what a screen of that width has shown in color, from the line that begins the step on.
func picture(shown []byte, width int, from string) []byte {
	text := strings.TrimRight(string(shown), "\n")
	if at := strings.Index(text, from); at >= 0 {
		text = text[strings.LastIndex(text[:at], "\n")+1:]
	}
	lines := strings.Split(text, "\n")
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d">`+"\n",
		width*pictureColumn+2*pictureMargin, len(lines)*pictureLine+2*pictureMargin)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="#0d1117"/>`+"\n")
	fmt.Fprintf(&b, `<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace" font-size="13" fill="#c9d1d9" xml:space="preserve">`+"\n")
	for i, line := range lines {
		fmt.Fprintf(&b, `<text x="%d" y="%d">%s</text>`+"\n", pictureMargin, pictureMargin+(i+1)*pictureLine-5, spans(line))
	}
	b.WriteString("</g>\n</svg>\n")
	return b.Bytes()
}

// spans is a line with its styles.
func spans(line string) string {
	var b strings.Builder
	rest := 0
	for _, m := range painted.FindAllStringSubmatchIndex(line, -1) {
		b.WriteString(html.EscapeString(line[rest:m[0]]))
		fmt.Fprintf(&b, `<tspan style="%s">%s</tspan>`, look[line[m[2]:m[3]]], html.EscapeString(line[m[4]:m[5]]))
		rest = m[1]
	}
	b.WriteString(html.EscapeString(line[rest:]))
	return b.String()
}

// writePicture writes a picture of what was shown, unless there is no file for it.
func writePicture(file string, shown []byte, width int) error {
	if file == "" {
		return nil
	}
	return os.WriteFile(file, picture(shown, width, "check: can the connector"), 0o644) //nolint:gosec // for everybody to see
}
