package row

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"
)

// Words of eight bytes that are all 1, and of their top bits.
const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// odd marks, by their top bits, the bytes of a word that cannot be used unchanged in a JSON string: control characters, '"', '\\' and
// whatever is not ASCII. It says nothing about the bytes after the first marked one: they may have lent it a bit.
func odd(w uint64) uint64 {
	// XORed with 2, '"' and ' ' swap places: '"' joins the control characters below, ' ' leaves them.
	return (w | ((w ^ ones*2) - ones*('"'-1)) | ((w ^ ones*'\\') - ones)) & tops
}

// word reads up to eight bytes of s, which is not empty, and returns how many they are; bytes beyond s are spaces. It reads past the end
// of s if s is a part of something, because one load is faster than a loop.
func word(s []byte) (w uint64, size int) {
	if len(s) >= 8 {
		return binary.LittleEndian.Uint64(s), 8
	}
	if cap(s) >= 8 {
		ours := uint64(1)<<(8*len(s)) - 1
		return binary.LittleEndian.Uint64(s[:8])&ours | ones*' '&^ours, len(s)
	}
	var own [8]byte
	copy(own[:], "        ")
	copy(own[:], s)
	return binary.LittleEndian.Uint64(own[:]), len(s)
}

// plainLen counts the leading bytes of s that can be used unchanged, eight at a time: most text has no others.
func plainLen(s []byte) int {
	for i := 0; i < len(s); {
		w, size := word(s[i:])
		if marks := odd(w); marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
		i += size
	}
	return len(s)
}

// appendString appends UTF-8 text as a JSON string.
func appendString(dst, value []byte) []byte {
	dst = append(dst, '"')
	dst = appendText(dst, value)
	return append(dst, '"')
}

// slack is more than what appendText writes ahead, or for one byte.
const slack = 16

// appendText appends UTF-8 as the contents of a JSON string. Each word is written before it is examined; what is odd in it, and what
// follows that, is overwritten.
func appendText(dst, s []byte) []byte {
	dst = slices.Grow(dst, len(s)+slack)
	out, n := dst[:cap(dst)], len(dst)
	for i := 0; i < len(s); {
		var marks uint64
		for ; len(s)-i >= 8; i, n = i+8, n+8 {
			w := binary.LittleEndian.Uint64(s[i:])
			binary.LittleEndian.PutUint64(out[n:], w)
			if marks = odd(w); marks != 0 {
				break
			}
		}
		if marks == 0 {
			if i == len(s) {
				break
			}
			w, size := word(s[i:])
			binary.LittleEndian.PutUint64(out[n:], w)
			if marks = odd(w); marks == 0 {
				n += size
				break
			}
		}
		plain := bits.TrailingZeros64(marks) / 8
		i, n = i+plain, n+plain
		if b := s[i]; b < utf8.RuneSelf {
			escape := &escapes[b]
			binary.LittleEndian.PutUint64(out[n:], escape.word)
			n += escape.size
			i++
		} else {
			size, valid := runeLen(s[i:])
			if valid {
				n += copy(out[n:], s[i:i+size])
			} else {
				n += copy(out[n:], "\uFFFD")
			}
			i += size
		}
		if len(out)-n < len(s)-i+slack {
			if n-len(dst) > enough {
				break
			}
			out = slices.Grow(roomFor(out[:n], s[i:]), len(s)-i+slack)
			out = out[:cap(out)]
		}
	}
	return out[:n]
}

// runeLen returns the number of bytes of the non-ASCII character that s begins with; an invalid one counts as one byte.
func runeLen(s []byte) (size int, valid bool) {
	if len(s) > 1 && 0xC2 <= s[0] && s[0] <= 0xDF && s[1]&0xC0 == 0x80 {
		return 2, true
	}
	r, size := utf8.DecodeRune(s)
	return size, r != utf8.RuneError || size > 1
}

// escapes are the JSON escapes of ASCII bytes: a word of up to six bytes, and how many they are; zero for a byte that needs none.
var escapes = func() (t [utf8.RuneSelf]struct {
	word uint64
	size int
},
) {
	for b := range t {
		if odd(uint64(b)|ones*' '&^0xFF) == 0 {
			continue
		}
		text := fmt.Sprintf(`\u%04x`, b)
		if short := strings.IndexByte("\"\\\n\r\t", byte(b)); short >= 0 {
			text = `\` + `"\nrt`[short:short+1]
		}
		var word [8]byte
		t[b].size = copy(word[:], text)
		t[b].word = binary.LittleEndian.Uint64(word[:])
	}
	return t
}()

// appendRune appends one character as the contents of a JSON string.
func appendRune(dst []byte, r rune) []byte {
	if r >= utf8.RuneSelf || escapes[r].size == 0 {
		return utf8.AppendRune(dst, r)
	}
	escape := &escapes[r]
	return binary.LittleEndian.AppendUint64(dst, escape.word)[:len(dst)+escape.size]
}

// encodeUTF8 is the encoder of text that is already UTF-8.
func encodeUTF8(dst, value []byte) ([]byte, error) {
	if err := checkLength(value); err != nil {
		return dst, err
	}
	if len(value) >= measured {
		dst = exactRoom(dst, value, textLength(value))
	}
	return appendString(dst, value), nil
}

// compileText builds the encoder for text in the column's character set.
func compileText(s source) (encoder, error) {
	cs := lookupCharset(s.charset)
	switch {
	case cs == nil:
		return encodeUTF8, nil
	case cs.MaxWidth() == 1:
		return compileOneByte(cs), nil
	}
	width := cs.MaxWidth()
	return func(dst, value []byte) ([]byte, error) {
		if least := len(value) / width; least > MaxLength {
			return dst, &tooLong{least}
		}
		if len(value) >= measured {
			dst = exactRoom(dst, value, transcodedLength(cs, value))
		}
		begin := len(dst)
		dst = append(dst, '"')
		for len(value) > 0 && len(dst)-begin <= enough {
			r, size := decodeRune(cs, value)
			dst = appendRune(dst, r)
			value = value[size:]
		}
		return append(dst, '"'), nil
	}, nil
}

// decodeRune decodes the first character of a text, U+FFFD if it is invalid.
func decodeRune(cs decoder, text []byte) (r rune, size int) {
	r, size, ok := cs.DecodeRune(text)
	if !ok {
		r, size = utf8.RuneError, max(size, 1)
	}
	return r, min(size, len(text))
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
		if len(value) > MaxLength {
			return dst, &tooLong{len(value)}
		}
		if len(value) >= measured {
			n := 0
			for _, b := range value {
				n += len(table[b])
			}
			dst = exactRoom(dst, value, n)
		}
		begin := len(dst)
		dst = append(dst, '"')
		for _, b := range value {
			if len(dst)-begin > enough {
				break
			}
			dst = append(dst, table[b]...)
		}
		return append(dst, '"'), nil
	}
}
