package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// resumableKeys are key columns after which a copy can continue, with expressions for their values in which %[1]d is a number.
var resumableKeys = []struct{ name, column, value string }{
	{"unsigned", "bigint unsigned", "18446744073709551615 - %[1]d"},
	{"decimal", "decimal(20,5)", "%[1]d * 1.00001 - 500"},
	{"date", "date", "'1000-01-01' + interval %[1]d day"},
	{"datetime", "datetime(6)", "'2026-03-29 01:59:59' + interval %[1]d * 1234567 microsecond"},
	{"timestamp", "timestamp(6)", "'2026-03-29 01:59:59' + interval %[1]d * 1234567 microsecond"},
	{"time", "time(3)", "sec_to_time(%[1]d / 7)"},
	{"text", "varchar(40) character set utf8mb4", "concat(elt(%[1]d %% 6 + 1, 'a', 'B', 'Ä', 'ß', '''\\\\', '🙂'), %[1]d)"},
	{"latin1", "varchar(40) character set latin1 collate latin1_german1_ci", "concat(elt(%[1]d %% 4 + 1, 'a', 'B', 'Ä', 'ß'), %[1]d)"},
	{"char", "char(20) character set utf8mb4 collate utf8mb4_bin", "concat(elt(%[1]d %% 3 + 1, 'a', 'Z', 'é'), %[1]d)"},
	{"binary", "binary(16)", "concat(elt(%[1]d %% 4 + 1, x'00', x'27', x'5c', x'ff'), unhex(lpad(hex(%[1]d), 8, '0')))"},
	{"varbinary", "varbinary(16)", "concat(elt(%[1]d %% 4 + 1, x'00', x'27', x'5c', x'ff'), unhex(lpad(hex(%[1]d), 8, '0')))"},
}

// keyRows is how many rows the tables of resumableKeys have.
const keyRows = 4000

// newKeyPipeline returns a pipeline with a filled table whose key starts with this column; each value has two rows.
func newKeyPipeline(t *testing.T, name, column, value string) *pipeline {
	t.Helper()
	c := shared(t)
	p := newPipeline(t, c, c.ConfigSharded, name)
	p.exec("alter table " + name + " add column k " + column + " not null, drop primary key, add primary key (k, id)")
	p.discover(name)
	p.reset()
	for from := 0; from < keyRows; from += 500 {
		var values []string
		for id := from; id < from+500; id++ {
			values = append(values, fmt.Sprintf("(%d,1,1,'%s',%s)", id, strings.Repeat("and so on ", 200), fmt.Sprintf(value, id/2)))
		}
		await(t, time.Minute, func() error { // until vtgate knows the column
			_, err := p.db.Exec("insert ignore into " + name + " (id, part, v, note, k) values " + strings.Join(values, ","))
			return err
		})
	}
	return p
}

// TestCopyGoesOnAfterAnyKey kills copies of tables with keys of every type after which copies are resumed.
func TestCopyGoesOnAfterAnyKey(t *testing.T) {
	long(t)
	for _, key := range resumableKeys {
		t.Run(key.name, func(t *testing.T) {
			p := newKeyPipeline(t, "key_"+key.name, key.column, key.value)
			p.copyHalf(keyRows * 2 / 3)
			before := p.unfinished(p.state)
			p.readToEnd()
			p.mustEqualTheSource()
			for _, s := range p.last.States {
				for shard, c := range p.unfinished([]byte("[" + string(s.Message) + "]")) {
					if c.Restarted && before[shard].LastPK != "" {
						t.Fatalf("the copy of %s started over: %s", shard, s.Message)
					}
				}
			}
		})
	}
}

// TestCopyWithZeroDatesInItsKey kills copies among rows whose keys have dates that MySQL, whose sql_mode is the default one, refuses to
// compare. They are null at the destination, which therefore deduplicates by another key.
func TestCopyWithZeroDatesInItsKey(t *testing.T) {
	long(t)
	for name, column := range map[string]string{"date": "date", "datetime": "datetime(6)", "timestamp": "timestamp"} {
		t.Run(name, func(t *testing.T) {
			p := newKeyPipeline(t, "zero_"+name, column, "if(%[1]d %% 2, '0000-00-00', '2026-05-01' + interval %[1]d hour)")
			p.exec("alter table zero_" + name + " add unique key (id)")
			p.catalog = p.editedCatalog("catalog.json", func(stream map[string]any) { stream["primary_key"] = [][]string{{"id"}} })
			for _, part := range []int{4, 2} { // half of the rows, the first ones, have a zero date
				p.reset()
				p.copyHalf(keyRows / part)
				p.readToEnd()
				p.mustEqual(p.table, "id, part, v, note")
			}
		})
	}
}

// copyState is the part of a state about an unfinished copy. A copy that was killed before its first saved key correctly starts over.
type copyState struct {
	Restarted bool
	LastPK    string `json:"last_pk"`
}

// unfinished returns the copies in the state of one stream, by shard.
func (p *pipeline) unfinished(state []byte) map[string]copyState {
	p.t.Helper()
	var streams []struct {
		Stream struct {
			State struct {
				Shards map[string]struct{ Copy *copyState }
			} `json:"stream_state"`
		}
	}
	if err := json.Unmarshal(state, &streams); err != nil || len(streams) != 1 {
		p.t.Fatalf("%v: %s", err, state)
	}
	copies := map[string]copyState{}
	for shard, s := range streams[0].Stream.State.Shards {
		if s.Copy != nil {
			copies[shard] = *s.Copy
		}
	}
	return copies
}

// TestCollationChangedBetweenAttemptsOfACopy reorders the rows of a copy that has reached x, before the ä and ö of Swedish: in the
// new order they come before x.
func TestCollationChangedBetweenAttemptsOfACopy(t *testing.T) {
	const column = "varchar(40) character set utf8mb4 collate utf8mb4_"
	p := newKeyPipeline(t, "key_collation", column+"sv_0900_ai_ci", "concat(elt(%[1]d %% 4 + 1, 'x', 'y', 'ä', 'ö'), %[1]d)")
	p.copyHalf(keyRows * 2 / 3)
	p.exec("alter table key_collation modify k " + column + "0900_ai_ci not null")
	p.readToEnd()
	p.mustEqualTheSource()
}
