package main

import (
	"bytes"
	"fmt"
	"html"
)

// The plot's measures, in pixels.
const (
	plotWidth  = 820
	plotLeft   = 20
	plotLabel  = 130 // the contender's name
	plotBar    = 520 // the longest bar
	plotRow    = 20
	plotThick  = 14
	plotTitle  = 30
	plotHeader = 56
)

// style is readable on light and dark pages: the background is theirs.
const style = `text{font:13px system-ui,sans-serif;fill:#333}.title{font-weight:600}.small{font-size:12px}
.connector{fill:#2a78d6}.drain{fill:#8a8a86}.mysql{fill:#c58a1b}
@media (prefers-color-scheme:dark){text{fill:#ddd}.connector{fill:#5b9ff0}.drain{fill:#9a9a96}.mysql{fill:#d9a441}}`

// plotted are the contenders shown, with the class of their bars.
var plotted = []struct{ name, class string }{{byConnector, "connector"}, {byDrain, "drain"}, {byMySQL, "mysql"}}

// plot draws a bar for each contender of each workload, to the scale of the workload's fastest.
func (r *results) plot() []byte {
	var body bytes.Buffer
	y := plotHeader
	for _, source := range []string{onSandbox, onReplay} {
		for _, c := range r.Comparisons {
			if c.Source == source {
				y = c.plot(&body, y)
			}
		}
	}
	var svg bytes.Buffer
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img" `+
		`aria-label="Rows per second">`+"\n<style>%s</style>\n", plotWidth, y+10, style)
	fmt.Fprintf(&svg, `<text class="title" x="%d" y="24">Rows per second: the connector, a plain client (drain), MySQL's own client `+
		`(mysql)</text>`+"\n", plotLeft)
	fmt.Fprintf(&svg, `<text class="small" x="%d" y="43">In each group the longest bar is the fastest; whole time of the `+
		`process.</text>`+"\n", plotLeft)
	svg.Write(body.Bytes())
	svg.WriteString("</svg>\n")
	return svg.Bytes()
}

// plot draws one workload below y, and returns where it ends.
func (c *comparison) plot(out *bytes.Buffer, y int) int {
	var most float64
	for _, p := range plotted {
		if f := c.of(p.name); f != nil {
			most = max(most, f.rate())
		}
	}
	y += plotTitle
	fmt.Fprintf(out, `<text class="title" x="%d" y="%d">%s</text>`+"\n", plotLeft, y-8, html.EscapeString(c.Source+": "+c.Title))
	for _, p := range plotted {
		f := c.of(p.name)
		if f == nil {
			continue
		}
		width := f.rate() / most * plotBar
		label := count(f.rate())
		if p.name == byConnector {
			label += fmt.Sprintf(" (%.2f × drain)", c.ratio(byConnector))
		}
		fmt.Fprintf(out, `<text class="small" x="%d" y="%d" text-anchor="end">%s</text>`, plotLabel-8, y+plotThick-3, p.class)
		fmt.Fprintf(out, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`, p.class, plotLabel, y, width, plotThick)
		fmt.Fprintf(out, `<text class="small" x="%.1f" y="%d">%s</text>`+"\n", plotLabel+width+6, y+plotThick-3, label)
		y += plotRow
	}
	return y
}
