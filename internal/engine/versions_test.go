package engine

import (
	"context"
	"slices"
	"strings"
	"testing"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/state"
)

// The log names the servers' versions, and the data that they lose.
func TestVersionsAreSaid(t *testing.T) {
	for said, want := range map[schema.Variables][]string{
		{Vitess: "24.0.4", MySQL: "8.4.6"}: {"VTGate reports Vitess 24.0.4, and MySQL reports 8.4.6."},
		{Vitess: "22.0.0", MySQL: "8.0.40"}: {
			"VTGate reports Vitess 22.0.0, and MySQL reports 8.0.40.", "Tablets older than Vitess 24 lose some data in row changes: the 64th label",
		},
		{Vitess: "21.0.3"}: {"an unknown version", "Tablets older than Vitess 24 lose", "Tablets older than Vitess 22 lose"},
		{MySQL: "8.0.40"}:  nil,
	} {
		said.RowImage, said.Format = "FULL", "ROW"
		server := Server{Variables: func(context.Context, gtid.Shard) (schema.Variables, error) { return said, nil }}
		var log messages
		if err := CheckRowImages(t.Context(), &log, server, gtid.Shards("shop", "-80", "80-")); err != nil {
			t.Fatal(err)
		}
		if len(log) != len(want) {
			t.Errorf("%+v: %q, want %q", said, log, want)
			continue
		}
		for i, part := range want {
			if !strings.Contains(log[i], part) {
				t.Errorf("%+v: %q, want %q", said, log[i], part)
			}
		}
	}
}

// messages is a Logger that collects messages.
type messages []string

func (s *messages) Info(text string, _ ...any) { *s = append(*s, text) }

func TestOlderVTGatePutsTheKeyspaceBeforeTheName(t *testing.T) {
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(begin(7, 6), fields(7, "shop.users"), rowOf(7, "shop.users", nil, []string{"1", "a"}), script.VGTID(6, nil), commit(7))
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	out, err := r.run()
	if got := rows(out); err != nil || !slices.Equal(got, []string{"1:a"}) {
		t.Errorf("records %v, error %v", got, err)
	}
}
