package crash

import (
	"strings"
	"testing"
)

// Only the first stack shows what crashed, and no part of the panic's value is mistaken for a stack, wherever the reader's buffer ends.
func TestDumps(t *testing.T) {
	const stack = "goroutine 7 [running]:\nmain.work(0x1, {0x2, 0x3})\n\t/src/work.go:12 +0x1d\nmain.main()\n\t/src/main.go:3 +0x2\n\n"
	const told = "the program panicked in main.work (work.go:12), called by main.main (main.go:3)"
	for name, c := range map[string]struct{ dump, want string }{
		"nothing":              {"", "the program crashed without a word"},
		"one stack":            {"panic: secret\n\n" + stack, told},
		"other goroutines":     {"panic: secret\n\n" + stack + "goroutine 8 [select]:\nmain.other()\n\t/src/other.go:5 +0x1\n", told},
		"a value of two lines": {"panic: secret\n\tgoroutine 1 [running]:\n\tmain.secret()\n\n" + stack, told},
		"a value cut so that the rest looks like a stack": {
			"panic: " + strings.Repeat("x", 4096-len("panic: ")) + "goroutine 1 [running]:\n\n" + strings.Repeat("y", 4096) + "main.secret()\n\n" + stack, told,
		},
		"a text of the runtime":   {"panic: runtime error: index out of range [5] with length 3\n\n" + stack, strings.Replace(told, " in", " with index out of range in", 1)},
		"an error of the runtime": {"fatal error: all 17 goroutines are asleep\n\n" + stack, strings.Replace(told, "panicked", "crashed with an error of Go's runtime: all … goroutines are asleep", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := readDump(strings.NewReader(c.dump)).Error(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
