package table

import (
	"slices"
	"strings"
)

// Vitess keeps the table that its online DDL replaced, under the name that the copy had. A revert makes the two change places again, once
// it has brought the kept one up to date: rows that were not changed meanwhile have what they had before, and others have the values of
// the columns of the same name (schemadiff.AnalyzeSharedColumns, without a statement).

// retired is a table that a copy replaced.
type retired struct {
	columns  []*life
	charset  string
	inferred bool
	step     int // the first without it
}

// revival is a time in which a column's table was retired.
type revival struct {
	from, to int   // the steps without the table, from the first to the one after the last
	source   *life // the column whose values rows of these steps have since, nil if that is not known
	// redeclared reports that the source was redeclared after the table was retired. If one of the two is a generated column, nothing was
	// copied.
	redeclared bool
}

// retire keeps the columns as they are before an online DDL.
func (e *Evolution) retire(copied string) {
	r := retired{charset: e.charset, inferred: e.inferred, step: len(e.stages)}
	for _, l := range e.now {
		kept := *l
		kept.declared, kept.revivals, kept.twin, kept.parted = slices.Clone(l.declared), slices.Clone(l.revivals), l, r.step
		r.columns = append(r.columns, &kept)
	}
	if e.retired == nil {
		e.retired = map[string]retired{}
	}
	e.retired[copied] = r
}

// revive makes a table and the one that it was retired for change places.
func (e *Evolution) revive(copied string) {
	r := e.retired[copied]
	e.retired[copied] = retired{e.now, e.charset, e.inferred, len(e.stages)}
	for _, l := range r.columns {
		again := revival{from: r.step, to: len(e.stages)}
		if i := place(e.now, l.last().Name); i >= 0 && l.receives(e.now[i]) {
			again.source, again.redeclared = e.now[i], e.now[i].redeclared > l.redeclared
		}
		l.revivals = append(l.revivals, again)
	}
	e.now, e.charset = r.columns, r.charset
	e.stages = append(e.stages, slices.Clone(e.now))
}

// receives reports whether a revert copies the values of a column of the same name to this one, as far as that is known without their
// table's definition.
func (l *life) receives(source *life) bool {
	return l.origin() == source.origin() && l.doubtful == source.doubtful && l.redeclared <= source.redeclared
}

// origin is the column that this one was a twin of at first.
func (l *life) origin() *life {
	for l.twin != nil {
		l = l.twin
	}
	return l
}

// origin says where a column's values come from in rows of a step, and which declarations they had up to another.
func (e *Evolution) origin(l *life, step, until int) (o Origin) {
	first := 0
	again := slices.IndexFunc(l.revivals, func(r revival) bool { return r.from <= step && step < r.to })
	if again >= 0 {
		r := l.revivals[again]
		o, first = e.revived(l, r, step), l.at(r.to)
	} else if o.From = slices.Index(e.stages[step], l.before(step)); o.From >= 0 {
		first = l.at(step)
	} else {
		o.Default, o.Refused = l.initial, l.refused
	}
	if step < l.doubtful && l.doubtful <= until {
		o.Refused = "it is a generated column, whose expression an online schema change may have changed"
	}
	for i, d := range l.declared[first:] {
		if i > 0 && d.step > until {
			break
		}
		d.Copied = d.Copied || again >= 0 && i == 0
		o.Steps = append(o.Steps, d.Declaration)
	}
	return o
}

// before is the column that was in the place of this one at a step.
func (l *life) before(step int) *life {
	for l.twin != nil && step < l.parted {
		l = l.twin
	}
	return l
}

// revived is the origin of what a column got when its table was revived.
func (e *Evolution) revived(l *life, r revival, step int) Origin {
	if r.source == nil || r.redeclared && !e.isPlain(l, r.to) {
		return Origin{From: -1, Refused: "an online schema change that concerned it was reverted, and the values that it got for rows written in the meantime are not known"}
	}
	return e.origin(r.source, step, r.to-1)
}

// isPlain reports whether a column is known to be no generated one, as it was after a step.
func (e *Evolution) isPlain(l *life, step int) bool {
	def := e.made[strings.ToLower(l.last().Name)]
	return def != nil && def.Type.Options.As == nil && l.redeclared <= step
}
