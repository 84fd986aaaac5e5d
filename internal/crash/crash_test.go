package crash

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestGuardReturnsWhatIsReturned(t *testing.T) {
	if err := Guard(func() error { return io.EOF }); err != io.EOF { //nolint:errorlint // the same
		t.Errorf("got %v", err)
	}
	if err := Guard(func() error { return nil }); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestPanicsAreErrorsWithoutValues(t *testing.T) {
	const secret = 40404
	var row map[string]int
	list := []int{1}
	var value any = "40404"
	for words, f := range map[string]func(){
		"index out of range":             func() { list[secret-len(row)]++ },
		"slice bounds out of range":      func() { _ = "40404"[secret-len(row):] },
		"assignment to entry in nil map": func() { row["40404"] = secret },
		"nil pointer dereference":        func() { _ = *(*int)(nil) },
		"is string, not int":             func() { _ = value.(int) },
		"integer divide by zero":         func() { _ = secret / len(row) },
		"makeslice: len out of range":    func() { _ = make([]int, -secret-len(row)) },
		"a string":                       func() { panic("40404") },
		"a *errors.errorString":          func() { panic(errors.New("40404")) },
		"a *fmt.wrapError":               func() { panic(fmt.Errorf("%w: 40404", io.EOF)) },
		"a *runtime.PanicNilError":       func() { panic(nil) },
		"strings.Repeat":                 func() { _ = strings.Repeat("40404", -1) },
		"a map[string]int":               func() { panic(map[string]int{"40404": secret}) },
		"hash of unhashable type":        func() { _ = map[any]int{any(func() {}): 1} },
		"a struct { v string }":          func() { panic(struct{ v string }{"40404"}) },
		"crash.deep":                     func() { deep(50, "40404") },
	} {
		err := Guard(func() error { f(); return nil })
		var p *Panic
		if !errors.As(err, &p) {
			t.Errorf("%s: got %v", words, err)
			continue
		}
		text := err.Error()
		if !strings.Contains(text, words) && words != "a *runtime.PanicNilError" || strings.Contains(text, "40404") ||
			!strings.Contains(text, "crash_test.go:") {
			t.Errorf("%s: got %s", words, text)
		}
		if len(text) > 3000 || strings.Contains(text, "\n") {
			t.Errorf("%s: a text of %d bytes", words, len(text))
		}
	}
}

func deep(n int, value string) {
	if n == 0 {
		panic(value)
	}
	deep(n-1, value)
}
