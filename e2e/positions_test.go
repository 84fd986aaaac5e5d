package e2e

import (
	"database/sql"
	"strings"
	"testing"
)

// TestPurgedPosition reads on from a position whose binary logs are gone.
func TestPurgedPosition(t *testing.T) {
	c := own(t, customer(1))
	p := newPipeline(t, c, c.ConfigSharded, "pos_purged")
	p.exec("insert into pos_purged (id, part, v) values (1,1,1), (2,1,1), (3,1,1), (4,1,1)")
	p.readToEnd()
	p.exec("update pos_purged set v = 2 where id = 1") // in shard 80-, as the next
	p.exec("delete from pos_purged where id = 2")
	// Not the other shard's: Vitess itself may have written there since, and then that shard would be named.
	c.purge(t, "80-")
	p.exec("insert into pos_purged (id, part, v) values (5,1,1), (6,1,1)")

	failed := p.readFails()
	for _, part := range []string{
		"Stream customer.pos_purged", "shard 80-", "purged the binary logs", "clear the stream's data", "Re-sync data",
	} {
		if !strings.Contains(failed.Message, part) {
			t.Errorf("the message does not say %q: %s", part, failed.Message)
		}
	}
	for _, l := range p.last.Logs {
		if strings.Contains(l.Message, "Replicating") || strings.Contains(l.Message, "Copying") {
			t.Errorf("something was streamed: %s", l.Message)
		}
	}
	// Rows that were deleted in the meantime are the destination's to remove, by a refresh.
	p.clear()
	p.with(map[string]any{"invalid_cdc_cursor_position_behavior": "Re-sync data"}).readToEnd()
	p.mustEqualTheSource()
}

// TestPartialRowImages checks and reads servers that log less than whole rows, and reads such rows when the server does no
// longer do so.
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
		// The server does not mark the rows as lacking a column.
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
				// A connection of its own: the setting is for new ones.
				execOn(t, c.mysqld(t, shard), one.change)
				defer set(db, one.good)
			}
			if check := p.check(); check.Status != "FAILED" || !strings.Contains(check.Message, says) {
				t.Errorf("check says %+v", check)
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

// mustRefuse reads partial rows, of which none may be given.
func (p *pipeline) mustRefuse(says string) {
	p.t.Helper()
	if err := p.start().finish(); err == nil {
		p.t.Error("the sync ended well")
	}
	if e := p.last.Errors; len(e) != 1 || e[0].FailureType != "config_error" || !strings.Contains(e[0].Message, says) {
		p.t.Errorf("traces %+v", e)
	}
	if len(p.last.Records) > 0 {
		p.t.Errorf("%d records of partial rows", len(p.last.Records))
	}
}
