package row

import (
	"errors"
	"fmt"
	"sync"

	"vitess.io/vitess/go/vt/sqlparser"
)

// errUndeclared is the error for a number without a declared label.
var errUndeclared = errors.New("its number has no label in the declaration")

// compileEnum builds the encoder of an ENUM.
func compileEnum(s source) (encoder, error) {
	return compileNumber(s, func(dst []byte, labels [][]byte, n uint64) ([]byte, error) {
		if n >= uint64(len(labels)) {
			return dst, errUndeclared
		}
		return append(dst, labels[n]...), nil
	})
}

// compileSet builds the encoder of a SET.
func compileSet(s source) (encoder, error) {
	return compileNumber(s, func(dst []byte, labels [][]byte, bits uint64) ([]byte, error) {
		if bits>>(len(labels)-1) != 0 {
			return dst, errUndeclared
		}
		separator := ""
		for i, label := range labels[1:] {
			if bits&(1<<i) != 0 {
				dst = append(append(dst, separator...), label...)
				separator = ","
			}
		}
		return dst, nil
	})
}

// compileNumber is for a server that sends a number, which stands for labels of the declaration, or sends the labels themselves.
func compileNumber(s source, appendLabels func(dst []byte, labels [][]byte, n uint64) ([]byte, error)) (encoder, error) {
	labels, err := declaredLabels(s)
	if err != nil {
		return nil, err
	}
	if labels == nil {
		return compileLabels(s)
	}
	return func(dst, value []byte) ([]byte, error) {
		n, ok := parseIndex(value)
		if !ok {
			return encodeUTF8(dst, value)
		}
		dst, err := appendLabels(append(dst, '"'), labels, n)
		return append(dst, '"'), err
	}, nil
}

// compileLabels is for a server that sends labels: in a copy they are in the column's character set; in the binlog Vitess takes them from
// information_schema, in UTF-8 (vstreamer.buildEnumStringValue).
func compileLabels(s source) (encoder, error) {
	if s.phase == Copy {
		return compileText(s)
	}
	return encodeUTF8, nil
}

// maxLabels is how many bytes the labels of a declaration may have: 65,535 labels of 16 each.
const maxLabels = 1 << 20

var sqlParser = sync.OnceValues(func() (*sqlparser.Parser, error) { return sqlparser.New(sqlparser.Options{}) })

// declaredLabels returns the labels of an ENUM or SET as the contents of JSON strings, or nil if the server sends labels itself, as
// Vitess does since 20 (FieldEvent.enum_set_string_values). The first is the empty label that MySQL's number 0 stands for. They are
// parsed as a list of SQL strings: Vitess' own schema.ParseEnumOrSetTokensMap fails at a backslash before a percent sign.
func declaredLabels(s source) ([][]byte, error) {
	if s.labels {
		return nil, nil
	}
	if len(s.declaration.Args) > maxLabels {
		return nil, errors.New("the labels of its declaration are longer than 1 MiB")
	}
	parser, err := sqlParser()
	if err != nil {
		return nil, fmt.Errorf("starting Vitess's SQL parser: %w", err)
	}
	list, err := parser.ParseExpr("(''," + s.declaration.Args + ")")
	if err != nil {
		return nil, errors.New("the labels of its declaration cannot be read")
	}
	tuple, ok := list.(sqlparser.ValTuple)
	labels := make([][]byte, len(tuple))
	for i, member := range tuple {
		literal, isLiteral := member.(*sqlparser.Literal)
		if ok = ok && isLiteral && literal.Type == sqlparser.StrVal; ok {
			labels[i] = appendText(nil, []byte(literal.Val))
		}
	}
	if !ok {
		return nil, errors.New("the labels of its declaration are not a list of strings")
	}
	return labels, nil
}

// parseIndex parses an ENUM's index or a SET's bits, false if value is not a 64-bit number.
func parseIndex(value []byte) (n uint64, ok bool) {
	for _, b := range value {
		if !isDigit(b) || n > (1<<64-1-uint64(b-'0'))/10 {
			return 0, false
		}
		n = n*10 + uint64(b-'0')
	}
	return n, len(value) > 0
}
