package table

import (
	"os"
	"slices"
	"strings"
	"testing"
)

var (
	streams = []Column{{Name: "id", Type: "bigint"}, {Name: "kind", Type: "enum('a','b')"}}
	swapped = []Column{{Name: "kind", Type: "enum('a','b')"}, {Name: "id", Type: "bigint"}}
	others  = []Column{{Name: "id", Type: "int"}}
)

func layoutOf(state string) Layout {
	switch state {
	case "own":
		return Layout{Columns: swapped}
	case "unknown":
		return Layout{Unknown: true}
	}
	return Layout{}
}

func stateOf(t *testing.T, l Layout) string {
	t.Helper()
	switch {
	case l.Columns != nil && l.Unknown:
		t.Error("the columns are both known and unknown")
	case l.Columns != nil:
		return "own"
	case l.Unknown:
		return "unknown"
	}
	return "shared"
}

// withMember returns the columns with another member at the end of their ENUM.
func withMember(columns []Column) []Column {
	more := slices.Clone(columns)
	for i, c := range more {
		if members, closed := strings.CutSuffix(c.Type, "')"); closed {
			more[i].Type = members + "','c')"
		}
	}
	return more
}

// applyEvent applies an event to a layout; ok is false if it cannot occur.
func applyEvent(l *Layout, event string) (reads string, ok bool) {
	was := streams
	if l.Columns != nil {
		was = l.Columns
	}
	what, which, _ := strings.Cut(event, ", ")
	now := map[string][]Column{
		"the same": was, "more": append(slices.Clone(was), Column{Name: "extra", Type: "int"}), "more members": withMember(was),
		"others": others, "the stream's": streams, "of unknown ones": streams,
	}[which]
	if which == "the stream's" && l.Columns == nil || which == "of unknown ones" && l.Columns != nil {
		return "", false
	}
	switch what {
	case "adopted":
		saved := streams
		if which == "of unknown ones" {
			saved = nil
		}
		l.Adopt(now, saved)
	case "looked":
		if l.Reads(now, streams) {
			return "yes", true
		}
		return "no", true
	case "left with":
		l.Step(now, streams)
	case "reached":
		l.Reach()
	default:
		return "", join(l, event)
	}
	return "", true
}

func join(l *Layout, event string) bool {
	other := *l
	switch event {
	case "joined by the same":
	case "joined by an own one":
		other = Layout{Columns: swapped}
		if l.Columns != nil {
			return false
		}
	case "joined by a shared one":
		other = Layout{}
		if l.Columns == nil {
			return false
		}
	case "joined by an unknown one":
		other = Layout{Unknown: true}
	default:
		return false
	}
	*l = l.Join(other)
	return true
}

// rule is a line of testdata/layout.txt.
type rule struct{ states, event, after, reads string }

func (r rule) isAbout(state string) bool {
	return r.states == "any" || slices.Contains(strings.Fields(r.states), state)
}

func rules(t *testing.T) []rule {
	t.Helper()
	data, err := os.ReadFile("testdata/layout.txt")
	if err != nil {
		t.Fatal(err)
	}
	var list []rule
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		parts := strings.Split(line, "|")
		if len(parts) != 4 {
			t.Fatalf("%d parts: %s", len(parts), line)
		}
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		list = append(list, rule{parts[0], parts[1], parts[2], parts[3]})
	}
	return list
}

// TestLayout checks each event in each state against the rules. Exactly one rule applies to each.
func TestLayout(t *testing.T) {
	all := rules(t)
	var events []string
	for _, r := range all {
		if !slices.Contains(events, r.event) {
			events = append(events, r.event)
		}
	}
	tried := 0
	for _, state := range []string{"shared", "own", "unknown"} {
		for _, event := range events {
			l := layoutOf(state)
			reads, ok := applyEvent(&l, event)
			if !ok {
				continue
			}
			tried++
			about := slices.DeleteFunc(slices.Clone(all), func(r rule) bool { return r.event != event || !r.isAbout(state) })
			if len(about) != 1 {
				t.Errorf("%s, %s: %d rules", state, event, len(about))
				continue
			}
			want := about[0].after
			if want == "-" {
				want = state
			}
			if got := stateOf(t, l); got != want || reads != about[0].reads {
				t.Errorf("%s, %s: %s %q, expected %s %q", state, event, got, reads, want, about[0].reads)
			}
		}
	}
	if tried < 40 {
		t.Errorf("only %d combinations were tried", tried)
	}
}

// At returns the columns of the changes after a position.
func TestColumnsAtAPosition(t *testing.T) {
	for state, want := range map[string][]Column{"shared": streams, "own": swapped, "unknown": nil} {
		l := layoutOf(state)
		if got := l.At(streams); !slices.Equal(got, want) || l.Differs() != (state == "own") {
			t.Errorf("%s: %v, differs %v", state, got, l.Differs())
		}
	}
}
