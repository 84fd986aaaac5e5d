package row

import (
	"bytes"
	"unicode/utf8"
)

// maxDepth is the deepest nesting of a document. MySQL's own limit is 100 (ER_JSON_DOCUMENT_TOO_DEEP).
const maxDepth = 128

// appendDocument appends the text of a JSON column. Every byte of it is checked, so that exactly one JSON value on one line is appended.
func appendDocument(dst, value []byte) ([]byte, error) {
	if err := checkLength(value); err != nil {
		return dst, err
	}
	if isDocument(value) {
		return append(dst, value...), nil
	}
	return mendDocument(dst, value)
}

// mendDocument repairs what Vitess formats wrongly in the binlog if the meaning is clear:
//
//   - numbers without a digit before the point, or with superfluous zeros: `.50`, `-.5`, `007` (binlog.CellValue's DECIMAL)
//   - Go's escapes, which JSON does not have: `\x1f`, `\a`, `\v`, `\U0001f600` (strconv.AppendQuote in older releases)
//
// Anything else that is not JSON is errNoJSON, such as a document whose beginning Vitess cut off (json.Value.MarshalTo before 24.0.3, at
// a BLOB), which always leaves an unmatched bracket.
func mendDocument(dst, value []byte) ([]byte, error) {
	d := document{dst: roomFor(dst, value), begin: len(dst), src: value}
	if !d.scan() && len(d.dst)-len(dst) <= enough {
		return d.dst, errNoJSON
	}
	return append(d.dst, value[d.copied:]...), nil
}

// document is one pass over a JSON text.
type document struct {
	dst    []byte
	begin  int // of the document in dst
	src    []byte
	pos    int // next byte to look at
	copied int // src[:copied] is already in dst, repaired
	stack  [maxDepth]byte
	depth  int
}

// peek returns the next byte, or 0 at the end: no JSON token begins with that byte.
func (d *document) peek() byte {
	if d.pos < len(d.src) {
		return d.src[d.pos]
	}
	return 0
}

// accept moves past the next byte if it is b.
func (d *document) accept(b byte) bool {
	if d.peek() != b || d.pos == len(d.src) {
		return false
	}
	d.pos++
	return true
}

// mend replaces the source from start to pos by text.
func (d *document) mend(start int, text string) {
	d.dst = append(d.dst, d.src[d.copied:start]...)
	d.dst = append(d.dst, text...)
	d.copied = d.pos
	if len(d.dst)-d.begin > enough {
		d.pos, d.copied = len(d.src), len(d.src)
	}
}

// scan reads one value and reports whether there is nothing else.
func (d *document) scan() bool {
	for {
		d.space()
		opened, ok := d.value()
		if !ok {
			return false
		}
		if opened {
			continue
		}
		more, ok := d.after()
		if !ok || !more {
			return ok
		}
	}
}

// value reads a scalar, an empty array or object, or an opening bracket: then the next value follows first (opened).
func (d *document) value() (opened, ok bool) {
	switch b := d.peek(); {
	case b == '{' || b == '[':
		d.pos++
		d.space()
		if d.accept(b + 2) { // '}' or ']'
			return false, true
		}
		if d.depth == maxDepth {
			return false, false
		}
		d.stack[d.depth] = b
		d.depth++
		return true, b == '[' || d.key()
	case b == '"':
		return false, d.text()
	case b == '-' || b == '.' || isDigit(b):
		return false, d.number()
	}
	return false, d.literal("null") || d.literal("true") || d.literal("false")
}

// after reads what follows a value: the ends of arrays and objects, then a comma (more) or the end of the text.
func (d *document) after() (more, ok bool) {
	for {
		d.space()
		if d.depth == 0 {
			return false, d.pos == len(d.src)
		}
		open := d.stack[d.depth-1]
		switch {
		case d.accept(','):
			d.space()
			return true, open == '[' || d.key()
		case d.accept(open + 2):
			d.depth--
		default:
			return false, false
		}
	}
}

