package e2e

import (
	"database/sql"
	"strings"
	"testing"
)

// TestPurgedPosition continues from a position whose binary logs were purged.
func TestPurgedPosition(t *testing.T) {
	c := own(t, customer(1))
	p := newPipeline(t, c, c.ConfigSharded, "pos_purged")
	p.exec("insert into pos_purged (id, part, v) values (1,1,1), (2,1,1), (3,1,1), (4,1,1)")
	p.readToEnd()
	p.exec("update pos_purged set v = 2 where id = 1") // in shard 80-, like the next one
	p.exec("delete from pos_purged where id = 2")
	// Not those of the other shard: Vitess itself may have written there since, and then the message would name that shard.
	c.purge(t, "80-")
	p.exec("insert into pos_purged (id, part, v) values (5,1,1), (6,1,1)")

	failed := p.readFails()
	for _, part := range []string{
		"Stream customer.pos_purged", "shard 80-", "purged the binary logs", "clear the stream's data", "Re-sync data",
	} {
		if !strings.Contains(failed.Message, part) {
			t.Errorf("the message lacks %q: %s", part, failed.Message)
		}
	}
	for _, l := range p.last.Logs {
		if strings.Contains(l.Message, "Replicating") || strings.Contains(l.Message, "Copying") {
			t.Errorf("a stream was opened: %s", l.Message)
		}
	}
	// Rows that were deleted since then must be removed in the destination, by a refresh.
	p.clear()
	p.with(map[string]any{"invalid_cdc_cursor_position_behavior": "Re-sync data"}).readToEnd()
	p.mustEqualTheSource()
}

// TestPartialRowImages checks and reads servers that do not log complete rows, and reads such rows after the server has stopped logging
// them.
func TestPartialRowImages(t *testing.T) {
	c := own(t, customer(1))
	p := newPipeline(t, c, c.ConfigSharded, "pos_image")
	p.exec("alter table pos_image add column doc json, add column body text")
	p.exec(`insert into pos_image (id, part, v, note, doc, body) values
		(1,1,1,'n','{"a": 1, "b": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}','b'), (3,1,1,'n','{"a": 1}','b'),
		(2,1,1,'n','{"a": 1, "b": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}','b'), (4,1,1,'n','{"a": 1}','b')`)
	p.discover(p.table)
	const image, options = "binlog_row_image", "binlog_row_value_options"
	for _, one := range []struct{ name, variable, value, good, change string }{
		{"row image", image, "NOBLOB", "FULL", "update pos_image set v = v + 1"},
		// The server does not mark the rows as incomplete.
		{"deleted rows", image, "NOBLOB", "FULL", "delete from pos_image where id > 2"},
		// Vitess does not stream these, and returns an error of its own.
		{"minimal row image", image, "MINIMAL", "FULL", "update pos_image set v = v + 1"},
		{"partial JSON", options, "PARTIAL_JSON", "", "update pos_image set doc = json_set(doc, '$.a', 2)"},
	} {
		t.Run(one.name, func(t *testing.T) {
			p := p.in(t, nil)
			says := one.variable + " is " + one.value
			set := func(db *sql.DB, value string) { execOn(t, db, "set global "+one.variable+" = '"+value+"'") }
			p.readToEnd()
			for _, shard := range []string{"-80", "80-"} {
				db := c.mysqld(t, shard)
				set(db, one.value)
				// A new connection: the setting does not apply to existing ones.
				execOn(t, c.mysqld(t, shard), one.change)
				defer set(db, one.good)
			}
			if check := p.check(); check.Status != "FAILED" || !strings.Contains(check.Message, says) {
				t.Errorf("check returns %+v", check)
			}
			p.mustRefuse(says)
			if one.name == "deleted rows" {
				return
			}
			for _, shard := range []string{"-80", "80-"} {
				set(c.mysqld(t, shard), one.good)
			}
			p.mustRefuse("set binlog_row_image=FULL and binlog_row_value_options=''")
		})
	}
}

// mustRefuse runs a sync of partial rows, none of which may be emitted.
func (p *pipeline) mustRefuse(says string) {
	p.t.Helper()
	if err := p.start().finish(); err == nil {
		p.t.Error("the sync succeeded")
	}
	if e := p.last.Errors; len(e) != 1 || e[0].FailureType != "config_error" || !strings.Contains(e[0].Message, says) {
		p.t.Errorf("traces %+v", e)
	}
	if len(p.last.Records) > 0 {
		p.t.Errorf("%d records of partial rows", len(p.last.Records))
	}
}
