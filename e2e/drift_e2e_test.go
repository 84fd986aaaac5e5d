package e2e

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"source-planetscale/e2e/script"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/sandbox"
)

// ownSandbox starts a cluster whose servers a test may spoil: keyspace customer with two shards.
func ownSandbox(t *testing.T) *sandbox.Sandbox {
	t.Helper()
	script.RequireSandbox(t)
	s, err := sandbox.Up(t.Context(), t.TempDir(), sandbox.Default()[1:], testLog{t})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Purge(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// shardMySQL opens a shard's own mysqld, behind Vitess's back.
func shardMySQL(t *testing.T, s *sandbox.Sandbox, shard string) *sql.DB {
	t.Helper()
	socket := filepath.Join(s.Dir, "data", "mysqld-customer-"+shard+"-0", "data", "mysql.sock")
	wd, err := os.Getwd()
	if err == nil { // Linux limits a socket's path to 107 bytes
		if short, err := filepath.Rel(wd, socket); err == nil && len(short) < len(socket) {
			socket = short
		}
	}
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.DBName = "unix", socket, "vt_dba", "vt_customer"
	connector, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	return db
}

func execOn(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%v: %.200s", err, statement)
		}
	}
}

// with returns the pipeline with other options in its configuration.
func (p *pipeline) with(options map[string]any) *pipeline {
	p.t.Helper()
	var config map[string]any
	data, err := os.ReadFile(p.config)
	if err == nil {
		err = json.Unmarshal(data, &config)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	maps.Copy(config, options)
	if data, err = json.Marshal(config); err != nil {
		p.t.Fatal(err)
	}
	other := *p
	other.config = other.file("other.json", data)
	return &other
}

// readFails runs a sync that is to fail with one trace of the kind config_error, which is returned.
func (p *pipeline) readFails() destination.Error {
	p.t.Helper()
	data, err := exec.Command("source-planetscale", p.readArgs()...).Output()
	if err == nil {
		p.t.Fatalf("the connector ended well: %s", lastLines(data))
	}
	out, err := destination.Parse(strings.NewReader(string(data)))
	if err != nil {
		p.t.Fatal(err)
	}
	p.last = out
	if len(out.Errors) != 1 || out.Errors[0].FailureType != "config_error" || out.Errors[0].Stream == nil || out.Errors[0].Stream.Name != p.name {
		p.t.Fatalf("traces %+v", out.Errors)
	}
	if status := out.Statuses[*out.Errors[0].Stream]; status != "INCOMPLETE" {
		p.t.Errorf("the status is %s", status)
	}
	return out.Errors[0]
}

// TestPurgedPosition reads on from a position whose binary logs are gone.
func TestPurgedPosition(t *testing.T) {
	s := ownSandbox(t)
	p := newPipelineOf(t, "pos_purged", s.PlainMySQL, s.ConfigSharded)
	p.exec("insert into pos_purged (id, part, v) values (1,1,1), (2,1,1), (3,1,1), (4,1,1)")
	p.readToEnd()
	p.exec("update pos_purged set v = 2 where id = 1") // in shard 80-, as the next
	p.exec("delete from pos_purged where id = 2")
	// Not the other shard's: Vitess itself may have written there since, and then that shard would be named.
	purge(t, shardMySQL(t, s, "80-"))
	p.exec("insert into pos_purged (id, part, v) values (5,1,1), (6,1,1)")

	failed := p.readFails()
	for _, part := range []string{"Stream customer.pos_purged", "shard 80-", "purged the binary logs", "clear the stream's data", "Re-sync data"} {
		if !strings.Contains(failed.Message, part) {
			t.Errorf("the message does not say %q: %s", part, failed.Message)
		}
	}
	for _, l := range p.last.Logs {
		if strings.Contains(l.Message, "Replicating") || strings.Contains(l.Message, "Copying") {
			t.Errorf("something was streamed: %s", l.Message)
		}
	}
	// Rows that were deleted meanwhile are the destination's to remove, by a refresh.
	state := p.state
	p.reset()
	p.state = state
	p.with(map[string]any{"invalid_cdc_cursor_position_behavior": "Re-sync data"}).readToEnd()
	p.mustEqualTheSource()
}

// purge removes the binary logs but the newest.
func purge(t *testing.T, db *sql.DB) {
	t.Helper()
	execOn(t, db, "flush binary logs")
	rows, err := db.QueryContext(t.Context(), "show binary logs")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var newest, size, encrypted string
	for rows.Next() {
		if err := rows.Scan(&newest, &size, &encrypted); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	execOn(t, db, fmt.Sprintf("purge binary logs to '%s'", newest))
}

// TestPartialRowImages checks and reads servers that log less than whole rows, and reads such rows when the server does no
// longer do so.
func TestPartialRowImages(t *testing.T) {
	s := ownSandbox(t)
	p := newPipelineOf(t, "pos_image", s.PlainMySQL, s.ConfigSharded)
	p.exec("alter table pos_image add column doc json, add column body text")
	p.exec(`insert into pos_image (id, part, v, note, doc, body) values (1,1,1,'n','{"a": 1, "b": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}','b'), (2,1,1,'n','{"a": 1, "b": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}','b'), (3,1,1,'n','{"a": 1}','b'), (4,1,1,'n','{"a": 1}','b')`)
	p.configure(s.ConfigSharded)
	for _, c := range []struct{ name, set, restore, change, says string }{
		{"row image", "set global binlog_row_image = 'NOBLOB'", "set global binlog_row_image = 'FULL'", "update pos_image set v = v + 1", "binlog_row_image is NOBLOB"},
		// The server does not mark the rows as lacking a column.
		{"deleted rows", "set global binlog_row_image = 'NOBLOB'", "set global binlog_row_image = 'FULL'", "delete from pos_image where id > 2", "binlog_row_image is NOBLOB"},
		// Vitess does not stream these, and says so in its own words.
		{"minimal row image", "set global binlog_row_image = 'MINIMAL'", "set global binlog_row_image = 'FULL'", "update pos_image set v = v + 1", "binlog_row_image is MINIMAL"},
		{"partial JSON", "set global binlog_row_value_options = 'PARTIAL_JSON'", "set global binlog_row_value_options = ''", "update pos_image set doc = json_set(doc, '$.a', 2)", "binlog_row_value_options is PARTIAL_JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := *p
			p.t, p.dir = t, t.TempDir()
			p.reset()
			p.readToEnd()
			for _, shard := range []string{"-80", "80-"} {
				db := shardMySQL(t, s, shard)
				execOn(t, db, c.set)
				// A connection of its own: the setting is for new ones.
				execOn(t, shardMySQL(t, s, shard), c.change)
				defer execOn(t, db, c.restore)
			}
			if check := p.run("check", "--config", p.config).Check; check.Status != "FAILED" || !strings.Contains(check.Message, c.says) {
				t.Errorf("check says %+v", check)
			}
			p.mustRefuse(c.says)
			if c.name == "deleted rows" {
				return
			}
			for _, shard := range []string{"-80", "80-"} {
				execOn(t, shardMySQL(t, s, shard), c.restore)
			}
			p.mustRefuse("set binlog_row_image=FULL and binlog_row_value_options=''")
		})
	}
}

// mustRefuse reads partial rows, of which none may be given.
func (p *pipeline) mustRefuse(says string) {
	p.t.Helper()
	cmd := exec.Command("source-planetscale", p.readArgs()...)
	data, err := cmd.Output()
	if err == nil {
		p.t.Error("the sync ended well")
	}
	p.deliver(data)
	if e := p.last.Errors; len(e) != 1 || e[0].FailureType != "config_error" || !strings.Contains(e[0].Message, says) {
		p.t.Errorf("traces %+v", e)
	}
	if len(p.last.Records) > 0 {
		p.t.Errorf("%d records of partial rows", len(p.last.Records))
	}
}
