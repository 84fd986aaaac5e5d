package row

import (
	"errors"
	"slices"
	"strings"

	"source-planetscale/internal/table"
)

// relabel reverses the server's conversion of an ENUM's or SET's numbers into the labels of another declaration.
func relabel(was, by, base string) (conversion, error) {
	labels, err := table.ParseType(was).Labels()
	others, err2 := table.ParseType(by).Labels()
	if err != nil || err2 != nil || table.ParseType(by).Base != base || len(others) < len(labels) || slices.Contains(others, "") {
		return nil, errors.New("its earlier labels cannot be derived from today's")
	}
	return func(value []byte) ([]byte, error) {
		if len(value) == 0 {
			return value, nil
		}
		list := []string{string(value)}
		if base == "set" {
			list = strings.Split(string(value), ",")
		}
		for i, label := range list {
			n := slices.Index(others, label)
			if n < 0 || n >= len(labels) || slices.Contains(others[n+1:], label) {
				return nil, errUnconvertible
			}
			list[i] = labels[n]
		}
		return []byte(strings.Join(list, ",")), nil
	}, nil
}

// relabelled converts between ENUMs, or between SETs, which keep their labels, in the order of the new declaration. A label that is not
// in it may still be equal to one of its labels in the collation.
func relabelled(from, to valueType) (conversion, error) {
	labels, err := to.Labels()
	if err != nil {
		return nil, err
	}
	return func(value []byte) ([]byte, error) {
		list := []string{string(value)}
		if from.is(setFamily) {
			list = strings.Split(string(value), ",")
		}
		if len(value) == 0 {
			return value, nil
		}
		for _, label := range list {
			if !slices.Contains(labels, label) {
				return nil, errUnconvertible
			}
		}
		slices.SortFunc(list, func(a, b string) int { return slices.Index(labels, a) - slices.Index(labels, b) })
		return []byte(strings.Join(list, ",")), nil
	}, nil
}
