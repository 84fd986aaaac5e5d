package plan

import (
	"fmt"
	"os"
	"strings"
	"testing"

	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/gtid"
	"source-planetscale/internal/lineage"
	"source-planetscale/internal/state"
)

func in(name string) gtid.Shard { return gtid.Shard{Keyspace: "shop", Name: name} }

// at is the position with the transactions 1 to n, none for 0.
func at(t *testing.T, n string) gtid.Position {
	t.Helper()
	if n == "0" {
		return gtid.Position{}
	}
	p, err := gtid.Parse("16b1039f-22b6-11ed-b765-0a43f95f28a3:1-" + n)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// savedAs parses a shard's state as testdata/plan.txt writes it.
func savedAs(t *testing.T, text string) *state.Shard {
	t.Helper()
	kind, rest, _ := strings.Cut(text, "@")
	switch {
	case text == "done":
		return &state.Shard{}
	case kind == "copy" && rest == "":
		return &state.Shard{Copy: &state.Copy{}}
	case kind == "copy":
		position, oldest, restarted := strings.Cut(rest, "<")
		if !restarted {
			oldest = position
		}
		return &state.Shard{
			Position: at(t, position),
			Copy:     &state.Copy{Oldest: at(t, oldest), Restarted: restarted, LastPK: &querypb.QueryResult{}},
		}
	case strings.HasPrefix(text, "copy<"):
		return &state.Shard{Copy: &state.Copy{Oldest: at(t, text[len("copy<"):])}}
	case kind == "moved":
		return &state.Shard{Position: at(t, rest), Moved: map[gtid.Shard]gtid.Position{in("x"): at(t, rest)}}
	}
	return &state.Shard{Position: at(t, text)}
}

// TestPlan checks each line of testdata/plan.txt.
func TestPlan(t *testing.T) {
	data, err := os.ReadFile("testdata/plan.txt")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		tried++
		parts := strings.Split(line, "|")
		if len(parts) != 5 {
			t.Fatalf("%d parts: %s", len(parts), line)
		}
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		src := &Source{Targets: map[gtid.Shard]gtid.Position{}}
		stream := &Stream{Name: "shop.users", Incremental: parts[0] == "incremental", Saved: lineage.Shards{}}
		for part := range strings.SplitSeq(parts[1], ";") {
			name, text, _ := strings.Cut(strings.TrimSpace(part), ": ")
			stream.Saved[in(name)] = savedAs(t, text)
		}
		words := strings.Fields(parts[2])
		for i := 0; i < len(words); i++ {
			name, wanted := strings.CutSuffix(words[i], "*")
			switch {
			case name == "lost":
				i++
				stream.Lost = &Loss{in(words[i]), "has purged the binary logs since then"}
				continue
			case name == "resync":
				src.Resync = true
				continue
			case wanted:
				src.Wanted = append(src.Wanted, in(name))
			}
			src.Existing = append(src.Existing, in(name))
			src.Targets[in(name)] = at(t, parts[3])
		}
		var got []string
		for _, p := range src.Of(stream) {
			if p.Reason == "" {
				t.Errorf("%s: shard %s has a step without a reason", line, p.Shard.Name)
			}
			got = append(got, fmt.Sprintf("%s: %s", p.Shard.Name, p.Step))
		}
		if text := strings.Join(got, "; "); text != parts[4] {
			t.Errorf("%s: got %s", line, text)
		}
	}
	if tried < 30 {
		t.Errorf("only %d lines were tried", tried)
	}
}
