package torture

import (
	"strings"
	"testing"
)

func TestEveryLineObeysTheProtocol(t *testing.T) {
	status := func(status string) string {
		return `{"type":"TRACE","trace":{"type":"STREAM_STATUS","stream_status":{"stream_descriptor":{"name":"t","namespace":"ks"},"status":"` + status + `"}}}`
	}
	started, running, complete, a := status("STARTED"), status("RUNNING"), status("COMPLETE"), record("1", `"x"`, 10)
	failure := `{"type":"TRACE","trace":{"type":"ERROR","error":{"message":"m","stream_descriptor":{"name":"t"}}}}`
	elsewhere := strings.ReplaceAll(a, `"ks"`, `"other"`)
	nowhere := strings.ReplaceAll(a, `"namespace":"ks",`, "")
	for _, c := range []struct {
		name, problem string
		lines         []string
		bare, changed bool
	}{
		{name: "right", lines: []string{started, running, a, state(1), complete}},
		{name: "incomplete", lines: []string{started, running, a, status("INCOMPLETE")}},
		{name: "killed", lines: []string{started, running, a, a[:len(a)-9]}},
		{name: "a record before the start", lines: []string{a}, problem: `status is ""`},
		{name: "a record after the end", lines: []string{started, complete, a}, problem: `status is "COMPLETE"`},
		{name: "a state after the end", lines: []string{started, complete, state(0)}, problem: `status is "COMPLETE"`},
		{name: "two ends", lines: []string{started, complete, complete}, problem: `"COMPLETE" follows "COMPLETE"`},
		{name: "no state at the end", lines: []string{started, running, a, complete}, problem: "1 records came after the last state"},
		{name: "another stream", lines: []string{strings.ReplaceAll(started, `"t"`, `"u"`)}, problem: "not configured"},
		{name: "another namespace", lines: []string{started, elsewhere}, problem: "namespace should be"},
		{name: "no namespace", lines: []string{started, nowhere}, problem: "namespace should be"},
		{name: "a failure without its namespace", lines: []string{started, failure}, problem: "namespace should be"},
		{name: "another namespace though bare", lines: []string{started, elsewhere}, bare: true, problem: "namespace should be"},
		{name: "an empty namespace", lines: []string{strings.ReplaceAll(started, `"ks"`, `""`)}, bare: true, problem: "namespace should be"},
		{name: "bare", lines: []string{failure, started}, bare: true},
		{name: "a number for a text", lines: []string{started, record("1", "1", 10)}, problem: "got number"},
		{name: "the same after a change of columns", lines: []string{started, record("1", "1", 10)}, changed: true},
	} {
		p := testPlatform(t)
		p.BareCatalog, p.Streams["t"].Changed = c.bare, c.changed
		output := strings.Join(c.lines, "\n")
		if c.name != "killed" {
			output += "\n"
		}
		f := p.Obeys([]byte(output))
		if (f == nil) != (c.problem == "") || f != nil && !strings.Contains(f.Text, c.problem) {
			t.Errorf("%s: %v", c.name, f)
		}
	}
}

func TestChangedUntilAQuietPoint(t *testing.T) {
	for _, c := range []struct{ outdated, replicas, want bool }{{}, {outdated: true, want: true}, {replicas: true, want: true}} {
		p := testPlatform(t)
		p.Streams["t"].Changed, p.Streams["t"].Outdated = true, c.outdated
		if p.Quiet(c.replicas); p.Streams["t"].Changed != c.want {
			t.Errorf("%+v", c)
		}
	}
}
