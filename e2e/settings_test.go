package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// setGlobal runs a statement on the servers of both shards, and another one when the test has finished.
func (c cluster) setGlobal(t *testing.T, set, restore string) {
	t.Helper()
	for _, shard := range []string{"-80", "80-"} {
		db := c.mysqld(t, shard)
		execOn(t, db, set)
		t.Cleanup(func() { execOn(t, db, restore) })
	}
}

// TestPaddedCharsAreCopiedWithoutPadding copies CHARs, also in a key, from servers that pad them, and changes them. The
// binary log has them without padding: each padded key would be another row.
func TestPaddedCharsAreCopiedWithoutPadding(t *testing.T) {
	long(t)
	c := own(t, customer(1))
	c.setGlobal(t, "set global sql_mode = concat(@@global.sql_mode, ',PAD_CHAR_TO_FULL_LENGTH')",
		"set global sql_mode = replace(@@global.sql_mode, 'PAD_CHAR_TO_FULL_LENGTH', '')")
	p := newPipeline(t, c, c.ConfigSharded, "set_char")
	p.exec("alter table set_char add column c char(10) not null, add column l char(6) character set latin1, " +
		"add column u char(6) character set utf16, add column b char(6) character set utf8mb4 collate utf8mb4_bin, " +
		"drop primary key, add primary key (c, id)")
	p.discover(p.table)
	p.reset()
	const rows = 12
	await(t, time.Minute, func() error { // until vtgate knows the columns
		for id := range rows {
			_, err := p.db.Exec(fmt.Sprintf("insert ignore into set_char (id, part, v, c, l, u, b) values (%d, 1, 1, 'é %d', '', 'ü', 'b')", id, id))
			if err != nil {
				return err
			}
		}
		return nil
	})
	p.readToEnd()
	p.exec("update set_char set v = 2 where id % 2 = 0")
	p.exec("delete from set_char where id = 1")
	p.readToEnd()
	got := p.rows(p.table)
	if len(got) != rows-1 {
		t.Errorf("%d rows, want %d", len(got), rows-1)
	}
	for _, row := range got {
		values := fmt.Sprintf("%q %q %q %q", row["c"], row["l"], row["u"], row["b"])
		if want := fmt.Sprintf(`"é %v" "" "ü" "b"`, row["id"]); values != want {
			t.Errorf("got %s, want %s", values, want)
		}
	}
}

// TestStatementsAndTagsAreRefused runs check and read on servers that log statements, and on one that has a transaction with a tagged GTID.
func TestStatementsAndTagsAreRefused(t *testing.T) {
	long(t)
	c := own(t, customer(1))
	p := newPipeline(t, c, c.ConfigSharded, "set_format")
	p.exec("insert into set_format (id, part, v) values (1, 1, 1), (2, 1, 1), (3, 1, 1)")
	p.readToEnd()
	p.mustEqualTheSource()
	refused := func(says string) {
		t.Helper()
		if check := p.check(); check.Status != "FAILED" || !strings.Contains(check.Message, says) {
			t.Errorf("check returns %+v", check)
		}
		p.mustRefuse(says)
	}
	for _, format := range []string{"STATEMENT", "MIXED"} {
		c.setGlobal(t, "set global binlog_format = "+format, "set global binlog_format = ROW")
		refused("binlog_format is " + format)
	}
	for _, shard := range []string{"-80", "80-"} {
		execOn(t, c.mysqld(t, shard), "set global binlog_format = ROW")
	}
	db := c.mysqld(t, "80-")
	db.SetMaxOpenConns(1)
	execOn(t, db, "set gtid_next = 'AUTOMATIC:mark'", "create table set_tagged (id int primary key)", "set gtid_next = AUTOMATIC")
	refused("The server of shard 80- has transactions whose GTIDs have tags")
}
