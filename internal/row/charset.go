package row

import (
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"

	"vitess.io/vitess/go/mysql/collations"
	"vitess.io/vitess/go/mysql/collations/charset"
	"vitess.io/vitess/go/mysql/collations/colldata"
)

// decoder reads a character set; charset.Charset is one.
type decoder interface {
	// MaxWidth is the most bytes a character takes.
	MaxWidth() int
	// DecodeRune returns the first character and its width, or false and how many bytes to skip.
	DecodeRune([]byte) (rune, int, bool)
}

// mysqlCollations are the collations of MySQL 8 and 9: their names, numbers and character sets.
var mysqlCollations = sync.OnceValue(func() *collations.Environment { return collations.NewEnvironment("8.0.30") })

// lookupCharset finds the decoder of a character set by MySQL's name for it; nil stands for UTF-8, which is also used for text of an
// unknown character set. Vitess has MySQL's own tables (MySQL's latin1, for example, is cp1252 with C1 controls in its gaps), except for
// gbk, big5 and tis620.
func lookupCharset(name string) decoder {
	switch name {
	case "", "binary", "utf8", "utf8mb3", "utf8mb4":
		return nil
	case "gb18030":
		return charset.Charset_gb18030{}
	case "gbk":
		return gbk()
	case "big5":
		return big5()
	case "tis620":
		return tis620{}
	}
	if c := colldata.Lookup(mysqlCollations().DefaultCollationForCharset(name)); c != nil {
		return c.Charset()
	}
	return nil
}

// knownCharset reports whether lookupCharset knows the name; "" is a column without a character set.
func knownCharset(name string) bool {
	switch name {
	case "", "binary", "utf8", "utf8mb3", "utf8mb4":
		return true
	}
	return lookupCharset(name) != nil
}

// charsetOfCollation names the character set of a field's collation; "" if Vitess does not know it (gbk is sent as 0).
func charsetOfCollation(id uint32) string {
	return mysqlCollations().LookupCharsetName(collations.ID(id))
}

// twoByte is a character set of ASCII and pairs of bytes; an unassigned pair has a 0.
type twoByte [1 << 16]rune

var (
	gbk  = sync.OnceValue(func() *twoByte { return newTwoByte(simplifiedchinese.GBK) })
	big5 = sync.OnceValue(func() *twoByte { return newTwoByte(traditionalchinese.Big5).mysqlBig5() })
)

func newTwoByte(e encoding.Encoding) *twoByte {
	t := new(twoByte)
	d := e.NewDecoder()
	for pair := 0x8140; pair < 0xFF00; pair++ {
		text, err := d.Bytes([]byte{byte(pair >> 8), byte(pair)})
		if r, size := utf8.DecodeRune(text); err == nil && size == len(text) && r != utf8.RuneError {
			t[pair] = r
		}
	}
	return t
}

// mysqlBig5 has MySQL's characters where those of x/text, which follows the WHATWG, differ: some symbols, and the kana, Cyrillic and
// numbers from 0xC6A1 on. Found by comparing each pair with MySQL 9.7; gbk has no such difference.
func (t *twoByte) mysqlBig5() *twoByte {
	for _, run := range []struct {
		pair  int
		first rune
		count int
	}{
		{0xA145, 0x2022, 1},
		{0xA14E, 0xFF64, 1},
		{0xA1C2, 0x203E, 1},
		{0xA1E3, 0x223C, 1},
		{0xA1F2, 0x2641, 1},
		{0xA1F3, 0x2609, 1},
		{0xA241, 0xFF0F, 1},
		{0xA242, 0xFF3C, 1},
		{0xA244, 0x00A5, 1},
		{0xA246, 0x00A2, 2},
		{0xC6A1, 0x30FE, 1},
		{0xC6A2, 0x309D, 2},
		{0xC6A4, 0x3005, 1},
		{0xC6A5, 0x3041, 83},
		{0xC6F8, 0x30A1, 86},
		{0xC7B1, 0x0414, 2},
		{0xC7B3, 0x0401, 1},
		{0xC7B4, 0x0416, 7},
		{0xC7BB, 0x0423, 19},
		{0xC7CE, 0x0451, 1},
		{0xC7CF, 0x0436, 26},
		{0xC7E9, 0x2460, 10},
		{0xC7F3, 0x2474, 10},
	} {
		pair := run.pair
		for i := range run.count {
			t[pair] = run.first + rune(i)
			pair = nextBig5(pair)
		}
	}
	return t
}

// nextBig5 returns the pair after one: second bytes go from 0x40 to 0x7E and from 0xA1 to 0xFE.
func nextBig5(pair int) int {
	switch pair & 0xFF {
	case 0x7E:
		return pair&^0xFF | 0xA1
	case 0xFE:
		return pair&^0xFF + 0x140
	}
	return pair + 1
}

func (*twoByte) MaxWidth() int { return 2 }

func (t *twoByte) DecodeRune(s []byte) (rune, int, bool) {
	switch {
	case s[0] < utf8.RuneSelf:
		return rune(s[0]), 1, true
	case len(s) == 1 || s[1] < 0x40: // no second byte is below that
		return utf8.RuneError, 1, false
	}
	r := t[int(s[0])<<8|int(s[1])]
	return r, 2, r != 0
}

// tis620 is Windows 874 with C1 controls instead of its additions, and without its no-break space.
type tis620 struct{}

func (tis620) MaxWidth() int { return 1 }

func (tis620) DecodeRune(s []byte) (rune, int, bool) {
	switch {
	case s[0] < 0xA0:
		return rune(s[0]), 1, true
	case s[0] == 0xA0:
		return utf8.RuneError, 1, false
	}
	r := charmap.Windows874.DecodeByte(s[0])
	return r, 1, r != utf8.RuneError
}
