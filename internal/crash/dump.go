package crash

import (
	"bufio"
	"io"
	"path"
	"regexp"
	"strings"
)

// Crash is the end of a process that nothing could stop: a panic in a goroutine that is not ours, an error of Go's runtime, a signal.
type Crash struct {
	what   string
	where  []string // functions with files and lines, the innermost first; none after a signal
	memory bool
}

// Error contains no values, like a Panic's.
func (c *Crash) Error() string { return told("the program "+c.what, c.where) }

// OfMemory reports whether the reason is memory, as far as that can be known: only Linux's out-of-memory killer sends SIGKILL unasked.
func (c *Crash) OfMemory() bool { return c.memory }

// What Go's runtime prints when a program crashes. The panic's value is printed in lines of which all but the first begin with a tab, so
// that no value can look like the beginning of a stack, or like a function in it.
var (
	goroutine = regexp.MustCompile(`^goroutine \d+ .*\[.*\]:$`)
	function  = regexp.MustCompile(`^(?:created by )?([\w./*()\[\]·~%,-]+?)(?:\([^()]*\)| in goroutine \d+)?$`)
	file      = regexp.MustCompile(`^\t(.+:\d+)(?: \+0x[0-9a-f]+)?$`)
	// The parts of a panic's text that are the runtime's own. Everything else may be a value.
	panicked = regexp.MustCompile(`^panic: (?:.*(index out of range|slice bounds out of range|nil pointer dereference|integer divide by zero|` +
		`assignment to entry in nil map))?`)
	ownSignal = regexp.MustCompile(`^(SIG[A-Z]+): `)
)

// readDump reads everything that a process prints to its stderr, and keeps from its last output what happened and where, and no value.
func readDump(r io.Reader) *Crash {
	c := &Crash{what: "crashed without a word"}
	lines := bufio.NewReader(r)
	var name string
	inside, done := false, false
	for part := false; ; {
		text, more, err := lines.ReadLine()
		if err != nil {
			return c
		}
		whole := !part && !more
		if part = more; !whole { // longer than any line that matters
			text = text[:min(len(text), len("panic: "))]
		}
		line := string(text)
		switch {
		case done:
		case !inside:
			c.header(line)
			inside = whole && goroutine.MatchString(line)
		case line == "":
			done = true
		case file.MatchString(line) && name != "":
			if len(c.where) < frames {
				c.where = append(c.where, name+" ("+path.Base(file.FindStringSubmatch(line)[1])+")")
			}
			name = ""
		default:
			name = ""
			if m := function.FindStringSubmatch(line); whole && m != nil {
				name = m[1]
			}
		}
	}
}

// header examines a line before the first stack.
func (c *Crash) header(line string) {
	if m := panicked.FindStringSubmatch(line); m != nil {
		if c.what = "panicked"; m[1] != "" {
			c.what += " with " + m[1]
		}
	}
	if m := ownSignal.FindStringSubmatch(line); m != nil {
		c.what = "was ended by " + m[1]
	}
	if words, ok := strings.CutPrefix(line, "fatal error: "); ok {
		c.what = "crashed with an error of Go's runtime"
		if !strings.HasPrefix(words, "panic while printing panic value") { // all others are the runtime's own
			c.what += ": " + numbers.ReplaceAllString(words, "…")
		}
		c.memory = strings.Contains(words, "out of memory") || strings.Contains(words, "cannot allocate memory")
	}
}
