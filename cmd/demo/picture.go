package main

import (
	"bytes"
	"fmt"
	"html"
	"os"
	"regexp"
	"slices"
	"strings"
)

// The picture's dimensions, in pixels.
const (
	pictureColumn = 8
	pictureLine   = 18
	pictureMargin = 16
)

// picturedSteps are the demo's steps in the picture, by how their titles begin: as many as fit on a page.
var picturedSteps = []string{"check:", "read:", "Is the destination"}

// look is how a terminal shows the screen's styles.
var look = map[string]string{
	bold: "font-weight:bold;fill:#ffffff", dim: "fill:#8b949e", red: "fill:#ff7b72", green: "fill:#7ee787", cyan: "fill:#79c0ff",
}

// part is a piece of a line in one style, "" for none.
type part struct{ style, text string }

// picture creates an SVG of what a screen of that width has shown in color: of the steps whose titles begin that way.
func picture(shown []byte, width int, steps []string) []byte {
	lines := stepsOf(partsOf(string(shown)), steps)
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d">`+"\n",
		width*pictureColumn+2*pictureMargin, len(lines)*pictureLine+2*pictureMargin)
	b.WriteString(`<rect width="100%" height="100%" rx="8" fill="#0d1117"/>` + "\n")
	b.WriteString(`<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace" font-size="13" ` +
		`fill="#c9d1d9">` + "\n")
	for i, line := range lines {
		fmt.Fprintf(&b, `<text x="%d" y="%d">%s</text>`+"\n", pictureMargin, pictureMargin+(i+1)*pictureLine-5, spans(line, width))
	}
	b.WriteString("</g>\n</svg>\n")
	return b.Bytes()
}

var escape = regexp.MustCompile(`\x1b\[(\d+)m`)

// partsOf are the parts of each line. A style lasts until it is ended, even across lines.
func partsOf(text string) [][]part {
	var lines [][]part
	style := ""
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		var parts []part
		rest := 0
		for _, m := range escape.FindAllStringSubmatchIndex(line, -1) {
			parts = append(parts, part{style, line[rest:m[0]]})
			if style = line[m[2]:m[3]]; style == "0" {
				style = ""
			}
			rest = m[1]
		}
		lines = append(lines, append(parts, part{style, line[rest:]}))
	}
	return lines
}

var title = regexp.MustCompile(`^\d+\. (.*)`)

// stepsOf are the lines of some steps. A step begins with its title, which is bold.
func stepsOf(lines [][]part, steps []string) [][]part {
	var of [][]part
	within := false
	for _, line := range lines {
		for _, p := range line {
			if m := title.FindStringSubmatch(p.text); m != nil && p.style == bold {
				within = slices.ContainsFunc(steps, func(s string) bool { return strings.HasPrefix(m[1], s) })
			}
		}
		if within {
			of = append(of, line)
		}
	}
	return of
}

// spans is a line with its styles, cut to the width.
func spans(line []part, width int) string {
	var b strings.Builder
	for _, p := range line {
		text := strings.ReplaceAll(cut(p.text, width), " ", "\u00a0") // the spaces of a column would become one
		width -= columns(text)
		switch {
		case text == "" || width < 0:
		case p.style == "":
			b.WriteString(html.EscapeString(text))
		default:
			fmt.Fprintf(&b, `<tspan style="%s">%s</tspan>`, look[p.style], html.EscapeString(text))
		}
	}
	return b.String()
}

// writePicture writes a picture of what was shown, unless file is empty.
func writePicture(file string, shown []byte, width int) error {
	if file == "" {
		return nil
	}
	return os.WriteFile(file, picture(shown, width, picturedSteps), 0o644) //nolint:gosec // for everybody to see
}
