package torture

import (
	"slices"
	"strings"
)

// Shrink removes steps from a failing history as long as it still fails, and returns the smallest one found. more is called before each
// try: false ends it.
func Shrink(h History, fails func(History) bool, more func() bool) History {
	for size := max(1, len(h)/2); ; {
		before := len(h)
		for from := 0; from < len(h); {
			if !more() {
				return h
			}
			to := min(from+size, len(h))
			if smaller := slices.Concat(h[:from], h[to:]); len(smaller) > 0 && fails(smaller) {
				h = smaller
			} else {
				from = to
			}
		}
		switch {
		case size > 1:
			size /= 2
		case len(h) == before:
			return shrinkRows(shrinkSQL(h, fails, more), fails, more)
		}
	}
}

// shrinkSQL removes single statements from the steps.
func shrinkSQL(h History, fails func(History) bool, more func() bool) History {
	for i := range h {
		for n := 0; n < len(h[i].SQL) && len(h[i].SQL) > 1; {
			if !more() {
				return h
			}
			smaller := slices.Clone(h)
			smaller[i].SQL = slices.Delete(slices.Clone(h[i].SQL), n, n+1)
			if fails(smaller) {
				h = smaller
			} else {
				n++
			}
		}
	}
	return h
}

// rowSeparator stands between the rows of an insert.
const rowSeparator = "), ("

// shrinkRows removes single rows from inserts.
func shrinkRows(h History, fails func(History) bool, more func() bool) History {
	for i := range h {
		for j := range h[i].SQL {
			for n := 0; strings.HasPrefix(h[i].SQL[j], "insert") && more(); {
				head, values, _ := strings.Cut(h[i].SQL[j], " values (")
				rows := strings.Split(values, rowSeparator)
				if len(rows) < 2 || n >= len(rows)-1 { // the last one may have more than a row after it
					break
				}
				smaller := slices.Clone(h)
				smaller[i].SQL = slices.Clone(h[i].SQL)
				smaller[i].SQL[j] = head + " values (" + strings.Join(slices.Delete(rows, n, n+1), rowSeparator)
				if fails(smaller) {
					h = smaller
				} else {
					n++
				}
			}
		}
	}
	return h
}
