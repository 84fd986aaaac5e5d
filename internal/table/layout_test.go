package table

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The words for states, by what they are alternatives of.
var stateWords = [][]string{{"fresh", "stale"}, {"known", "assumed", "relied"}, {"full", "fewer"}, {"shared", "own"}}

var (
	streams = []Column{{Name: "id", Type: "bigint"}, {Name: "name", Type: "text"}}
	swapped = []Column{{Name: "name", Type: "text"}, {Name: "id", Type: "bigint"}}
	extra   = Column{Name: "extra", Type: "int"}
	others  = []Column{{Name: "id", Type: "int"}}
)

// layoutOf is the layout of a state; the columns of its own are those.
func layoutOf(words []string, own []Column) Layout {
	l := Layout{Stale: words[0] == "stale", Assumed: Assumption(slices.Index(stateWords[1], words[1]))}
	if words[2] == "fewer" {
		l.Had = 1
	}
	if words[3] == "own" {
		l.Columns = own
	}
	return l
}

// wordsOf is the state of a layout.
func wordsOf(l Layout) []string {
	words := []string{"fresh", stateWords[1][l.Assumed], "full", "shared"}
	if l.Stale {
		words[0] = "stale"
	}
	if l.Had > 0 {
		words[2] = "fewer"
	}
	if l.Columns != nil {
		words[3] = "own"
	}
	return words
}

// happen lets something happen to a layout; ok is false where it cannot happen.
func happen(l *Layout, event string) (refusal Refusal, ok bool) {
	was := streams
	if l.Columns != nil {
		was = l.Columns
	}
	event, given := strings.CutSuffix(event, ", rows given")
	now := map[string][]Column{"the same": was, "more": append(slices.Clone(was), extra), "others": others, "the stream's": streams}
	what, which, _ := strings.Cut(event, ", ")
	if which == "the stream's" && l.Columns == nil || which == "of unknown ones" && l.Columns != nil {
		return "", false
	}
	switch what {
	case "row":
		return l.Give(), true
	case "altered":
		return l.Alter(), true
	case "extended":
		l.Extend()
	case "looked":
		return l.Look(now[which], streams, given), true
	case "snapshot":
		return l.Snapshot(now[which], streams, given), true
	case "adopted":
		saved := streams
		if which == "of unknown ones" {
			saved, now[which] = nil, streams
		}
		l.Adopt(now[which], saved)
	case "reached":
		l.Reach()
	default:
		return "", join(l, event)
	}
	return "", true
}

func join(l *Layout, event string) bool {
	other := Layout{Columns: l.Columns}
	switch event {
	case "joined by a fresh one":
	case "joined by a stale one":
		other.Stale = true
	case "joined by an assumed one":
		other.Assumed = Assumed
	case "joined by one with fewer":
		other.Had = 1
	case "joined by one with its own":
		if l.Columns != nil {
			return false
		}
		other.Columns = swapped
	case "joined by one with the stream's":
		if l.Columns == nil {
			return false
		}
		other.Columns = nil
	default:
		return false
	}
	*l = l.Join(other)
	return true
}

// rule is a line of testdata/layout.txt.
type rule struct{ state, event, change, refusal string }

func (r rule) isAbout(words []string) bool {
	return r.state == "any" || !slices.ContainsFunc(strings.Fields(r.state), func(w string) bool { return !slices.Contains(words, w) })
}

// after is the state that the rule makes of another.
func (r rule) after(words []string) []string {
	after := slices.Clone(words)
	for i, alternatives := range stateWords {
		for _, w := range strings.Fields(r.change) {
			if slices.Contains(alternatives, w) {
				after[i] = w
			}
		}
	}
	return after
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

// TestLayout holds each event in each state against the rules. Each has exactly one.
func TestLayout(t *testing.T) {
	all := rules(t)
	var events []string
	for _, r := range all {
		if !slices.Contains(events, r.event) {
			events = append(events, r.event)
		}
	}
	tried := 0
	for i := range 2 * 3 * 2 * 2 {
		words := []string{stateWords[0][i%2], stateWords[1][i/2%3], stateWords[2][i/6%2], stateWords[3][i/12]}
		for _, event := range events {
			l := layoutOf(words, swapped)
			refusal, ok := happen(&l, event)
			if !ok {
				continue
			}
			tried++
			about := slices.DeleteFunc(slices.Clone(all), func(r rule) bool { return r.event != event || !r.isAbout(words) })
			if len(about) != 1 {
				t.Errorf("%v, %s: %d rules", words, event, len(about))
				continue
			}
			if got, want := wordsOf(l), about[0].after(words); string(refusal) != about[0].refusal || !slices.Equal(got, want) {
				t.Errorf("%v, %s: %v %q, expected %v %q", words, event, got, refusal, want, about[0].refusal)
			}
		}
	}
	if tried < 500 {
		t.Errorf("only %d combinations were tried", tried)
	}
}
