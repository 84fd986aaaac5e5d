package vstream

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// maxError is how many characters of an error's text are kept.
const maxError = 1000

// wordList are the words of Vitess', MySQL's and gRPC's own messages.
//
//go:embed words.txt
var wordList string

var words = sync.OnceValue(func() map[string]bool {
	known := map[string]bool{}
	for _, w := range strings.Fields(wordList) {
		known[w] = true
	}
	return known
})

// connectionError is the beginning of gRPC's own message, not the server's, for a connection that failed; a quoted Go string follows,
// such as a failed TLS handshake's error.
const connectionError = "connection error: desc = "

// redact keeps the parts of a server's message that cannot be row values: the words of the messages themselves, the names that were
// requested, the numbers of errors. A list of what to remove would never be complete: Vitess quotes keys, rows and statements in many
// forms, cuts a long message anywhere, and MySQL quotes without escaping.
func redact(text string, names []string) string {
	if desc, ok := strings.CutPrefix(text, connectionError); ok {
		if desc, err := strconv.Unquote(desc); err == nil {
			return shorten("no connection: " + desc)
		}
	}
	for _, statement := range []string{" during query:", " Sql:", " BindVars:"} {
		text, _, _ = strings.Cut(text, statement)
	}
	var out strings.Builder
	dropped := false
	for _, chunk := range strings.Fields(dropQuoted(text, names)) {
		keep := knownChunk(chunk, names) || isErrorNumber(chunk, out.String())
		if !keep && dropped {
			continue
		}
		if dropped = !keep; dropped {
			chunk = ellipsis
		}
		if out.Len() > 0 {
			out.WriteByte(' ')
		}
		out.WriteString(chunk)
	}
	return shorten(out.String())
}

const ellipsis = "…"

// shorten truncates a text to maxError characters.
func shorten(text string) string {
	for i, n := 0, 0; i < len(text); n++ {
		_, size := utf8.DecodeRuneInString(text[i:])
		if i += size; n == maxError-1 && i < len(text) {
			return text[:i-size] + ellipsis
		}
	}
	return text
}

// dropQuoted removes quoted text that is not a known name. A quote that is not closed extends to the end.
func dropQuoted(text string, names []string) string {
	var out strings.Builder
	for i := 0; i < len(text); {
		c := text[i]
		if c != '"' && c != '`' && (c != '\'' || i > 0 && isWord(text[i-1])) { // an apostrophe
			out.WriteByte(c)
			i++
			continue
		}
		end := quoteEnd(text, i)
		if inside := strings.TrimSuffix(text[i+1:end], string(c)); knownChunk(inside, names) && slices.ContainsFunc(names, func(n string) bool {
			return strings.HasSuffix(inside, n)
		}) {
			out.WriteString(text[i:end])
		} else {
			out.WriteString(ellipsis)
		}
		i = end
	}
	return out.String()
}

// quoteEnd returns the position after the quoted text that begins at a position. A quote inside a word does not end it.
func quoteEnd(text string, from int) int {
	for i := from + 1; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case text[i] == text[from] && (i+1 == len(text) || !isWord(text[i+1]) && text[i+1] != text[from]):
			return i + 1
		}
	}
	return len(text)
}

func isWord(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_' || b >= utf8.RuneSelf
}

const punctuation = "()[]{}<>:;,.='\"`@/"

// knownChunk reports whether all parts of a text without spaces are known.
func knownChunk(chunk string, names []string) bool {
	chunk = strings.Trim(chunk, punctuation)
	if slices.Contains(names, chunk) {
		return true
	}
	for part := range strings.FieldsFuncSeq(chunk, func(r rune) bool { return strings.ContainsRune(punctuation, r) && r != '\'' }) {
		if !slices.Contains(names, part) && !knownWords(part) {
			return false
		}
	}
	return true
}

// knownWords handles words that may be joined by hyphens.
func knownWords(part string) bool {
	for word := range strings.SplitSeq(strings.ToLower(part), "-") {
		if !words()[word] {
			return false
		}
	}
	return true
}

// isErrorNumber reports whether a text is the number of an error or the size of a message, according to the words before it.
func isErrorNumber(chunk, before string) bool {
	number := strings.Trim(chunk, punctuation)
	switch digits := strings.IndexFunc(number, func(r rune) bool { return !unicode.IsDigit(r) }) < 0; {
	case strings.HasSuffix(before, "sqlstate"):
		return len(number) == 5 && (digits || number == "HY000")
	case strings.HasSuffix(before, "errno"), strings.HasSuffix(before, "received from server:"):
		return digits && len(number) <= 5
	case strings.HasSuffix(before, "larger than max"), strings.HasSuffix(before, " vs."):
		return digits && len(number) <= 10
	}
	return false
}
