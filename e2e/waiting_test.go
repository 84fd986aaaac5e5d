package e2e

import (
	"database/sql"
	"strings"
	"testing"
)

// TestColumnsChangedWhileACopyWaits changes a table between the start of a sync, when its columns are looked up, and its copy.
// The rows are read with the columns that they have then, and so are the changes that the next sync reads.
func TestColumnsChangedWhileACopyWaits(t *testing.T) {
	for _, c := range []struct{ name, tables, change, columns string }{
		{"added", "wait_add", "add column w int default 7", "id, part, v, note"},
		{"moved", "wait_move", "modify column note varchar(4000) after id", "id, part, v, note"},
		{"dropped and added", "wait_drop", "drop column v, add column w int default 7", "id, part, note"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := twoTables(t, c.tables)
			w.changeWhileACopyWaits(c.change)
			w.mustEqual(w.first, "*")
			w.mustEqual(w.waits, c.columns)
			copied := w.state
			if !strings.Contains(string(copied), "own_columns") {
				t.Fatalf("the copy has the same columns as the start of the sync, so that nothing is tested: %s", copied)
			}

			w.exec("update " + w.waits + " set note = 'again' where id < 5")
			w.readToEnd()
			w.mustEqual(w.waits, c.columns)

			w.exec("alter table " + w.waits + " drop column note, add column x varchar(20)")
			w.state = copied
			w.readToEnd()
			w.mustEqual(w.waits, strings.TrimSuffix(c.columns, ", note"))
		})
	}
}

// waiting has two tables; the copy of one waits for that of the other.
type waiting struct {
	*pipeline
	first, waits string
}

// twoTables creates tables with unique names: vtgate remembers the columns of a dropped table for a while.
func twoTables(t *testing.T, prefix string) *waiting {
	t.Helper()
	c := shared(t)
	a, b := prefix+"_a", prefix+"_b"
	p := newPipeline(t, c, c.ConfigSharded, a, b)
	for _, name := range p.tables {
		p.exec("insert into " + name + " (id, part, v, note) values (1,1,1,'n'), (2,1,2,'n'), (3,1,3,'n'), (4,1,4,'n')")
	}
	return &waiting{pipeline: p.with(map[string]any{"concurrency": 1}), first: a, waits: b}
}

// changeWhileACopyWaits runs a sync. An open transaction blocks one copy, since it prevents the table from being locked; the
// other table's copy then waits for a slot.
func (w *waiting) changeWhileACopyWaits(change string) {
	w.t.Helper()
	first, waits := w.open(w.first), w.open(w.waits)
	sync := w.start()
	sync.untilSaid("Copying stream ")
	if strings.Contains(sync.out.String(), "Copying stream customer."+w.waits) {
		w.first, w.waits, first, waits = w.waits, w.first, waits, first
	}
	w.commit(waits)
	w.exec("alter table " + w.waits + " " + change)
	w.commit(first)
	sync.toEnd()
}

// open returns an open transaction that has written to the table in both shards.
func (w *waiting) open(table string) *sql.Tx {
	w.t.Helper()
	tx, err := w.db.BeginTx(w.t.Context(), nil)
	if err == nil {
		const rows = "(5,1,5,'n'), (6,1,6,'n'), (7,1,7,'n'), (8,1,8,'n')"
		_, err = tx.ExecContext(w.t.Context(), "insert into "+table+" (id, part, v, note) values "+rows)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return tx
}

func (w *waiting) commit(tx *sql.Tx) {
	w.t.Helper()
	if err := tx.Commit(); err != nil {
		w.t.Fatal(err)
	}
}
