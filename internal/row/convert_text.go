package row

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"vitess.io/vitess/go/mysql/collations/charset"

	"source-planetscale/internal/table"
)

// pad pads a BINARY with zeros.
func pad(value []byte, length int) ([]byte, error) {
	if len(value) > length {
		return nil, errMalformed
	}
	return append(bytes.Clone(value), make([]byte, length-len(value))...), nil
}

// fitBytes stores bytes in a column of bytes.
func fitBytes(value []byte, to valueType) ([]byte, error) {
	switch {
	case len(value) > to.length:
		return nil, errUnconvertible
	case to.base == "binary":
		return pad(value, to.length)
	}
	return value, nil
}

// withoutASCII reports whether a character set uses more than one byte for an ASCII character, or is unknown.
func withoutASCII(charset string) bool {
	switch charset {
	case "utf16", "utf16le", "utf32", "ucs2", table.UnknownCharset:
		return true
	}
	return !knownCharset(charset)
}

// recode converts between texts and bytes.
func recode(from, to valueType) (conversion, string, error) {
	switch {
	case from.is(bytesFamily) && to.is(bytesFamily):
		return func(value []byte) ([]byte, error) { return fitBytes(value, to) }, "", nil
	case from.is(textFamily) && from.spelled == table.UnknownCharset:
		return nil, "", errors.New("its character set at that time is not known")
	case to.is(bytesFamily):
		if from.spelled == from.charset {
			return func(value []byte) ([]byte, error) { return fitBytes(value, to) }, "", nil
		}
		return func(value []byte) ([]byte, error) {
			value, err := fromUTF8(value, from.charset)
			if err != nil {
				return nil, err
			}
			return fitBytes(value, to)
		}, "", nil
	case from.is(bytesFamily):
		if withoutASCII(to.charset) {
			return nil, "", errNotCertain
		}
		return then(func(value []byte) ([]byte, error) { return toUTF8(value, to.charset) }, utf8Text(to))
	case to.charset == table.UnknownCharset || !knownCharset(to.charset):
		return nil, "", errors.New("its character set is not known")
	}
	store := utf8Text(to)
	return then(func(value []byte) ([]byte, error) {
		text, err := toUTF8(value, from.spelled)
		if err == nil && withoutASCII(from.charset) && to.counted() && utf8.RuneCount(text) > to.length {
			return nil, errUnconvertible // MySQL does not treat its spaces as such
		}
		return text, err
	}, store)
}

// toUTF8 converts a text without loss.
func toUTF8(value []byte, name string) ([]byte, error) {
	cs := lookupCharset(name)
	if cs == nil {
		if !utf8.Valid(value) || name == "utf8mb3" && bytes.ContainsFunc(value, beyond) {
			return nil, errUnconvertible
		}
		return value, nil
	}
	text := make([]byte, 0, len(value))
	for len(value) > 0 {
		r, size, ok := cs.DecodeRune(value)
		if !ok || size <= 0 || size > len(value) {
			return nil, errUnconvertible
		}
		text = utf8.AppendRune(text, r)
		value = value[size:]
	}
	return text, nil
}

func beyond(r rune) bool { return r > 0xFFFF }

// fromUTF8 is toUTF8's opposite.
func fromUTF8(text []byte, name string) ([]byte, error) {
	if name == "utf8mb4" || name == "utf8mb3" && !bytes.ContainsFunc(text, beyond) {
		return text, nil
	}
	cs, known := lookupCharset(name).(charset.Charset)
	var value []byte
	var buffer [8]byte
	for _, r := range string(text) {
		n := -1
		switch {
		case known:
			n = cs.EncodeRune(buffer[:], r)
		case r < utf8.RuneSelf && name != "utf8mb3": // of gbk, big5 and tis620
			buffer[0], n = byte(r), 1
		}
		if n <= 0 {
			return nil, errUnconvertible
		}
		value = append(value, buffer[:n]...)
	}
	return value, nil
}

// counted reports whether a text has a declared number of characters.
func (v *valueType) counted() bool { return v.base == "char" || v.base == "varchar" }

// utf8Text stores UTF-8 in a text column.
func utf8Text(to valueType) conversion {
	return func(text []byte) ([]byte, error) {
		if to.base == "char" {
			text = bytes.TrimRight(text, " ")
		}
		for to.counted() && utf8.RuneCount(text) > to.length {
			if text[len(text)-1] != ' ' { // spaces may be lost
				return nil, errUnconvertible
			}
			text = text[:len(text)-1]
		}
		value, err := fromUTF8(text, to.charset)
		if err != nil || !to.counted() && len(value) > to.length {
			return nil, errUnconvertible
		}
		return text, nil
	}
}

// asciiText is utf8Text for text that every character set can represent.
func asciiText(to valueType) conversion {
	if to.charset == table.UnknownCharset {
		to.charset = "utf8mb4"
	}
	return utf8Text(to)
}
