package row

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// wrap makes an integer of that many bits signed or unsigned: the server prints those of older columns with the signedness that it
// assumes.
func wrap(value []byte, bits int, unsigned bool) ([]byte, error) {
	n, ok := new(big.Int).SetString(string(value), 10)
	if !ok {
		return nil, errMalformed
	}
	size := new(big.Int).Lsh(big.NewInt(1), uint(bits))
	least := new(big.Int).Neg(new(big.Int).Rsh(size, 1))
	if n.Cmp(least) < 0 || n.Cmp(size) >= 0 {
		return nil, errMalformed
	}
	if n.Mod(n, size); !unsigned && n.Bit(bits-1) == 1 {
		n.Sub(n, size)
	}
	return n.Append(nil, 10), nil
}

// number is a decimal number: its digits, and how many of them are fractional.
type number struct {
	digits *big.Int
	scale  int
}

// parseNumber parses "-12.50", and also ".5" and the empty text, which Vitess has sent for the 0 of a DECIMAL.
func parseNumber(value []byte) (number, bool) {
	text, err := appendDecimal(nil, value)
	if err != nil {
		return number{}, false
	}
	whole, fraction, _ := strings.Cut(string(text), ".")
	digits, ok := new(big.Int).SetString(whole+fraction, 10)
	return number{digits, len(fraction)}, ok
}

// round rounds a number to that many fractional digits, as MySQL does: half away from zero.
func (n number) round(scale int) number {
	digits := new(big.Int).Set(n.digits)
	if scale >= n.scale {
		return number{digits.Mul(digits, power(scale-n.scale)), scale}
	}
	unit := power(n.scale - scale)
	half := new(big.Int).Rsh(unit, 1)
	if digits.Sign() < 0 {
		half.Neg(half)
	}
	return number{digits.Quo(digits.Add(digits, half), unit), scale}
}

