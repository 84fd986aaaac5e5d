package row

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// enough is a number of bytes of JSON that exceeds MaxLength whatever they contain: a UTF-16 code unit takes at most three bytes of
// UTF-8. An encoder that has written more stops there, because its caller discards everything: a value of 100 MiB would become 600 MiB.
const enough = 3 * MaxLength

// measured is the length from which a value's JSON is measured before memory is allocated for it.
const measured = 1 << 20

// textLength is how many bytes of JSON appendText would write for s; it stops at more than enough.
func textLength(s []byte) int {
	n := len(s)
	for i := 0; i < len(s) && n <= enough; {
		if i += plainLen(s[i:]); i == len(s) {
			break
		}
		if b := s[i]; b < utf8.RuneSelf {
			n += escapes[b].size - 1
			i++
			continue
		}
		size, valid := runeLen(s[i:])
		if !valid {
			n += len("\uFFFD") - size
		}
		i += size
	}
	return n
}

// transcodedLength is how many bytes of JSON a text of another character set takes; it stops at more than enough.
func transcodedLength(cs decoder, text []byte) int {
	n := 0
	var space [8]byte // a word
	for len(text) > 0 && n <= enough {
		r, size := decodeRune(cs, text)
		n += len(appendRune(space[:0], r))
		text = text[size:]
	}
	return n
}

// exactRoom allocates room for a value's JSON string with that many bytes inside, and no more, as append would: unused memory counts all
// the same, because it is cleared.
func exactRoom(dst, value []byte, inside int) []byte {
	if inside > enough { // it is cut off
		inside = enough + len(value)
	}
	n := inside + len(`""`) + 2*slack
	if cap(dst)-len(dst) >= n {
		return dst
	}
	return append(make([]byte, 0, len(dst)+n), dst...)
}

// roomFor allocates room for the JSON of a value that is not small in one step: a buffer that grows gradually leaves several times its
// size behind.
func roomFor(dst, value []byte) []byte {
	if len(value) < 1<<20 {
		return dst
	}
	return slices.Grow(dst, min(longestEscape*len(value), enough+len(value))+slack)
}

// longestEscape is the maximum number of bytes of JSON per byte of a value.
const longestEscape = len(`\u0000`)

// tooLong is an encoder's error for a value that was not written, because its JSON is longer than MaxLength.
type tooLong struct {
	least int // minimum number of UTF-16 code units
}

func (e *tooLong) Error() string { return fmt.Sprintf("its JSON has %d characters or more", e.least) }

// checkLength refuses values whose JSON has at least one character for each of theirs, which are UTF-8.
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
		if b >= 0xF0 { // of one that takes a surrogate pair
			n++
		}
	}
	return n
}
