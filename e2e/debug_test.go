package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// marked is a text that a row of the table has, in its key and beside it.
const marked = "only-in-rows"

// newMarkedPipeline has a table whose rows, keys included, are told from all else by their text. Its copy comes in dozens of packets.
func newMarkedPipeline(t *testing.T) *pipeline {
	t.Helper()
	c := shared(t)
	p := newPipeline(t, c, c.ConfigSharded)
	p.make("debug_rows", "(id varchar(40) primary key, note varchar(4000))", "id")
	for from := 0; from < killRows; from += 500 {
		var rows []string
		for id := from; id < from+500; id++ {
			rows = append(rows, fmt.Sprintf("('%s-%06d','%s%s')", marked, id, marked, killNote))
		}
		p.exec("insert into debug_rows (id, note) values " + strings.Join(rows, ","))
	}
	p.discover("debug_rows")
	return p
}

// TestDebugShowsWhatIsDoneAndNoRows resumes a copy by its key and replicates after it: both have requests with values in them, or of
// tables that have them.
func TestDebugShowsWhatIsDoneAndNoRows(t *testing.T) {
	t.Setenv("LOG_LEVEL", "DEBUG")
	p := newMarkedPipeline(t)
	p.copyHalf(killRows * 2 / 3)
	p.readToEnd()
	said := p.logged("DEBUG")
	for _, want := range []string{
		"Connected to ",
		"Asked over MySQL, with an answer after ",
		"Opening a VStream: shard -80 of keyspace customer from MySQL56/",
		", after a saved key, tables debug_rows, PRIMARY tablets",
		"The VStream is open after ",
		"The stream of customer.debug_rows in shard -80: a checkpoint at MySQL56/",
		" states of ",
		"The VStream is closed after ",
		" processors) ran for ",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("the log at level DEBUG lacks %q", want)
		}
	}
	p.exec("update debug_rows set note = '" + marked + " changed' where id < '" + marked + "-000100'")
	p.readToEnd()
	p.mustEqualTheSource()
	for _, text := range []string{said, p.logged("DEBUG", "INFO", "WARN", "ERROR")} {
		if at := strings.Index(text, marked); at >= 0 {
			t.Errorf("the log holds a row's value: %.300s", text[max(0, at-200):])
		}
	}
}

// TestLogLevels are those that the platform sets; a warning comes at each.
func TestLogLevels(t *testing.T) {
	c := shared(t)
	p := newPipeline(t, c, c.ConfigPlain, "log_levels")
	for level, want := range map[string][]string{
		"": {"INFO", "WARN"}, "INFO": {"INFO", "WARN"}, "nonsense": {"INFO", "WARN"},
		"debug": {"DEBUG", "INFO", "WARN"}, "TRACE": {"DEBUG", "INFO", "WARN"}, "WARN": {"WARN"}, "ERROR": {"WARN"},
	} {
		t.Setenv("LOG_LEVEL", level)
		p.reset()
		p.readToEnd()
		for _, l := range []string{"DEBUG", "INFO", "WARN"} {
			if expected := strings.Contains(strings.Join(want, " "), l); expected != (p.logged(l) != "") {
				t.Errorf("LOG_LEVEL %q: lines of level %s: %t, want %t", level, l, !expected, expected)
			}
		}
	}
}
