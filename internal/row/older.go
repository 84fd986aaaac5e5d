package row

import (
	"errors"
	"fmt"

	"source-planetscale/internal/table"

	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"
)

// Unconvertible is Append's error for a value that MySQL's ALTER TABLE refuses in strict mode: what it became is not known.
type Unconvertible struct{ Column, From, To string }

func (e *Unconvertible) Error() string {
	return fmt.Sprintf("column %q: a value of it as %s cannot become one of %s without loss", e.Column, e.From, e.To)
}

// CompileOlder builds the plan for rows of the binary log that were written under older columns of the table. t is today's table, f the
// FIELD event that announced the rows, and columns are the names of today's columns to emit.
func CompileOlder(t *table.Table, s *table.Shape, f *binlogdatapb.FieldEvent, columns []string, o Options) (*Plan, error) {
	return nil, errors.New("not done yet")
}

// CheckOlder reports why rows of that shape cannot be given, as far as that can be told before they come.
func CheckOlder(t *table.Table, s *table.Shape, columns []string, o Options) error {
	return nil
}
