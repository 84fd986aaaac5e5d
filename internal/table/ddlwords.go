package table

import (
	"regexp"
	"slices"

	"vitess.io/vitess/go/vt/sqlparser"
)

// versioned is a comment whose text MySQL executes, and Vitess treats as a comment: /*!50100 … */.
var versioned = regexp.MustCompile(`(?s)/\*!\d*(.*?)\*/`)

// executed is the statement as MySQL executes it.
func executed(statement string) string { return versioned.ReplaceAllString(statement, " $1 ") }

// word is a token of a statement: a keyword, or a name, which may be quoted.
type word struct {
	kind int
	text string
}

func words(parser *sqlparser.Parser, statement string) []word {
	var list []word
	for tokens := parser.NewStringTokenizer(statement); ; {
		kind, text := tokens.Scan()
		switch kind {
		case 0, sqlparser.LEX_ERROR:
			return list
		case sqlparser.COMMENT:
		default:
			list = append(list, word{kind, text})
		}
	}
}

// names are all words that may be a table's name: quoted or not, including keywords that need no quotes.
func names(list []word) []string {
	var found []string
	seen := make(map[string]bool, len(list)) // a statement may have very many
	for _, w := range list {
		if w.text != "" && !seen[w.text] {
			seen[w.text] = true
			found = append(found, w.text)
		}
	}
	return found
}

// byWords judges a statement that could not be parsed. tables are those it alters, nil if unknown: then each of its words may be the name
// of one.
func byWords(list []word, tables []string) (d DDL) {
	if len(list) < 2 {
		return d
	}
	all := names(list[1:])
	switch first, second := list[0], list[1]; {
	case first.kind == sqlparser.TRUNCATE, first.kind == sqlparser.RENAME && isTable(second), first.kind == sqlparser.DROP && isTable(second):
		d.Emptied = all
	case first.kind == sqlparser.ALTER:
		if tables == nil {
			tables = all
		}
		if slices.ContainsFunc(list[1:min(len(list), 4)], isTable) { // a word may come in between
			d.Altered = tables
		}
		for i, w := range list[1:] {
			next := list[min(i+2, len(list)-1)]
			switch w.kind {
			case sqlparser.EXCHANGE, sqlparser.DISCARD, sqlparser.IMPORT:
				d.Emptied = all
			case sqlparser.RENAME:
				if !slices.Contains([]int{sqlparser.COLUMN, sqlparser.INDEX, sqlparser.KEY}, next.kind) {
					d.Emptied = all
				}
			case sqlparser.DROP, sqlparser.TRUNCATE:
				if next.kind == sqlparser.PARTITION {
					d.Pruned = tables
				}
			}
		}
	}
	return d
}

func isTable(w word) bool { return w.kind == sqlparser.TABLE || w.kind == sqlparser.TABLES }
