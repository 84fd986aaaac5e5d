package reader

import (
	"errors"
	"slices"
	"strings"

	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/plan"
	"source-planetscale/internal/row"
	"source-planetscale/internal/vstream"
)

// tables are those of a reader, by name.
type tables struct {
	shard  gtid.Shard
	byName map[string]*tableReader // nil for one that has ended
	names  []string                // of those that have not, in order
	// further are those that were released.
	further []*partition.Partition
}

func newTables(shard gtid.Shard) *tables {
	return &tables{shard: shard, byName: map[string]*tableReader{}}
}

func (ts *tables) add(p *partition.Partition) {
	ts.byName[p.Name()] = &tableReader{Partition: p}
	ts.names = append(ts.names, p.Name())
}

// find returns the table of that name, nil if it has ended or never was.
func (ts *tables) find(name string) *tableReader { return ts.byName[name] }

// only is the one table of a copy.
func (ts *tables) only() *tableReader { return ts.byName[ts.names[0]] }

// remove takes a table out that has ended.
func (ts *tables) remove(name string) *tableReader {
	t := ts.byName[name]
	ts.byName[name] = nil
	ts.names = slices.DeleteFunc(ts.names, func(n string) bool { return n == name })
	return t
}

func (ts *tables) parts() []*partition.Partition {
	list := make([]*partition.Partition, len(ts.names))
	for i, name := range ts.names {
		list[i] = ts.byName[name].Partition
	}
	return list
}

// reach handles a position in a stream without transaction GTIDs.
func (ts *tables) reach(at gtid.Position) {
	for _, name := range ts.names {
		ts.byName[name].reach(at)
	}
}

// release takes out the tables whose own positions a stream that gets no further than this one has not reached: what stops it may lie
// before them.
func (ts *tables) release(at gtid.Position) {
	for _, name := range slices.Clone(ts.names) {
		if t := ts.find(name); !t.From.IsZero() && !t.has(at) {
			ts.further = append(ts.further, ts.remove(name).Partition)
		}
	}
}

// lacking are the tables that do not have the transaction that the stream is in. The others are past it, as with the journal of a split
// that was switched back before they were copied, or it is unknown: those are read again from their own positions.
func (ts *tables) lacking(at gtid.Position, transaction string) (lacking []*tableReader, err error) {
	for _, name := range ts.names {
		t := ts.find(name)
		if t.passed, err = t.skips(at, transaction); err != nil {
			return nil, err
		}
		if !t.passed {
			lacking = append(lacking, t)
		}
	}
	return lacking, nil
}

// String names the tables.
func (ts *tables) String() string { return plan.Enumerate(ts.names, 3) }

// descriptors names the streams, for messages.
func (ts *tables) descriptors() string {
	var list []string
	for _, p := range ts.parts() {
		list = append(list, p.Stream.Descriptor.String())
	}
	return plan.Enumerate(list, 3)
}

// of finds the table of an event, nil for one that has ended. An older vtgate does not know the flag that omits the keyspace before the
// name.
func (ts *tables) of(name []byte) (*tableReader, error) {
	if t, ok := ts.byName[string(name)]; ok || len(name) == 0 { // an event without its payload
		return t, nil
	}
	if t, ok := ts.byName[strings.TrimPrefix(string(name), ts.shard.Keyspace+".")]; ok {
		return t, nil
	}
	return nil, failure.System("", "The server sent rows of %q in shard %s, a table that was not requested", name, ts.shard.Name)
}

// blamed finds the table that the server could not stream, if it is one of several, or has ended; "" for none.
func (ts *tables) blamed(err error) string {
	var e *vstream.Error
	if !errors.As(err, &e) || e.Table == "" || ts.byName[e.Table] != nil && len(ts.names) < 2 {
		return ""
	}
	return e.Table
}

// tableReader is one table of a reader.
type tableReader struct {
	*partition.Partition
	// began is where the stream began, if that is a saved position; it is contained in From.
	began gtid.Position
	// plans by phase, since copy and binary log encode some values differently; nil until a FIELD event arrives.
	plans [2]*row.Plan
	// unreadable is the reason why a phase's rows cannot be read, according to its last FIELD event.
	unreadable [2]error
	// skip caches, for the transaction skipGTID, whether From contains it.
	skip     bool
	skipGTID string
	copied   bool // a row of the copy has arrived
	passed   bool // a row was skipped although it is unknown whether the table has it
}

// rewind discards what a broken stream reported about the table.
func (t *tableReader) rewind() {
	t.plans, t.unreadable, t.copied = [2]*row.Plan{}, [2]error{}, false
}

// skips reports whether the table already has the transaction that the stream is in, for a reader at a position. If the server does not
// send the transaction's GTID (before Vitess 23), the table is assumed to have all until its own position is reached exactly.
func (t *tableReader) skips(at gtid.Position, transaction string) (bool, error) {
	switch {
	case t.From.IsZero():
		return false, nil
	case transaction == "":
		t.reach(at)
		t.passed = !t.From.IsZero()
		return t.passed, nil
	case t.skipGTID == transaction:
		return t.skip, nil
	case t.has(at):
		t.From = gtid.Position{}
		return false, nil
	}
	p, err := gtid.Parse(transaction)
	if err != nil {
		return false, err
	}
	t.skip, t.skipGTID = t.From.Contains(p), transaction
	return t.skip, nil
}

// has reports whether a stream that got to a position has passed the table's own. What that lacks of the position where the stream began
// are transactions of one replica, which another one has not sent.
func (t *tableReader) has(at gtid.Position) bool {
	return at.Contains(t.From) || !at.Contains(t.began) && at.Union(t.began).Contains(t.From)
}

// reach handles a position in a stream without transaction GTIDs: the table's rows begin where its own position is reached exactly, or
// was passed without a row of the table.
func (t *tableReader) reach(at gtid.Position) {
	if !t.From.IsZero() && (at.Equal(t.From) || !t.passed && t.has(at)) {
		t.From, t.passed = gtid.Position{}, false
	}
}

// missed reports whether the table's own position was not reached exactly although rows of it were skipped: it is unknown which of them
// it has, so it must be read again from its own position.
func (t *tableReader) missed() bool { return t.passed && !t.From.IsZero() }
