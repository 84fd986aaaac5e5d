package row

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// plain marks the bytes that stand for themselves in a JSON string.
var plain = func() (t [256]bool) {
	for b := ' '; b < utf8.RuneSelf; b++ {
		t[b] = b != '"' && b != '\\'
	}
	return t
}()

// Words of eight bytes that are all 1, and of their top bits.
const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// plainLen counts the plain bytes that s begins with, eight at a time: most text has no others.
func plainLen(s []byte) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := binary.LittleEndian.Uint64(s[i:])
		quote, backslash := w^ones*'"', w^ones*'\\'
		// A byte's top bit is set where it is below ' ', '"', '\\' or not ASCII; borrows mark later bytes only.
		if odd := ((w - ones*' ') | (quote - ones) | (backslash - ones) | w) & tops; odd != 0 {
			return i + bits.TrailingZeros64(odd)/8
		}
	}
	for i < len(s) && plain[s[i]] {
		i++
	}
	return i
}

// appendString appends UTF-8 text as a JSON string.
func appendString(dst, value []byte) []byte {
	dst = append(dst, '"')
	dst = appendText(dst, value)
	return append(dst, '"')
}

// appendText appends UTF-8 as the inside of a JSON string.
func appendText(dst, s []byte) []byte {
	done := 0
	for i := plainLen(s); i < len(s); i += plainLen(s[i:]) {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			if r, size = utf8.DecodeRune(s[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = append(dst, s[done:i]...)
		dst = appendRune(dst, r)
		i += size
		done = i
	}
	return append(dst, s[done:]...)
}

// appendRune appends one character as the inside of a JSON string.
func appendRune(dst []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	switch {
	case r >= utf8.RuneSelf:
		return utf8.AppendRune(dst, r)
	case plain[r]:
		return append(dst, byte(r))
	case r == '"', r == '\\':
		return append(dst, '\\', byte(r))
	case r == '\n':
		return append(dst, '\\', 'n')
	case r == '\r':
		return append(dst, '\\', 'r')
	case r == '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&0xF])
}

// encodeUTF8 is the encoder of text that is UTF-8 already.
func encodeUTF8(dst, value []byte) ([]byte, error) { return appendString(dst, value), nil }

// compileText builds the encoder for text in the column's character set.
func compileText(s source) (encoder, error) {
	cs := lookupCharset(s.charset)
	switch {
	case cs == nil:
		return encodeUTF8, nil
	case cs.MaxWidth() == 1:
		return compileOneByte(cs), nil
	}
	return func(dst, value []byte) ([]byte, error) {
		dst = append(dst, '"')
		for len(value) > 0 {
			r, size, ok := cs.DecodeRune(value)
			if !ok {
				r, size = utf8.RuneError, max(size, 1)
			}
			dst = appendRune(dst, r)
			value = value[min(size, len(value)):]
		}
		return append(dst, '"'), nil
	}, nil
}

// compileOneByte translates with a table, escapes included.
func compileOneByte(cs decoder) encoder {
	var table [256]string
	for b := range table {
		r, _, ok := cs.DecodeRune([]byte{byte(b)})
		if !ok {
			r = utf8.RuneError
		}
		table[b] = string(appendRune(nil, r))
	}
	return func(dst, value []byte) ([]byte, error) {
		dst = append(dst, '"')
		for _, b := range value {
			dst = append(dst, table[b]...)
		}
		return append(dst, '"'), nil
	}
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
