package row

import (
	"math/big"
	"strings"

	"source-planetscale/internal/table"
)

// initialValue is the value that existing rows got in an added column, encoded as in the binary log, and the character set of a text; nil
// for NULL.
func initialValue(d table.Default, c table.Column) (value []byte, charset string, err error) {
	to := newValueType(c, c.Charset)
	switch d.Kind {
	case table.DefaultNull:
		return nil, "", nil
	case table.DefaultImplicit:
		value, err = implicit(to)
		return value, "utf8mb4", err
	case table.DefaultBits:
		if !to.is(bitFamily, integerFamily) {
			return nil, "", errNotCertain
		}
		value, err = initialNumber(d.Value, to)
		return value, "", err
	case table.DefaultNumber:
		value, err = initialNumber(d.Value, to)
		return value, "utf8mb4", err
	}
	value, err = initialText([]byte(d.Value), to)
	return value, "utf8mb4", err
}

// initialNumber is a number in a statement.
func initialNumber(text string, to valueType) ([]byte, error) {
	plain := isNumber([]byte(text)) && (len(text) == 1 || !strings.HasPrefix(text, "0") || strings.HasPrefix(text, "0."))
	switch {
	case !plain:
		return nil, errNotCertain
	case to.is(textFamily):
		return asciiText(to)([]byte(text))
	case to.is(integerFamily, decimalFamily, floatFamily, yearFamily, bitFamily):
		n, _ := parseNumber([]byte(text))
		store, err := storeNumber(to)
		if err != nil {
			return nil, err
		}
		return store(n)
	}
	return nil, errNotCertain
}

// initialText is a text in a statement.
func initialText(text []byte, to valueType) ([]byte, error) {
	from := newValueType(table.Column{Type: "longtext", Charset: "utf8mb4"}, "utf8mb4")
	switch {
	case to.is(textFamily):
		return asciiText(to)(text)
	case to.is(enumFamily, setFamily):
		c, err := relabelled(newValueType(table.Column{Type: to.base}, ""), to)
		if err != nil {
			return nil, err
		}
		return c(text)
	}
	c, _, err := convert(from, to, false)
	if err != nil || c == nil {
		return text, err
	}
	return c(text)
}

// implicit is the value of a NOT NULL column without a default.
func implicit(to valueType) ([]byte, error) {
	switch to.family {
	case integerFamily, floatFamily:
		return []byte("0"), nil
	case decimalFamily:
		return storeDecimal(number{new(big.Int), 0}, to)
	case yearFamily:
		return []byte("0000"), nil
	case bitFamily:
		return make([]byte, (to.length+7)/8), nil
	case textFamily, setFamily:
		return []byte{}, nil
	case bytesFamily:
		return fitBytes([]byte{}, to)
	case dateFamily:
		return []byte("0000-00-00"), nil
	case datetimeFamily:
		return roundDatetime([]byte("0000-00-00"), to)
	case timeFamily:
		return roundTime([]byte("00:00:00"), to.length)
	case enumFamily:
		labels, err := to.Labels()
		if err != nil || len(labels) == 0 {
			return nil, errNotCertain
		}
		return []byte(labels[0]), nil
	}
	return nil, errNotCertain
}
