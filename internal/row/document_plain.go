package row

import (
	"bytes"
	"math/bits"
	"unicode/utf8"
)

// isDocument reports whether src is a JSON document on one line that needs no repair, as nearly all are. In case of doubt it returns
// false, and leaves the document to the slower mendDocument, which changes nothing where this returns true (FuzzDocument).
func isDocument(src []byte) bool {
	var open [maxDepth]byte
	depth := 0
	for i := spaceEnd(src, 0); ; {
		var opened bool
		if i, opened = valueEnd(src, i); i < 0 {
			return false
		}
		if opened {
			if depth == maxDepth {
				return false
			}
			open[depth] = src[i-1]
			depth++
		} else {
			if i, depth = closingEnd(src, i, &open, depth); i < 0 || depth == 0 {
				return i == len(src)
			}
			i++ // the comma
		}
		i = spaceEnd(src, i)
		if open[depth-1] == '{' {
			if i = keyEnd(src, i); i < 0 {
				return false
			}
		}
	}
}

// valueEnd returns where the value at i ends: a scalar, or an empty array or object; for any other array or object, where its contents
// begin (opened). All these functions return -1 for what they do not accept.
func valueEnd(src []byte, i int) (end int, opened bool) {
	if i >= len(src) {
		return -1, false
	}
	switch b := src[i]; b {
	case '"':
		return textEnd(src, i+1), false
	case '{', '[':
		inside := spaceEnd(src, i+1)
		if inside < len(src) && src[inside] == b+2 { // '}' or ']'
			return inside + 1, false
		}
		return i + 1, true
	case 't':
		return wordEnd(src, i, "true"), false
	case 'f':
		return wordEnd(src, i, "false"), false
	case 'n':
		return wordEnd(src, i, "null"), false
	}
	return numberEnd(src, i), false
}

// closingEnd skips the ends of arrays and objects after a value. It returns where the comma is, or the end with depth 0.
func closingEnd(src []byte, i int, open *[maxDepth]byte, depth int) (end, left int) {
	for {
		i = spaceEnd(src, i)
		switch {
		case depth == 0:
			return i, 0
		case i >= len(src):
			return -1, depth
		case src[i] == ',':
			return i, depth
		case src[i] != open[depth-1]+2:
			return -1, depth
		}
		i++
		depth--
	}
}

// keyEnd returns where the key at i ends, including its colon and the white space after it.
func keyEnd(src []byte, i int) int {
	if i >= len(src) || src[i] != '"' {
		return -1
	}
	if i = textEnd(src, i+1); i < 0 {
		return -1
	}
	if i = spaceEnd(src, i); i >= len(src) || src[i] != ':' {
		return -1
	}
	return spaceEnd(src, i+1)
}

func spaceEnd(src []byte, i int) int {
	for i < len(src) && (src[i] == ' ' || src[i] == '\t') {
		i++
	}
	return i
}

func wordEnd(src []byte, i int, word string) int {
	if !bytes.HasPrefix(src[i:], []byte(word)) {
		return -1
	}
	return i + len(word)
}

// textEnd returns the end of a string's contents and its closing quote.
func textEnd(src []byte, i int) int {
	for i < len(src) {
		w, size := word(src[i:])
		marks := odd(w)
		if marks == 0 {
			i += size
			continue
		}
		i += bits.TrailingZeros64(marks) / 8
		switch b := src[i]; {
		case b == '"':
			return i + 1
		case b == '\\':
			if i = escapeEnd(src, i+1); i < 0 {
				return -1
			}
		case b < utf8.RuneSelf:
			return -1
		default:
			size, valid := runeLen(src[i:])
			if !valid {
				return -1
			}
			i += size
		}
	}
	return -1
}

// escapeEnd returns the end of what follows a backslash.
func escapeEnd(src []byte, i int) int {
	if i >= len(src) {
		return -1
	}
	switch src[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		d := document{src: src, pos: i + 1}
		if _, ok := d.hex(4); ok {
			return d.pos
		}
	}
	return -1
}

func numberEnd(src []byte, i int) int {
	if src[i] == '-' {
		i++
	}
	whole := i
	if i = digitsEnd(src, i); i == whole || src[whole] == '0' && i > whole+1 {
		return -1
	}
	if i < len(src) && src[i] == '.' {
		fraction := i + 1
		if i = digitsEnd(src, fraction); i == fraction {
			return -1
		}
	}
	if i < len(src) && src[i]|0x20 == 'e' {
		i++
		if i < len(src) && (src[i] == '-' || src[i] == '+') {
			i++
		}
		exponent := i
		if i = digitsEnd(src, exponent); i == exponent {
			return -1
		}
	}
	return i
}

func digitsEnd(src []byte, i int) int {
	for i < len(src) && isDigit(src[i]) {
		i++
	}
	return i
}
