package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/width"
)

// plainWidth is the width of the output if there is no terminal.
const plainWidth = 110

// screen is where the demo shows what it does.
type screen struct {
	out   io.Writer
	width int // in columns
	color bool
	steps int
}

// ANSI's numbers for a style.
const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
	cyan  = "36"
)

func (s *screen) paint(style, text string) string {
	if !s.color {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// title begins a step.
func (s *screen) title(text string) {
	s.steps++
	fmt.Fprintf(s.out, "\n%s\n", s.paint(bold, fmt.Sprintf("%d. %s", s.steps, text)))
}

// command shows a command line just before it is run.
func (s *screen) command(line string) {
	fmt.Fprintln(s.out, s.paint(cyan, "$ "+line))
}

// say shows a text, on as many lines as it needs.
func (s *screen) say(format string, args ...any) {
	line := "  " + fmt.Sprintf(format, args...)
	if columns(line) <= s.width {
		fmt.Fprintln(s.out, line)
		return
	}
	s.flow("  ", strings.Fields(line))
}

// good reports a success.
func (s *screen) good(format string, args ...any) {
	s.say("%s "+format, append([]any{s.paint(green, "✓")}, args...)...)
}

// line shows text on one line, cut to the width.
func (s *screen) line(style, text string) {
	fmt.Fprintln(s.out, s.paint(style, cut(text, s.width)))
}

// list shows items after a label, with commas between.
func (s *screen) list(label string, items []string) {
	words := slices.Clone(items)
	for i := range len(words) - 1 {
		words[i] += ","
	}
	s.flow(label, words)
}

// flow shows words after a label, on as many lines as they need.
func (s *screen) flow(label string, words []string) {
	line, isEmpty := label, true
	for _, w := range words {
		switch {
		case isEmpty:
			line += w
		case columns(line)+1+columns(w) > s.width:
			fmt.Fprintln(s.out, line)
			line = strings.Repeat(" ", columns(label)) + w
		default:
			line += " " + w
		}
		isEmpty = false
	}
	fmt.Fprintln(s.out, line)
}

// cut shortens text to a number of columns.
func cut(text string, width int) string {
	if columns(text) <= width {
		return text
	}
	used := 0
	for i, r := range text {
		used += columnsOf(r)
		if used > width-1 {
			return text[:i] + "…"
		}
	}
	return text
}

func columns(text string) int {
	n := 0
	for _, r := range text {
		n += columnsOf(r)
	}
	return n
}

// columnsOf is how many columns of a terminal a character takes.
func columnsOf(r rune) int {
	switch {
	case unicode.Is(unicode.Mn, r):
		return 0
	case width.LookupRune(r).Kind() == width.EastAsianWide, width.LookupRune(r).Kind() == width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// count formats a number with commas between the thousands.
func count[N int | int64](n N) string {
	return message.NewPrinter(language.English).Sprintf("%d", n)
}