// key reads an object's key and the colon.
func (d *document) key() bool {
	if !d.text() {
		return false
	}
	d.space()
	return d.accept(':')
}

// space skips white space; line ends in it become spaces.
func (d *document) space() {
	for {
		switch d.peek() {
		case '\n', '\r':
			d.pos++
			d.mend(d.pos-1, " ")
		case ' ', '\t':
			d.pos++
		default:
			return
		}
	}
}

func (d *document) literal(word string) bool {
	if !bytes.HasPrefix(d.src[d.pos:], []byte(word)) {
		return false
	}
	d.pos += len(word)
	return true
}

// number reads a number, repairing its whole part.
func (d *document) number() bool {
	d.accept('-')
	start := d.pos
	whole := d.digits()
	d.wholePart(start, whole)
	if d.accept('.') {
		if d.digits() == 0 {
			return false
		}
	} else if whole == 0 {
		return false
	}
	if d.accept('e') || d.accept('E') {
		if !d.accept('-') {
			d.accept('+')
		}
		return d.digits() > 0
	}
	return true
}

// wholePart repairs the digits before the point: no missing zero, no superfluous ones.
func (d *document) wholePart(start, digits int) {
	if digits == 0 {
		d.mend(start, "0")
		return
	}
	trimmed := trimZeros(d.src[start:d.pos])
	if end := d.pos; len(trimmed) < digits {
		d.pos -= len(trimmed)
		d.mend(start, "")
		d.pos = end
	}
}

// digits skips digits and counts them.
func (d *document) digits() int {
	start := d.pos
	for isDigit(d.peek()) {
		d.pos++
	}
	return d.pos - start
}

// text reads a string.
func (d *document) text() bool {
	if !d.accept('"') {
		return false
	}
	for {
		d.pos += plainLen(d.src[d.pos:])
		if d.pos == len(d.src) {
			return false
		}
		switch d.src[d.pos] {
		case '"':
			d.pos++
			return true
		case '\\':
			if !d.escape() {
				return false
			}
		default:
			d.odd()
		}
	}
}

// odd reads a character that is not ASCII, or a control character, which JSON requires to be escaped.
func (d *document) odd() {
	r, size := utf8.DecodeRune(d.src[d.pos:])
	d.pos += size
	if r < utf8.RuneSelf || r == utf8.RuneError && size == 1 {
		d.mendRune(d.pos-size, r)
	}
}

// escape reads a backslash and the rest of the escape.
func (d *document) escape() bool {
	start := d.pos
	d.pos++
	b := d.peek()
	d.pos++
	switch b {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		_, ok := d.hex(4)
		return ok
	case 'U':
		return d.mendHex(start, 8)
	case 'x':
		return d.mendHex(start, 2)
	case 'a':
		d.mendRune(start, '\a')
		return true
	case 'v':
		d.mendRune(start, '\v')
		return true
	}
	return false
}

// mendHex reads one of Go's escapes with that many digits; a byte above 127 was not part of a character.
func (d *document) mendHex(start, digits int) bool {
	r, ok := d.hex(digits)
	if digits == 2 && r >= utf8.RuneSelf || !utf8.ValidRune(r) {
		r = utf8.RuneError
	}
	if ok {
		d.mendRune(start, r)
	}
	return ok
}

func (d *document) mendRune(start int, r rune) {
	var buffer [8]byte
	d.mend(start, string(appendRune(buffer[:0], r)))
}

// hex reads that many hexadecimal digits.
func (d *document) hex(digits int) (r rune, ok bool) {
	for range digits {
		b := d.peek()
		d.pos++
		switch {
		case isDigit(b):
			r = r<<4 | rune(b-'0')
		case 'a' <= b|0x20 && b|0x20 <= 'f':
			r = r<<4 | rune(b|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}
