package row

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// enough is how many bytes of JSON are more than MaxLength whatever they hold: a UTF-16 code unit takes three bytes of UTF-8 at
// most. An encoder that has written more stops there, since its caller drops it all: a value of 100 MiB would become 600 MiB.
const enough = 3 * MaxLength

// roomFor makes room for the JSON of a value that is not small at once: a buffer that grows by and by leaves several times its
// size behind.
func roomFor(dst, value []byte) []byte {
	if len(value) < 1<<20 {
		return dst
	}
	return slices.Grow(dst, min(longestEscape*len(value), enough+len(value))+slack)
}

// longestEscape is how many bytes of JSON a byte of a value becomes at most.
const longestEscape = len(`\u0000`)

// tooLong is an encoder's error for a value that was not written, as its JSON is longer than MaxLength.
type tooLong struct {
	least int // UTF-16 code units that it has at least
}

func (e *tooLong) Error() string { return fmt.Sprintf("its JSON has %d characters or more", e.least) }

// checkLength refuses what is to become JSON of at least one character for each of its own, which are UTF-8.
func checkLength(value []byte) error {
	if len(value) <= MaxLength {
		return nil
	}
	if least := utf8.RuneCount(value); least > MaxLength {
		return &tooLong{least}
	}
	return nil
}

// utf16Length counts the UTF-16 code units of UTF-8 text.
func utf16Length(s []byte) int {
	n := 0
	for _, b := range s {
		if b&0xC0 != 0x80 { // the first byte of a character
			n++
		}
		if b >= 0xF0 { // of one that takes a pair of surrogates
			n++
		}
	}
	return n
}
