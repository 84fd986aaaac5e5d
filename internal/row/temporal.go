package row

import "bytes"

// The shapes of MySQL's temporal values; a 0 stands for any digit.
const (
	dateForm     = "0000-00-00"
	datetimeForm = "0000-00-00 00:00:00"
	clockForm    = "00:00:00"
)

// appendDate appends a DATE.
func appendDate(dst, value []byte) ([]byte, error) {
	if !hasForm(value, dateForm) {
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
	second := min(len(value), len(datetimeForm))
	if !hasForm(value[:second], datetimeForm) || !isFraction(value[second:]) {
		return dst, errMalformed
	}
	day, clock := value[:len(dateForm)], value[len(dateForm)+1:]
	if !isDate(day) || !isClock(clock) {
		return dst, errNoJSON
	}
	dst = append(dst, '"')
	dst = append(dst, day...)
	dst = append(dst, 'T')
	dst = append(dst, clock...)
	return append(dst, end...), nil
}

// appendTime appends a TIME that is a time of day; MySQL's go from -838:59:59 to 838:59:59.
func appendTime(dst, value []byte) ([]byte, error) {
	clock, outside := bytes.CutPrefix(value, []byte("-"))
	if len(clock) > 2 && isDigit(clock[0]) && isDigit(clock[2]) { // three digits of hours
		clock, outside = clock[1:], true
	}
	second := min(len(clock), len(clockForm))
	if !hasForm(clock[:second], clockForm) || !isFraction(clock[second:]) {
		return dst, errMalformed
	}
	if outside || !isClock(clock) {
		return dst, errNoJSON
	}
	dst = append(dst, '"')
	dst = append(dst, clock...)
	return append(dst, '"'), nil
}

// hasForm compares a value with one of the forms above.
func hasForm(value []byte, form string) bool {
	if len(value) != len(form) {
		return false
	}
	for i, b := range value {
		if form[i] == '0' && !isDigit(b) || form[i] != '0' && form[i] != b {
			return false
		}
	}
	return true
}

// isFraction accepts nothing, or a point and up to six digits.
func isFraction(s []byte) bool {
	return len(s) == 0 || s[0] == '.' && 2 <= len(s) && len(s) <= 7 && allDigits(s[1:])
}

// isDate tells a day of the calendar from MySQL's zero and impossible dates. The year 0 is none.
func isDate(s []byte) bool {
	year, month, day := pair(s[0:])*100+pair(s[2:]), pair(s[5:]), pair(s[8:])
	return year > 0 && 1 <= month && month <= 12 && 1 <= day && day <= daysOf(month, year)
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

// isClock is about a value that begins with clockForm.
func isClock(s []byte) bool { return pair(s[0:]) < 24 && pair(s[3:]) < 60 && pair(s[6:]) < 60 }

// pair reads two digits.
func pair(s []byte) int { return int(s[0]-'0')*10 + int(s[1]-'0') }
