// Package crash makes a panic an error: the program ends with a message and an exit code that say what happened, not with a stack
// on stderr that holds values. Guard does it where a goroutine is ours; for all others Watch is a second process, which sees the end of
// the one that works.
package crash

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"
)

// Guard returns what f returns, or its panic as a *Panic. Each goroutine that we start runs inside one, and so does each function
// of ours that a library calls in a goroutine of its own.
func Guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = newPanic(p)
		}
	}()
	return f()
}

// Panic is an error in the program: ours, or a library's that we called.
type Panic struct {
	what  string
	where []string // functions with files and lines, the innermost first
}

// Error has no values: neither what was panicked with, unless it is the runtime's own words, nor functions' arguments.
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

// frames is how many functions of the stack are told.
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

// numbers are those in the runtime's words: an index may be a value.
var numbers = regexp.MustCompile(`\[?-?\d[\dA-Fa-fx]*:?\d*\]?`)

func describe(of any) string {
	if e, ok := of.(runtime.Error); ok {
		return numbers.ReplaceAllString(e.Error(), "…")
	}
	return fmt.Sprintf("a %T", of)
}
