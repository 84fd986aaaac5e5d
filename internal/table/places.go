package table

import (
	"fmt"
	"slices"
	"strings"

	"vitess.io/vitess/go/sqltypes"
	querypb "vitess.io/vitess/go/vt/proto/query"
	"vitess.io/vitess/go/vt/sqlparser"
)

// refuse says why the rows that result from a shape may be wrong.
func (e *Evolution) refuse(s *Shape) {
	if s.Current() {
		return
	}
	s.Refused = e.labels(s)
	for i := range s.Origins {
		o := &s.Origins[i]
		if o.Refused != "" || o.From < 0 {
			continue
		}
		switch def := e.made[strings.ToLower(o.Today().Name)]; {
		case e.made == nil && slices.ContainsFunc(s.Origins, func(o Origin) bool { return o.From >= 0 && o.changed() }):
			o.Refused = "whether it is a generated column is not known"
		case def != nil && def.Type.Options.As != nil && e.touches(s, def.Type.Options.As):
			o.Refused = "it is a generated column, and a column that it is computed from was redefined"
		}
	}
}

// Today is the column's current declaration.
func (o Origin) Today() Declaration { return o.Steps[len(o.Steps)-1] }

// changed reports whether the column had declarations whose values need a conversion, regardless of its name.
func (o Origin) changed() bool {
	for i, d := range o.Steps[1:] {
		if !Keeps(d.Column, o.Steps[i].Column) {
			return true
		}
	}
	return false
}

// touches reports whether an expression uses a column whose declaration changed, or that was added.
func (e *Evolution) touches(s *Shape, expression sqlparser.Expr) (found bool) {
	_ = sqlparser.Walk(func(node sqlparser.SQLNode) (bool, error) { // the visitor never fails
		if c, ok := node.(*sqlparser.ColName); ok {
			found = found || slices.ContainsFunc(s.Origins, func(o Origin) bool {
				return strings.EqualFold(o.Today().Name, c.Name.String()) && (o.From < 0 || o.changed())
			})
		}
		return true, nil
	}, expression)
	return found
}

// labels says why the numbers of ENUM and SET columns cannot be derived from what Vitess sends: it describes rows by today's columns if
// these fit by position, and labels by today's declarations; otherwise it describes them by the binary log, and fails at labels.
func (e *Evolution) labels(s *Shape) string {
	named := len(s.Origins) >= len(s.Old)
	for i, c := range s.Old {
		named = named && sqltypes.AreTypesCompatible(logged(c), queryType(s.Origins[i].Today().Column))
	}
	for i, old := range s.Old {
		base := ParseType(old.Type).Base
		_, digest := digested(old.Type)
		labelled := base == "enum" || base == "set" || digest
		switch {
		case !named && labelled:
			return fmt.Sprintf("Vitess does not send older rows of a table with an ENUM or SET (its column %q)", old.Name)
		case !named:
			continue
		}
		now := s.Origins[i].Today()
		if today := ParseType(now.Type).Base; labelled || today == "enum" || today == "set" {
			if reason := relabelled(old, now.Column); reason != "" {
				return fmt.Sprintf("Vitess cannot send older rows, because their column %q is in the place of today's column %q, and %s", old.Name, now.Name, reason)
			}
		}
	}
	return ""
}

// relabelled says why labels that Vitess took for a column's values from today's column at the same position cannot be converted to its
// own.
func relabelled(old, now Column) string {
	if sameType(old.Type, now.Type) || extendsType(now.Type, old.Type) {
		return ""
	}
	t, today := ParseType(old.Type), ParseType(now.Type)
	if _, digest := digested(old.Type); digest {
		return "its earlier labels are not known"
	}
	if t.Base != today.Base {
		return "only one of them is an ENUM, or a SET"
	}
	was, err := t.Labels()
	labels, err2 := today.Labels()
	sorted := slices.Sorted(slices.Values(labels))
	switch {
	case err != nil || err2 != nil:
		return "its labels cannot be read"
	case len(labels) < len(was):
		return "that has fewer labels"
	case slices.Contains(labels, "") || len(slices.Compact(sorted)) < len(labels):
		return "that has two equal labels, or an empty one"
	}
	return ""
}

// Fits reports whether a row's value, as a FIELD event describes it by the binary log or by another column at the same position, may
// belong to the column.
func (c Column) Fits(f *querypb.Field) bool {
	if !strings.HasPrefix(f.Name, "@") {
		return sqltypes.AreTypesCompatible(logged(c), f.Type)
	}
	t := logged(c)
	for _, signed := range [][2]querypb.Type{
		{querypb.Type_UINT8, querypb.Type_INT8},
		{querypb.Type_UINT16, querypb.Type_INT16},
		{querypb.Type_UINT24, querypb.Type_INT24},
		{querypb.Type_UINT32, querypb.Type_INT32},
		{querypb.Type_UINT64, querypb.Type_INT64},
	} {
		if t == signed[0] {
			t = signed[1]
		}
	}
	return t == f.Type
}

// logged is the type that the binary log's table description has for a column.
func logged(c Column) querypb.Type {
	switch t := queryType(c); t {
	case querypb.Type_BINARY, querypb.Type_ENUM, querypb.Type_SET:
		return querypb.Type_CHAR
	case querypb.Type_BLOB:
		return querypb.Type_TEXT
	case querypb.Type_VARBINARY:
		return querypb.Type_VARCHAR
	default:
		return t
	}
}

func queryType(c Column) querypb.Type {
	if _, digest := digested(c.Type); digest {
		return querypb.Type_ENUM
	}
	base := baseOf(ParseType(c.Type).Base)
	switch base {
	case "geomcollection", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon":
		base = "geometry"
	}
	return sqlparser.SQLTypeToQueryType(base, strings.Contains(c.Type, "unsigned"))
}
