package e2e

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// marked is in each row of the table, and markedID begins their ids, which distinguishes them from everything else in the log.
const (
	marked   = "only-in-rows"
	markedID = 77_700_000_000_000
)

// TestDebugShowsWhatIsDoneAndNoRows resumes a copy by its key and then replicates: both make requests that contain values, or that are
// about tables with them.
func TestDebugShowsWhatIsDoneAndNoRows(t *testing.T) {
	t.Setenv("LOG_LEVEL", "DEBUG")
	c := shared(t)
	p := newPipeline(t, c, c.ConfigSharded, "debug_rows")
	p.insert(markedID, markedID+killRows, func(int) string { return marked + killNote })
	p.copyHalf(killRows * 2 / 3)
	p.readToEnd()
	said := p.logged("DEBUG")
	for _, want := range []string{
		`Connected to \S+ in `,
		`Asked over MySQL, with an answer after \S+: \w+`,
		`Opening a VStream: shard (-80|80-) of keyspace customer from MySQL56/\S+, after a saved key, tables debug_rows, PRIMARY tablets`,
		`The VStream is open after \S+: shard `,
		`The stream of \S*debug_rows in shard (-80|80-): a checkpoint at MySQL56/\S+, \d+ transactions after the last one: ` +
			`[1-9]\d* bytes of records, [1-9]\d* bytes of states, `,
		`The VStream is closed after \S+, with [1-9]\d* bytes received: shard `,
		`source-planetscale \S+ \(.* processors\) ran for `,
	} {
		if !regexp.MustCompile(want).MatchString(said) {
			t.Errorf("the log at level DEBUG lacks %s", want)
		}
	}
	p.exec(fmt.Sprintf("update debug_rows set note = '%s changed' where id < %d", marked, markedID+100))
	p.readToEnd()
	p.mustEqualTheSource()
	for _, text := range []string{said, p.logged("DEBUG", "INFO", "WARN", "ERROR")} {
		for _, value := range []string{marked, strconv.Itoa(markedID)[:7]} {
			if at := strings.Index(text, value); at >= 0 {
				t.Errorf("the log contains a row's value: %.300s", text[max(0, at-200):])
			}
		}
	}
}

// TestLogLevels tries the levels that the platform sets; a warning is logged at each.
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
