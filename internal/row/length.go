package row

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// enough is how many bytes of JSON are more than MaxLength whatever they hold: a UTF-16 code unit takes three bytes of UTF-8 at
// most. An encoder that has written more stops there, since its caller drops it all: a value of 100 MiB would become 600 MiB.
const enough = 3 * MaxLength

// measured is the length from which on a value's JSON is measured before there is room for it.
const measured = 1 << 20

// textLength is how many bytes of JSON appendText makes of s; it stops at more than enough.
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

// transcodedLength is how many bytes of JSON a text of another character set becomes; it stops at more than enough.
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

// exactRoom makes room for a value's JSON string, which has so many bytes inside, and for no more, as append would: what is made in vain
// is memory all the same, since it is cleared.
func exactRoom(dst, value []byte, inside int) []byte {
	if inside > enough { // it is broken off
		inside = enough + len(value)
	}
	n := inside + len(`""`) + 2*slack
	if cap(dst)-len(dst) >= n {
		return dst
	}
	return append(make([]byte, 0, len(dst)+n), dst...)
}

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
