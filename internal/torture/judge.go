package torture

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Table is what the source has: its columns, and every row by column.
type Table struct {
	Columns []Column
	Rows    []map[string][]byte
}

// Moves reports whether one of these columns has another place, or is none, in a later table.
func (t *Table) Moves(later *Table, columns []string) bool {
	return slices.ContainsFunc(columns, func(name string) bool { return t.place(name) != later.place(name) })
}

func (t *Table) place(name string) int {
	return slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
}

// Compare compares the destination with the source, row by row, in the columns that both the catalog and the table have.
func (s *Stream) Compare(t *Table, altered *Altered) *Finding {
	shared := s.shared(t)
	if len(s.Key) == 0 {
		return s.compareContents(t, slices.DeleteFunc(shared, func(c Column) bool {
			_, added := s.added[c.Name]
			return added || altered != nil && altered.columns[c.Name]
		}))
	}
	want, err := s.byKey(t, shared)
	if err != nil {
		return found(Differs, s.Name, "%v", err)
	}
	got := map[string]string{} // form of the key → key
	for key, row := range s.Rows {
		form := s.keyForm(t, row.Data)
		other, twice := got[form]
		switch {
		case twice && !s.maySplit(altered):
			return found(Differs, s.Name, "the destination has row %s twice", form)
		case !twice || s.Rows[other].cursor < row.cursor:
			got[form] = key
		}
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		altered.returned(key)
		if _, ok := got[key]; !ok && !(s.maySplit(altered) && altered.came[key] && altered.after[key] == whole(want[key])) {
			return found(Differs, s.Name, "row %s is in the source and not in the destination (which has %d rows, the source %d)", key, len(got), len(want))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		row, ok := want[key]
		if !ok && s.maySplit(altered) && altered.left[key] {
			continue
		}
		if !ok {
			return found(Differs, s.Name, "row %s is in the destination and not in the source (which has %d rows, the destination %d)", key, len(want), len(got))
		}
		if f := s.compareRow(key, row, s.Rows[got[key]], shared, altered); f != nil {
			return f
		}
	}
	return nil
}

// maySplit reports whether rows whose keys an ALTER changed stay in the destination under their former ones: where it deduplicates, the
// stream has to fail instead.
func (s *Stream) maySplit(altered *Altered) bool { return altered != nil && s.Dest == "append" }

func (s *Stream) compareRow(key string, row map[string][]byte, at Row, shared []Column, altered *Altered) *Finding {
	for _, c := range shared {
		if since, ok := s.added[c.Name]; ok && at.cursor <= since {
			continue
		}
		want, given := c.fromSource(row[c.Name], s.Columns[c.Name].Bool), c.fromRecord(at.Data[c.Name])
		if want == given || s.looselyEqual(c, want, given) || altered.may(key, c, at.Data[c.Name], row) {
			continue
		}
		return found(Differs, s.Name, "row %s, column %s (%s): %q in the destination, %q in the source", key, c.Name, c.ColumnType, given, want)
	}
	return nil
}

// looselyEqual allows for a column's type that was changed after the schema was read: the values still have to look alike. A number may
// have become a boolean, or the reverse.
func (s *Stream) looselyEqual(c Column, want, given string) bool {
	if s.Types[c.Name] == c.ColumnType {
		return false
	}
	want = unbool(want)
	if given == "true" || given == "false" {
		return strconv.FormatBool(strings.Trim(want, "0.") != "") == given
	}
	one, isNumber := new(big.Rat).SetString(want)
	if other, ok := new(big.Rat).SetString(given); ok && isNumber {
		return one.Cmp(other) == 0
	}
	return plainFraction(want) == plainFraction(given)
}

// plainFraction is a value, such as a time, without the zeros at the end of its fraction.
func plainFraction(value string) string {
	if strings.Contains(value, ".") {
		return strings.TrimRight(strings.TrimRight(value, "0"), ".")
	}
	return value
}

// unbool is a boolean as the number that it was.
func unbool(value string) string {
	switch value {
	case "false":
		return "0"
	case "true":
		return "1"
	}
	return value
}

// shared are the table's columns that are in the catalog.
func (s *Stream) shared(t *Table) []Column {
	var list []Column
	for _, c := range t.Columns {
		if _, ok := s.Columns[c.Name]; ok {
			list = append(list, c)
		}
	}
	return list
}

func (s *Stream) byKey(t *Table, shared []Column) (map[string]map[string][]byte, error) {
	rows := map[string]map[string][]byte{}
	for _, row := range t.Rows {
		parts := make([]string, len(s.Key))
		for i, name := range s.Key {
			at := slices.IndexFunc(shared, func(c Column) bool { return c.Name == name })
			if at < 0 {
				return nil, fmt.Errorf("the table has no column %s, which is in the stream's key", name)
			}
			parts[i] = shared[at].fromSource(row[name], s.Columns[name].Bool)
		}
		key := form(parts)
		if rows[key] != nil {
			return nil, fmt.Errorf("two rows of the source have the key %s", key)
		}
		rows[key] = row
	}
	return rows, nil
}

func (s *Stream) keyForm(t *Table, data map[string]any) string {
	parts := make([]string, len(s.Key))
	for i, name := range s.Key {
		at := slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
		if at >= 0 {
			parts[i] = t.Columns[at].fromRecord(data[name])
		}
	}
	return form(parts)
}

func form(parts []string) string {
	encoded, _ := json.Marshal(parts)
	return string(encoded)
}

// compareContents counts the rows of a table without a key by their contents. After an update there are records of the previous row, too,
// and after a repetition any number, if one arrived at all.
func (s *Stream) compareContents(t *Table, shared []Column) *Finding {
	want, given, came := map[string]int{}, map[string]int{}, map[string]bool{}
	for _, row := range t.Rows {
		parts := make([]string, len(shared))
		for i, c := range shared {
			parts[i] = c.fromSource(row[c.Name], s.Columns[c.Name].Bool)
		}
		want[form(parts)]++
	}
	for content, n := range s.Count {
		var data map[string]any
		decode(content, &data)
		parts := make([]string, len(shared))
		for i, c := range shared {
			parts[i] = c.fromRecord(data[c.Name])
		}
		given[form(parts)] += n
		came[form(parts)] = came[form(parts)] || s.Given[content]
	}
	for _, content := range slices.Sorted(maps.Keys(want)) {
		n := given[content]
		if !came[content] || n < want[content] && (!s.Repeats || !s.Deleted) || n > want[content] && !s.Repeats && !s.Updated {
			return found(Differs, s.Name, "%d rows %s were emitted, the source has %d", n, content, want[content])
		}
	}
	for _, content := range slices.Sorted(maps.Keys(given)) {
		if n := given[content]; n != 0 && want[content] == 0 && !s.Repeats && !s.Updated {
			return found(Differs, s.Name, "%d rows %s were emitted, the source has none", n, content)
		}
	}
	return nil
}

// Altered lists what ALTERs changed in a table's rows without row events: rows that were not changed since may have their old values.
type Altered struct {
	after map[string]string              // the whole row after the last ALTER, by key
	forms map[string]map[string][]former // by key and column: what it had before each ALTER
	// columns are those that an ALTER added, gave another type or converted: rows of a table without key are not compared by them.
	columns    map[string]bool
	left, came map[string]bool // keys that rows had before an ALTER and not after it, or the reverse
}

// Note records rows of a table before and after an ALTER: all of them, or those of one shard, which says nothing about the others.
func (a *Altered) Note(s *Stream, before, after *Table, all bool) *Altered {
	next := &Altered{
		after: map[string]string{}, forms: map[string]map[string][]former{}, columns: map[string]bool{},
		left: map[string]bool{}, came: map[string]bool{},
	}
	if a != nil {
		if !all {
			maps.Copy(next.after, a.after)
			maps.Copy(next.forms, a.forms)
		}
		maps.Copy(next.columns, a.columns)
		maps.Copy(next.left, a.left)
		maps.Copy(next.came, a.came)
	}
	for _, c := range after.Columns {
		if !slices.Contains(before.Columns, c) || !slices.Equal(before.values(c.Name), after.values(c.Name)) {
			next.columns[c.Name] = true
		}
	}
	was, now := rowsByKey(s, before), rowsByKey(s, after)
	for key := range was {
		next.left[key] = next.left[key] || now[key] == nil
		delete(next.after, key)
	}
	for key, row := range now {
		next.after[key] = whole(row)
		delete(next.forms, key)
		next.returned(key)
		next.came[key] = next.came[key] || was[key] == nil
		old := was[key]
		if old == nil {
			continue
		}
		forms := map[string][]former{}
		if a != nil && a.after[key] == whole(old) {
			for column, list := range a.forms[key] {
				forms[column] = slices.Clone(list)
			}
		}
		for _, c := range after.Columns {
			was := former{c, null}
			if at := slices.IndexFunc(before.Columns, func(b Column) bool { return b.Name == c.Name }); at >= 0 {
				was = former{before.Columns[at], before.Columns[at].fromSource(old[c.Name], s.Columns[c.Name].Bool)}
			}
			forms[c.Name] = append(forms[c.Name], was)
		}
		next.forms[key] = forms
	}
	return next
}

// returned notes that the source has a row under that key again: if it lacks it later, that was a DELETE.
func (a *Altered) returned(key string) {
	if a != nil {
		delete(a.left, key)
	}
}

// values are a column's, sorted.
func (t *Table) values(column string) []string {
	list := make([]string, len(t.Rows))
	for i, row := range t.Rows {
		list[i] = string(row[column])
	}
	slices.Sort(list)
	return list
}

func rowsByKey(s *Stream, t *Table) map[string]map[string][]byte {
	rows, err := s.byKey(t, t.Columns)
	if err != nil {
		return nil
	}
	return rows
}

// may reports whether a row that was not changed since the last ALTER may have that value in a column.
func (a *Altered) may(key string, c Column, given any, row map[string][]byte) bool {
	return a != nil && a.after[key] == whole(row) && slices.ContainsFunc(a.forms[key][c.Name], func(f former) bool {
		return f.value == c.fromRecord(given) || f.value == f.column.fromRecord(given)
	})
}

// former is a value that a row had, in a column that had another type then.
type former struct {
	column Column
	value  string
}

func whole(row map[string][]byte) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(row)) {
		fmt.Fprintf(&b, "%s=%q,%v;", name, row[name], row[name] == nil)
	}
	return b.String()
}

// Contents are a table's rows, sorted, to compare them with those of the same table elsewhere.
func (t *Table) Contents() []string {
	list := make([]string, len(t.Rows))
	for i, row := range t.Rows {
		list[i] = whole(row)
	}
	slices.Sort(list)
	return list
}
