package e2e

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// charsetTables returns a table of texts and one of labels, with a column for every character set that is neither UTF-8 nor
// binary. The one-byte sets are tested with every byte; internal/row/testdata/charsets.txt says how it was created.
func charsetTables(t *testing.T) []typesTable {
	t.Helper()
	file, err := os.Open("../internal/row/testdata/charsets.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	texts, labels := typesTable{name: "typ_charset_texts"}, typesTable{name: "typ_charset_labels"}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		set := strings.Fields(lines.Text())
		if set[0] == "#" {
			continue
		}
		if set[0] == "ascii" { // the server accepts no byte above 0x7F for it
			set[1], set[2] = set[1][:2*128], set[2][:2*128]
		}
		utf8, err := hex.DecodeString(set[2])
		if err != nil {
			t.Fatal(err)
		}
		texts.columns = append(texts.columns, charsetTexts(set[0], set[1], string(utf8))...)
		labels.columns = append(labels.columns, charsetLabels(set[0], string(utf8))...)
	}
	return []typesTable{texts, labels}
}

func charsetTexts(set, bytes, text string) []typesColumn {
	cases := is{{fmt.Sprintf("_%s x'%s'", set, bytes), quoteJSON(text)}, {"''", `""`}}
	return []typesColumn{
		of("VARCHAR(300) CHARACTER SET "+set, cases),
		of("TEXT CHARACTER SET "+set+" COLLATE "+set+"_bin", cases),
	}
}

// charsetLabels returns an ENUM and a SET of the first letters of a character set that are not ASCII, and of an "a".
func charsetLabels(set, text string) []typesColumn {
	labels := is{{"'a'", `"a"`}}
	for _, r := range text {
		l := [2]string{"'" + string(r) + "'", quoteJSON(string(r))}
		if len(labels) < 4 && r > unicode.MaxASCII && r <= 0xFFFF && unicode.IsLetter(r) && !slices.Contains(labels, l) {
			labels = append(labels, l)
		}
	}
	all := [2]string{"7", quoteJSON(strings.NewReplacer("'", "", "(", "", ")", "").Replace(declared(labels[:min(3, len(labels))])))}
	definition := declared(labels) + " CHARACTER SET " + set + " COLLATE " + set + "_bin"
	if len(labels) < 3 {
		return []typesColumn{of("ENUM"+definition, labels)}
	}
	return []typesColumn{of("ENUM"+definition, labels), of("SET"+definition, append(is{all}, labels...))}
}

// checkCharsets checks that there is a column for every character set of the server.
func (r *typesRig) checkCharsets() {
	var tested strings.Builder
	for _, table := range r.types {
		for _, c := range table.columns {
			tested.WriteString(c.definition + " ")
		}
	}
	rows, err := r.db.Query("select character_set_name from information_schema.character_sets")
	r.must(err)
	defer rows.Close()
	found := 0
	for ; rows.Next(); found++ {
		var name string
		r.must(rows.Scan(&name))
		if !strings.Contains(tested.String(), "CHARACTER SET "+name+" ") {
			r.t.Errorf("no column of the character set %s is tested", name)
		}
	}
	r.must(rows.Err())
	if found < 41 {
		r.t.Errorf("the server listed %d character sets; MySQL 8 and 9 have 41", found)
	}
}
