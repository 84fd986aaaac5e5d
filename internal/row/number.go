package row

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
)

// maxNumber is the maximum length of a number in bytes; MySQL prints none with more than 330.
const maxNumber = 1024

// appendInteger appends an integer without leading zeros (ZEROFILL and YEAR have them).
func appendInteger(dst, value []byte) ([]byte, error) {
	if len(value) > 0 && '1' <= value[0] && value[0] <= '9' && len(value) <= maxNumber && allDigits(value) {
		return append(dst, value...), nil // as most are
	}
	if len(value) > maxNumber {
		return dst, errMalformed
	}
	digits, negative := bytes.CutPrefix(value, []byte("-"))
	if len(digits) == 0 || !allDigits(digits) {
		return dst, errMalformed
	}
	digits = trimZeros(digits)
	if negative && digits[0] != '0' {
		dst = append(dst, '-')
	}
	return append(dst, digits...), nil
}

// appendTruth appends an integer as a boolean.
func appendTruth(dst, value []byte) ([]byte, error) {
	if len(value) == 1 && isDigit(value[0]) {
		return strconv.AppendBool(dst, value[0] != '0'), nil // as nearly all values are
	}
	digits := bytes.TrimPrefix(value, []byte("-"))
	if len(digits) == 0 || !allDigits(digits) {
		return dst, errMalformed
	}
	return strconv.AppendBool(dst, !isZero(digits)), nil
}

// appendDecimal appends a DECIMAL with one zero before the point if there is no other digit, and no other leading zero. Vitess has
// formatted them as "000000012", ".5" and, for the 0 of a DECIMAL(p,0), as nothing (binlog.CellValue).
func appendDecimal(dst, value []byte) ([]byte, error) {
	if len(value) > maxNumber {
		return dst, errMalformed
	}
	point := bytes.IndexByte(value, '.')
	if point > 0 && (value[0] != '0' || point == 1) && point+1 < len(value) && allDigits(value[:point]) && allDigits(value[point+1:]) {
		return append(dst, value...), nil // as most are
	}
	digits, negative := bytes.CutPrefix(value, []byte("-"))
	whole, fraction, _ := bytes.Cut(digits, []byte("."))
	if !allDigits(whole) || !allDigits(fraction) || len(whole)+len(fraction) == 0 && len(value) > 0 {
		return dst, errMalformed
	}
	whole = trimZeros(whole)
	if negative && !(isZero(whole) && isZero(fraction)) {
		dst = append(dst, '-')
	}
	if len(whole) == 0 {
		dst = append(dst, '0')
	}
	dst = append(dst, whole...)
	if len(fraction) > 0 {
		dst = append(append(dst, '.'), fraction...)
	}
	return dst, nil
}

func appendFloat32(dst, value []byte) ([]byte, error) { return appendFloat(dst, value, 32) }

func appendFloat64(dst, value []byte) ([]byte, error) { return appendFloat(dst, value, 64) }

// appendFloat appends the shortest JSON number that reads back as the same float with that many bits.
func appendFloat(dst, value []byte, bits int) ([]byte, error) {
	if len(value) > maxNumber {
		return dst, errMalformed
	}
	for _, b := range value { // ParseFloat also accepts "inf", "nan", hexadecimal and underscores
		if !isDigit(b) && b != '.' && b != '-' && b != '+' && b != 'e' && b != 'E' {
			return dst, errMalformed
		}
	}
	f, err := strconv.ParseFloat(string(value), bits)
	if err != nil {
		return dst, errMalformed
	}
	return appendShortest(dst, f, bits), nil
}

// appendShortest prints small and large numbers with an exponent, as JavaScript and encoding/json do.
func appendShortest(dst []byte, f float64, bits int) []byte {
	abs := math.Abs(f)
	if abs == 0 || 1e-6 <= abs && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, bits)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, bits)
	if n := len(dst); dst[n-2] == '0' && !isDigit(dst[n-3]) { // strconv writes at least two digits of exponent
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// appendVector appends MySQL's VECTOR: 32-bit floats, little-endian.
func appendVector(dst, value []byte) ([]byte, error) {
	if len(value)%4 != 0 {
		return dst, errMalformed
	}
	if least := len(value) / 2; least > MaxLength { // a digit and a comma for four bytes
		return dst, &tooLong{least}
	}
	begin := len(dst)
	dst = append(roomFor(dst, value), '[')
	for i := 0; i < len(value) && len(dst)-begin <= MaxLength; i += 4 {
		f := float64(math.Float32frombits(binary.LittleEndian.Uint32(value[i:])))
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return dst, errNoJSON
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendShortest(dst, f, 32)
	}
	return append(dst, ']'), nil
}

// appendBit appends a BIT(1), which is one byte.
func appendBit(dst, value []byte) ([]byte, error) {
	if len(value) != 1 {
		return dst, errMalformed
	}
	return strconv.AppendBool(dst, value[0] != 0), nil
}

// appendBase64 appends bytes as they are, in base64.
func appendBase64(dst, value []byte) ([]byte, error) {
	if size := base64.StdEncoding.EncodedLen(len(value)) + len(`""`); size > MaxLength {
		return dst, &tooLong{size}
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, value)
	return append(dst, '"'), nil
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

func allDigits(s []byte) bool {
	for len(s) > 0 {
		w, size := word(s)
		// A digit XORed with '0' is its number. Bytes beyond the value are shifted out, and zeros, which are numbers, in.
		x := (w ^ ones*'0') << (8 * (8 - size))
		if (x|(x+ones*(0x7F-9)))&tops != 0 {
			return false
		}
		s = s[size:]
	}
	return true
}

// isZero reports whether a string of digits is zero, which includes the empty one.
func isZero(digits []byte) bool {
	for _, b := range digits {
		if b != '0' {
			return false
		}
	}
	return true
}

// trimZeros drops leading zeros but keeps at least one digit, if there is one.
func trimZeros(digits []byte) []byte {
	for len(digits) > 1 && digits[0] == '0' {
		digits = digits[1:]
	}
	return digits
}
