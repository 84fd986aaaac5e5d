package table

import (
	"strconv"
	"strings"

	"vitess.io/vitess/go/vt/sqlparser"
)

// initialOf is the value that existing rows get in a column that is added, or why it is unknown, as a part of a sentence. certain reports
// for a text whether the server read it as it was read here.
func initialOf(def *sqlparser.ColumnDefinition, certain func(string) bool) (d Default, refused string) {
	o := def.Type.Options
	base := strings.ToLower(def.Type.Type)
	switch {
	case o.As != nil:
		return d, "it is a generated column, and the values that the server computed for older rows are not known"
	case o.Autoincrement:
		return d, "it is AUTO_INCREMENT, and the numbers that the server gave older rows are not known"
	case base == "timestamp" && !isNull(o.Default) && o.Default != nil:
		return d, "it is a TIMESTAMP, whose default depends on the time or on a session's time zone"
	case o.Default == nil && (o.Null == nil || *o.Null) && o.KeyOpt != sqlparser.ColKeyPrimary, isNull(o.Default):
		return d, ""
	case o.Default == nil && base == "timestamp":
		return d, "it is a TIMESTAMP without a default, and its value instead depends on the server"
	case o.Default == nil:
		return Default{Kind: DefaultImplicit}, ""
	case !o.DefaultLiteral || !isLiteral(o.Default):
		return d, "its default is an expression, whose value for older rows is not known"
	}
	if d, ok := constant(o.Default); ok && (d.Kind != DefaultText || certain(d.Value)) {
		return d, ""
	}
	return d, "its default is not a number or a plain text, and its value for older rows is not known"
}

func isNull(e sqlparser.Expr) bool {
	_, ok := e.(*sqlparser.NullVal)
	return ok
}

func isLiteral(e sqlparser.Expr) bool {
	switch e.(type) {
	case *sqlparser.Literal, *sqlparser.UnaryExpr, *sqlparser.IntroducerExpr, sqlparser.BoolVal:
		return true
	}
	return false
}

// constant parses a literal.
func constant(e sqlparser.Expr) (Default, bool) {
	switch e := e.(type) {
	case sqlparser.BoolVal:
		if e {
			return Default{DefaultNumber, "1"}, true
		}
		return Default{DefaultNumber, "0"}, true
	case *sqlparser.UnaryExpr:
		if d, ok := constant(e.Expr); ok && d.Kind == DefaultNumber && e.Operator == sqlparser.UMinusOp {
			return Default{DefaultNumber, "-" + d.Value}, true
		}
	case *sqlparser.Literal:
		switch e.Type {
		case sqlparser.StrVal:
			return Default{DefaultText, e.Val}, true
		case sqlparser.IntVal, sqlparser.DecimalVal, sqlparser.FloatVal:
			return Default{DefaultNumber, e.Val}, true
		case sqlparser.BitNum:
			return bits(strings.TrimPrefix(strings.ToLower(e.Val), "0b"), 2)
		case sqlparser.HexVal:
			return bits(e.Val, 16)
		case sqlparser.HexNum:
			return bits(strings.TrimPrefix(strings.ToLower(e.Val), "0x"), 16)
		}
	}
	return Default{}, false
}

func bits(digits string, base int) (Default, bool) {
	n, err := strconv.ParseUint(digits, base, 64)
	return Default{DefaultBits, strconv.FormatUint(n, 10)}, err == nil
}

// isASCII reports whether a text means the same in every session: one beyond ASCII depends on the session's character set.
func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 0x7E }) < 0
}
