package row

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

const (
	dateLayout     = "2006-01-02"
	datetimeLayout = "2006-01-02 15:04:05"
)

// toTime converts between DATE, DATETIME and TIME, and between TIMESTAMPs.
func toTime(from, to valueType) (conversion, error) {
	switch {
	case from.family == to.family && from.length == to.length:
		return nil, nil
	case from.family == to.family && to.is(timeFamily):
		return func(value []byte) ([]byte, error) { return roundTime(value, to.length) }, nil
	case from.family == to.family, from.is(dateFamily) && to.is(datetimeFamily):
		return func(value []byte) ([]byte, error) { return roundDatetime(value, to) }, nil
	case from.is(datetimeFamily) && to.is(dateFamily):
		return func(value []byte) ([]byte, error) {
			second, err := roundDatetime(value, valueType{}) // the last half second rounds to the next day
			if err != nil {
				return nil, err
			}
			return second[:len(dateLayout)], nil
		}, nil
	}
	return nil, errNotCertain
}

// roundDatetime rounds a DATE, DATETIME or TIMESTAMP to that many fractional digits, half away from zero.
func roundDatetime(value []byte, to valueType) ([]byte, error) {
	if len(value) == len(dateLayout) {
		value = append(bytes.Clone(value), " 00:00:00"...)
	}
	if len(value) < len(datetimeLayout) {
		return nil, errMalformed
	}
	second, fraction := value[:len(datetimeLayout)], value[len(datetimeLayout):]
	digits, carry, err := roundFraction(fraction, to.length)
	if err != nil || !carry {
		return append(bytes.Clone(second), digits...), err
	}
	t, err := time.Parse(datetimeLayout, string(second))
	last := "9999-12-31 23:59:59"
	if to.is(timestampFamily) {
		last = "2038-01-19 03:14:07"
	}
	if err != nil || t.Year() == 0 || string(second) >= last {
		return nil, errUnconvertible
	}
	return append(t.Add(time.Second).AppendFormat(nil, datetimeLayout), digits...), nil
}

// roundTime rounds a TIME to that many fractional digits.
func roundTime(value []byte, length int) ([]byte, error) {
	second, fraction := value, []byte(nil)
	if i := bytes.IndexByte(value, '.'); i >= 0 {
		second, fraction = value[:i], value[i:]
	}
	digits, carry, err := roundFraction(fraction, length)
	if err != nil || !carry {
		return append(bytes.Clone(second), digits...), err
	}
	clock, negative := strings.CutPrefix(string(second), "-")
	var h, m, s int
	if _, err := fmt.Sscanf(clock, "%d:%d:%d", &h, &m, &s); err != nil {
		return nil, errMalformed
	}
	if s++; s == 60 {
		m, s = m+1, 0
	}
	if m == 60 {
		h, m = h+1, 0
	}
	if h > 838 {
		return nil, errUnconvertible
	}
	sign := ""
	if negative {
		sign = "-"
	}
	return fmt.Appendf(nil, "%s%02d:%02d:%02d%s", sign, h, m, s, digits), nil
}

// roundFraction rounds ".1234" to that many digits, and reports whether a second must be added.
func roundFraction(fraction []byte, length int) (digits []byte, carry bool, err error) {
	if !isFraction(fraction) {
		return nil, false, errMalformed
	}
	n, ok := parseNumber(append([]byte("0"), fraction...))
	if !ok {
		return nil, false, errMalformed
	}
	n = n.round(length)
	carry = n.digits.Cmp(power(length)) >= 0
	if carry {
		n.digits.Sub(n.digits, power(length))
	}
	return bytes.TrimPrefix(n.text(), []byte("0")), carry, nil
}

// readTime converts text to DATE, DATETIME and TIME; only MySQL's own format is certain.
func readTime(from, to valueType) (conversion, error) {
	if withoutASCII(from.charset) {
		return nil, errNotCertain
	}
	return func(value []byte) ([]byte, error) {
		second := value
		if i := bytes.IndexByte(value, '.'); i >= 0 && isFraction(value[i:]) {
			second = value[:i]
		}
		switch {
		case to.is(timeFamily):
			if !clockForm.has(second) || !isClock(second) {
				return nil, errUnconvertible
			}
			return roundTime(value, to.length)
		case dateForm.has(value) && isDate(value) && to.is(dateFamily):
			return value, nil
		case to.is(datetimeFamily) && (datetimeForm.has(second) && isDate(second) && isClock(second[len(dateLayout)+1:]) ||
			dateForm.has(value) && isDate(value)):
			return roundDatetime(value, to)
		}
		return nil, errUnconvertible
	}, nil
}
