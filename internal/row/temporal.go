package row

import (
	"bytes"
	"encoding/binary"

	querypb "vitess.io/vitess/go/vt/proto/query"
)

// The formats of MySQL's temporal values; a 0 stands for any digit.
var (
	dateForm     = newForm("0000-00-00")
	datetimeForm = newForm("0000-00-00 00:00:00")
	clockForm    = newForm("00:00:00")
)

// form is a text of digits and separators that is compared eight bytes at a time.
type form struct {
	size  int
	words []formWord
}

// formWord is eight bytes of a form. In x, a word of a value XORed with bits, a digit is its number and a correct separator 0; x + most
// has a top bit set where that is more than 9, or 0.
type formWord struct {
	at         int
	bits, most uint64
}

func newForm(text string) form {
	f := form{size: len(text)}
	for at := 0; at < len(text); at += 8 {
		w := formWord{at: min(at, len(text)-8)} // the last word overlaps the one before
		for i := range 8 {
			most := uint64(0x7F)
			if text[w.at+i] == '0' {
				most -= 9
			}
			w.bits |= uint64(text[w.at+i]) << (8 * i)
			w.most |= most << (8 * i)
		}
		f.words = append(f.words, w)
	}
	return f
}

// has reports whether the value has the form.
func (f *form) has(value []byte) bool {
	if len(value) != f.size {
		return false
	}
	for i := range f.words {
		w := &f.words[i]
		x := binary.LittleEndian.Uint64(value[w.at:]) ^ w.bits
		if (x|(x+w.most))&tops != 0 {
			return false
		}
	}
	return true
}

// appendDate appends a DATE.
func appendDate(dst, value []byte) ([]byte, error) {
	if !dateForm.has(value) {
		return dst, errMalformed
	}
	if !isDate(value) {
		return dst, errNoJSON
	}
	dst = append(dst, '"')
	dst = append(dst, value...)
	return append(dst, '"'), nil
}

// appendDatetime appends a DATETIME, which has no time zone.
func appendDatetime(dst, value []byte) ([]byte, error) { return appendMoment(dst, value, `"`) }

// appendTimestamp appends a TIMESTAMP: VStream's sessions are in UTC, and the binlog is.
func appendTimestamp(dst, value []byte) ([]byte, error) { return appendMoment(dst, value, `Z"`) }

func appendMoment(dst, value []byte, end string) ([]byte, error) {
	second := min(len(value), datetimeForm.size)
	if !datetimeForm.has(value[:second]) || !isFraction(value[second:]) {
		return dst, errMalformed
	}
	between := dateForm.size
	if !isDate(value[:between]) || !isClock(value[between+1:]) {
		return dst, errNoJSON
	}
	dst = append(dst, '"')
	dst = append(dst, value...)
	dst[len(dst)-len(value)+between] = 'T'
	return append(dst, end...), nil
}

// appendTime appends a TIME that is a time of day; MySQL's range from -838:59:59 to 838:59:59.
func appendTime(dst, value []byte) ([]byte, error) {
	clock, outside := bytes.CutPrefix(value, []byte("-"))
	if len(clock) > 2 && isDigit(clock[0]) && isDigit(clock[2]) { // three digits of hours
		clock, outside = clock[1:], true
	}
	second := min(len(clock), clockForm.size)
	if !clockForm.has(clock[:second]) || !isFraction(clock[second:]) {
		return dst, errMalformed
	}
	if outside || !isClock(clock) {
		return dst, errNoJSON
	}
	dst = append(dst, '"')
	dst = append(dst, clock...)
	return append(dst, '"'), nil
}

// isFraction accepts nothing, or a point and up to six digits.
func isFraction(s []byte) bool {
	return len(s) == 0 || s[0] == '.' && 2 <= len(s) && len(s) <= 7 && allDigits(s[1:])
}

// isDate distinguishes a calendar day from MySQL's zero and impossible dates. The year 0 is not valid.
func isDate(s []byte) bool {
	year, month, day := pair(s[0:])*100+pair(s[2:]), pair(s[5:]), pair(s[8:])
	return year > 0 && 1 <= month && month <= 12 && 1 <= day && (day <= 28 || day <= daysOf(month, year))
}

// Comparable reports whether every server can compare the values of a copy's key with those of its columns. MySQL refuses dates that are in
// no calendar, depending on its sql_mode.
func Comparable(key *querypb.QueryResult) bool {
	if len(key.GetRows()) != 1 || len(key.Rows[0].Lengths) != len(key.Fields) {
		return false
	}
	values := key.Rows[0].Values
	for i, f := range key.Fields {
		n := max(0, key.Rows[0].Lengths[i])
		if n > int64(len(values)) {
			return false
		}
		switch f.Type {
		case querypb.Type_DATE, querypb.Type_DATETIME, querypb.Type_TIMESTAMP:
			if n < int64(dateForm.size) || !isDate(values) {
				return false
			}
		}
		values = values[n:]
	}
	return true
}

func daysOf(month, year int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// isClock checks a value that begins with clockForm.
func isClock(s []byte) bool { return pair(s[0:]) < 24 && pair(s[3:]) < 60 && pair(s[6:]) < 60 }

// pair reads two digits.
func pair(s []byte) int { return int(s[0]-'0')*10 + int(s[1]-'0') }