func power(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// text has at least one digit before the point.
func (n number) text() []byte {
	s := new(big.Int).Abs(n.digits).String()
	if missing := n.scale + 1 - len(s); missing > 0 {
		s = strings.Repeat("0", missing) + s
	}
	if n.scale > 0 {
		s = s[:len(s)-n.scale] + "." + s[len(s)-n.scale:]
	}
	if n.digits.Sign() < 0 {
		s = "-" + s
	}
	return []byte(s)
}

// toNumber converts between numbers.
func toNumber(from, to valueType) (conversion, error) {
	switch {
	case from.is(floatFamily):
		return fromFloat(from, to)
	case from.is(bitFamily) && to.is(bitFamily, integerFamily), from.is(yearFamily) && to.is(integerFamily, decimalFamily),
		from.is(integerFamily, decimalFamily) && to.is(integerFamily, decimalFamily, floatFamily),
		from.is(integerFamily) && to.is(yearFamily, bitFamily):
	default:
		return nil, errNotCertain
	}
	store, err := storeNumber(to)
	if err != nil {
		return nil, err
	}
	return func(value []byte) ([]byte, error) {
		n, ok := parseNumber(value)
		if from.is(bitFamily) {
			n, ok = number{new(big.Int).SetBytes(value), 0}, true
		}
		if !ok {
			return nil, errMalformed
		}
		return store(n)
	}, nil
}

// storeNumber creates the function that stores a number other than a float in a column.
func storeNumber(to valueType) (func(number) ([]byte, error), error) {
	switch to.family {
	case integerFamily:
		return func(n number) ([]byte, error) { return storeInteger(n, to) }, nil
	case decimalFamily:
		return func(n number) ([]byte, error) { return storeDecimal(n, to) }, nil
	case floatFamily:
		if to.Args != "" || to.unsigned {
			return nil, errNotCertain
		}
		return func(n number) ([]byte, error) {
			f, err := strconv.ParseFloat(string(n.text()), 64)
			if err != nil {
				return nil, errUnconvertible
			}
			return storeFloat(f, to)
		}, nil
	case yearFamily:
		return storeYear, nil
	case bitFamily:
		return func(n number) ([]byte, error) {
			if n.scale > 0 || n.digits.Sign() < 0 || n.digits.BitLen() > to.length {
				return nil, errUnconvertible
			}
			return n.digits.FillBytes(make([]byte, (to.length+7)/8)), nil
		}, nil
	}
	return nil, errNotCertain
}

func storeInteger(n number, to valueType) ([]byte, error) {
	rounded := n.round(0).digits
	least, most := new(big.Int), new(big.Int).Lsh(big.NewInt(1), uint(to.bits()))
	if !to.unsigned {
		most.Rsh(most, 1)
		least.Neg(most)
	} else if n.digits.Sign() < 0 {
		return nil, errUnconvertible
	}
	if rounded.Cmp(least) < 0 || rounded.Cmp(most) >= 0 {
		return nil, errUnconvertible
	}
	return rounded.Append(nil, 10), nil
}

func storeDecimal(n number, to valueType) ([]byte, error) {
	rounded := n.round(to.scale)
	if rounded.digits.CmpAbs(power(to.length)) >= 0 || to.unsigned && n.digits.Sign() < 0 {
		return nil, errUnconvertible
	}
	return rounded.text(), nil
}

func storeFloat(f float64, to valueType) ([]byte, error) {
	bits := 64
	if to.base == "float" {
		bits = 32
	}
	if math.IsNaN(f) || math.IsInf(f, 0) || bits == 32 && math.Abs(f) > math.MaxFloat32 {
		return nil, errUnconvertible
	}
	return strconv.AppendFloat(nil, f, 'E', -1, bits), nil
}

func storeYear(n number) ([]byte, error) {
	if n.scale > 0 || !n.digits.IsInt64() {
		return nil, errUnconvertible
	}
	year := n.digits.Int64()
	switch {
	case 1 <= year && year <= 69:
		year += 2000
	case 70 <= year && year <= 99:
		year += 1900
	case year != 0 && (year < 1901 || year > 2155):
		return nil, errUnconvertible
	}
	return fmt.Appendf(nil, "%04d", year), nil
}

// fromFloat converts FLOAT and DOUBLE to numbers. Integers are rounded half to even, as the processor does; a DECIMAL is rounded from the
// shortest text.
func fromFloat(from, to valueType) (conversion, error) {
	if from.Args != "" || to.is(floatFamily) && (to.Args != "" || to.unsigned) || !to.is(floatFamily, integerFamily, decimalFamily) {
		return nil, errNotCertain
	}
	bits := 64
	if from.base == "float" {
		bits = 32
	}
	return func(value []byte) ([]byte, error) {
		f, err := strconv.ParseFloat(string(value), bits)
		switch {
		case err != nil:
			return nil, errMalformed
		case to.is(floatFamily):
			return storeFloat(f, to)
		case to.is(integerFamily):
			f = math.RoundToEven(f)
		}
		n, ok := parseNumber(strconv.AppendFloat(nil, f, 'f', -1, 64))
		if !ok {
			return nil, errUnconvertible
		}
		if to.is(integerFamily) {
			return storeInteger(n, to)
		}
		return storeDecimal(n, to)
	}, nil
}

// printed converts numbers to text and bytes.
func printed(from, to valueType) (conversion, string, error) {
	if from.is(floatFamily, bitFamily) || from.zerofill && from.is(decimalFamily) {
		return nil, "", errNotCertain
	}
	digits := func(value []byte) ([]byte, error) {
		n, ok := parseNumber(value)
		if !ok {
			return nil, errMalformed
		}
		text := n.text()
		if width := from.length; from.zerofill || from.is(yearFamily) {
			if from.is(yearFamily) {
				width = len("2000")
			}
			text = append(bytes.Repeat([]byte("0"), max(0, width-len(text))), text...)
		}
		return text, nil
	}
	if to.is(textFamily) {
		return then(digits, asciiText(to))
	}
	c, _, err := then(digits, func(value []byte) ([]byte, error) { return fitBytes(value, to) })
	return c, "", err
}

// readNumber converts text to numbers; only the usual formats are certain.
func readNumber(from, to valueType) (conversion, error) {
	if to.is(bitFamily) || withoutASCII(from.charset) {
		return nil, errNotCertain
	}
	store, err := storeNumber(to)
	if err != nil {
		return nil, err
	}
	return func(value []byte) ([]byte, error) {
		value = bytes.TrimRight(value, " ")
		if !isNumber(value) {
			return nil, errUnconvertible
		}
		if to.is(yearFamily) && len(value) != len("2000") {
			return nil, errUnconvertible
		}
		if to.is(floatFamily) { // which has a negative zero
			f, err := strconv.ParseFloat(string(value), 64)
			if err != nil {
				return nil, errUnconvertible
			}
			return storeFloat(f, to)
		}
		n, ok := parseNumber(value)
		if !ok {
			return nil, errUnconvertible
		}
		return store(n)
	}, nil
}

// isNumber accepts "-12" and "12.5".
func isNumber(value []byte) bool {
	whole, fraction, point := bytes.Cut(bytes.TrimPrefix(value, []byte("-")), []byte("."))
	return len(whole) > 0 && allDigits(whole) && point == (len(fraction) > 0) && allDigits(fraction) && len(value) < maxNumber
}
