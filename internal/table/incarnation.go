package table

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Incarnation distinguishes a table from one of the same name that replaced it, and from itself before its rows were exchanged, without
// an event that says so. It is valid for one server only: another one, such as the next primary, has other IDs.
type Incarnation struct {
	// Server is the server's UUID.
	Server string
	// IDs are InnoDB's IDs of the table or of its partitions, ascending. InnoDB assigns a new one along with new rows: to a table that is
	// created, truncated, exchanged or rebuilt. It assigns none for columns added in place, indexes and statistics.
	IDs []uint64
}

// Replacement is what two Incarnations of a name say about its rows.
type Replacement int

// The replacements.
const (
	// Unknown: the two are from different servers, or one is not known.
	Unknown Replacement = iota
	// Kept: it is the same table; partitions may have been added.
	Kept
	// Replaced: the table, or a partition, is not the same as before.
	Replaced
)

// Since compares the incarnation with an earlier one.
func (i Incarnation) Since(before Incarnation) Replacement {
	switch {
	case i.Server != before.Server || i.Server == "" || len(i.IDs) == 0 || len(before.IDs) == 0:
		return Unknown
	case slices.ContainsFunc(before.IDs, func(id uint64) bool { return !slices.Contains(i.IDs, id) }):
		return Replaced
	}
	return Kept
}

// String is the form that ParseIncarnation parses, "" for an unknown one.
func (i Incarnation) String() string {
	if i.Server == "" || len(i.IDs) == 0 {
		return ""
	}
	ids := make([]string, len(i.IDs))
	for n, id := range i.IDs {
		ids[n] = strconv.FormatUint(id, 10)
	}
	return i.Server + ":" + strings.Join(ids, ",")
}

// ParseIncarnation parses what String wrote.
func ParseIncarnation(text string) (Incarnation, error) {
	if text == "" {
		return Incarnation{}, nil
	}
	server, ids, ok := strings.Cut(text, ":")
	i := Incarnation{Server: server}
	if !ok || server == "" {
		return Incarnation{}, fmt.Errorf("the table's identity does not name its server")
	}
	for word := range strings.SplitSeq(ids, ",") {
		id, err := strconv.ParseUint(word, 10, 64)
		if err != nil || strconv.FormatUint(id, 10) != word || len(i.IDs) > 0 && id <= i.IDs[len(i.IDs)-1] {
			return Incarnation{}, fmt.Errorf("the table's identity is not a list of increasing numbers")
		}
		i.IDs = append(i.IDs, id)
	}
	return i, nil
}
