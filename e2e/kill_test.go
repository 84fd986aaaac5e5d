package e2e

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// killRows is how many rows the table has at first. Each has killNote bytes of text, so that a shard's copy is sent in dozens of
// packets of 250 kB, at the end of which its key may be saved, and is not complete after the first one.
const killRows = 30_000

// changesMeanwhile is about how many records a sync has that starts right after another one.
const changesMeanwhile = 300

var killNote = strings.Repeat(" and so on", 40)

// newKillPipeline returns a pipeline with a filled table.
func newKillPipeline(t *testing.T, table string) *pipeline {
	t.Helper()
	c := shared(t)
	p := newPipeline(t, c, c.ConfigSharded, table)
	p.insert(0, killRows, func(id int) string { return "row " + strconv.Itoa(id) + killNote })
	return p
}

// TestKilledAtRandomMoments kills the connector repeatedly while it copies and replicates a sharded table that is
// written to, and continues each time from the last printed state. In the end the destination must equal the source.
func TestKilledAtRandomMoments(t *testing.T) {
	p := newKillPipeline(t, "kill_orders")
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("KILL_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("KILL_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	kills := 10
	if testAll() {
		kills = 100
	}
	p.write(writes{seed: random.Uint64(), rows: killRows})
	killed, records := map[string]int{}, 0
	for n := 0; n < kills; {
		what, lines := p.nextStep()
		if p.readUntilKilled(1 + random.IntN(lines)) {
			killed[what]++
			n++
		}
		records += len(p.last.Records)
		if n%3 == 2 {
			p.reset() // so that more copies are killed than the first one
		}
	}
	p.writer.stop()
	p.readToEnd()
	p.mustEqualTheSource()
	if kills == 100 && len(killed) < 3 {
		t.Error("not every kind of sync was killed")
	}
	t.Logf("%v; %d records", killed, records)
}

// nextStep returns what the next sync will do first, and about how many lines that takes.
func (p *pipeline) nextStep() (what string, lines int) {
	switch {
	case p.state == nil:
		return "a copy", killRows
	case strings.Contains(string(p.state), `"last_pk"`):
		return "a copy that resumes after its key", killRows
	}
	return "replication", changesMeanwhile
}

// TestEveryStateReplays reads the table once, while it is written to, and continues from each state of that run.
func TestEveryStateReplays(t *testing.T) {
	p := newKillPipeline(t, "kill_replay")
	p.write(writes{seed: 1, rows: killRows})
	p.readToEnd()
	first := p.last
	p.writer.stop()
	p.readToEnd() // after the writes, so that each replay has changes to catch up with
	for i, state := range first.States {
		q := p.in(t, nil)
		q.keep(first.Records[:state.Before], first.States[:i+1])
		q.readToEnd()
		q.mustEqualTheSource()
	}
	t.Logf("%d states replayed", len(first.States))
}

// TestKeyChangedBetweenAttemptsOfACopy changes the key to another one of as many columns while the copy is unfinished.
func TestKeyChangedBetweenAttemptsOfACopy(t *testing.T) {
	p := newKillPipeline(t, "kill_key")
	p.copyHalf(killRows * 2 / 3)
	p.exec("alter table kill_key drop primary key, add primary key (part, id)")
	p.readToEnd()
	p.mustEqualTheSource()
}

// TestColumnAddedBetweenAttemptsOfACopy adds a column while the copy is unfinished, after rows were changed that are read again.
func TestColumnAddedBetweenAttemptsOfACopy(t *testing.T) {
	p := newKillPipeline(t, "kill_column")
	p.copyHalf(killRows * 2 / 3)
	p.exec("update kill_column set v = v + 1 where id % 100 = 0")
	p.exec("alter table kill_column add column extra varchar(20)")
	await(t, time.Minute, func() error { // until vtgate knows the column
		_, err := p.db.Exec("update kill_column set extra = 'some' where id % 100 < 2")
		return err
	})
	p.discover(p.table)
	p.readToEnd()
	p.mustEqualTheSource()
}
