package table

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// Extends reports whether rows written with the columns was can be read with the columns now, as VStream reads them: by position. That is
// so if columns were only added at the end, and members at the end of an ENUM or SET.
func Extends(now, was []Column) bool {
	if len(now) < len(was) {
		return false
	}
	for i, before := range was {
		if after := now[i]; after.Name != before.Name || after.Charset != before.Charset || !extendsType(after.Type, before.Type) {
			return false
		}
	}
	return true
}

// Keeps reports whether values of a column that became now from was need no conversion: both are alike, or members were added at the end
// of an ENUM or SET.
func Keeps(now, was Column) bool {
	return Alike(now, was) || CanonicalCharset(now.Charset) == CanonicalCharset(was.Charset) && extendsType(now.Type, was.Type)
}

func extendsType(now, was string) bool {
	if now == was {
		return true
	}
	if n, ok := digested(was); ok {
		return len(now) > n && (now[n] == ',' || now[n:] == ")") && DigestType(now[:n]+")") == was
	}
	if members, closed := strings.CutSuffix(was, ")"); strings.HasPrefix(was, "enum(") || strings.HasPrefix(was, "set(") {
		return closed && strings.HasPrefix(now, members+",")
	}
	return canonicalType(now) == canonicalType(was) // MySQL before 8.0.19 reports int(11) for int
}

// longType is the length, in bytes, from which a type is stored as a digest: an ENUM may have 65,535 members.
const longType = 1000

const digestFormat = "sha256 of %d bytes: %x"

// DigestType returns a column's type in the form that is stored, and that Extends accepts as the former one: unchanged, or for a long
// ENUM or SET a digest of everything before its closing parenthesis, so that members added at the end can still be recognized.
func DigestType(columnType string) string {
	members, closed := strings.CutSuffix(columnType, ")")
	if len(columnType) < longType || !closed {
		return columnType
	}
	return fmt.Sprintf(digestFormat, len(members), sha256.Sum256([]byte(members)))
}

// digested returns how many bytes of a type a digest covers.
func digested(columnType string) (n int, ok bool) {
	var sum []byte
	_, err := fmt.Sscanf(columnType, digestFormat, &n, &sum)
	return n, err == nil
}
