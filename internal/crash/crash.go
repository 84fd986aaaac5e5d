// Package crash turns a panic into an error: the program ends with a message and an exit code that say what happened, not with a stack on
// stderr that contains values. Guard does so if a goroutine is ours; for all others, Watch starts a second process and reports how it
// ended.
package crash

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"
)

// Guard returns what f returns, or its panic as a *Panic. Each goroutine that we start runs inside one, and so does each of our functions
// that a library calls in a goroutine of its own.
func Guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = newPanic(p)
		}
	}()
	return f()
}

// Panic is a bug in the program: in our code, or in a library that we called.
type Panic struct {
	what  string
	where []string // functions with files and lines, the innermost first
}

// Error contains no values: neither the panic's value, unless it is the runtime's own text, nor functions' arguments.
func (p *Panic) Error() string {
	return told("the program panicked with "+p.what, p.where)
}

// told is what happened, and in which functions.
func told(what string, where []string) string {
	if len(where) == 0 {
		return what
	}
	return what + " in " + strings.Join(where, ", called by ")
}

// frames is how many functions of the stack are reported.
const frames = 12

func newPanic(of any) *Panic {
	p := &Panic{what: describe(of)}
	pcs := make([]uintptr, 64)
	for stack := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)]); len(p.where) < frames; {
		frame, more := stack.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") && frame.Function != "" {
			file := frame.File[strings.LastIndexByte(frame.File, '/')+1:]
			p.where = append(p.where, fmt.Sprintf("%s (%s:%d)", frame.Function, file, frame.Line))
		}
		if !more {
			break
		}
	}
	return p
}

// numbers are those in the runtime's text: an index may be a value.
var numbers = regexp.MustCompile(`\[?-?\d[\dA-Fa-fx]*:?\d*\]?`)

func describe(of any) string {
	if e, ok := of.(runtime.Error); ok {
		return numbers.ReplaceAllString(e.Error(), "…")
	}
	return fmt.Sprintf("a %T", of)
}
