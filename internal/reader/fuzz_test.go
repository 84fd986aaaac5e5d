package reader

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"

	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/state"
	"source-planetscale/internal/wire"
)

// FuzzEvents passes two responses of a broken or hostile server to a reader of changes. The reader may end its stream, but must
// neither panic nor write a state that cannot be read again or that is past the position that was sent.
func FuzzEvents(f *testing.F) {
	users := func(events ...*event) []byte { return encodeEvents(f, events...) }
	f.Add(users(fakevtgate.Begin(7, 6), fakevtgate.Fields(7, "users", idAndName...), fakevtgate.Row(7, "users", nil, []string{"1", "a"})),
		users(script.VGTID(6, nil), fakevtgate.Commit(7)))
	f.Add(users(fakevtgate.Begin(7, 6), script.VGTID(6, fakevtgate.LastPK("users", "id", "1", querypb.Type_INT64)), fakevtgate.Commit(7)),
		users(fakevtgate.Heartbeat(), fakevtgate.Other()))
	f.Add([]byte{10, 0, 10, 2, 8, 15}, []byte{})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		st, tab := stream(t, "users")
		var out bytes.Buffer
		s := newRig(&out, at(9), tab).session(st)
		for _, response := range [][]byte{first, second} {
			done, err := s.applyAll(context.Background(), wire.NewResponse(response))
			if err == nil {
				err = s.encode(context.Background())
			}
			if err != nil || done {
				break
			}
			if err := s.checkpoint(context.Background()); err != nil {
				break
			}
		}
		for line := range bytes.Lines(out.Bytes()) {
			if !json.Valid(line) {
				t.Fatalf("a line that is not JSON: %q", line)
			}
			var m struct {
				Type  string
				State struct {
					Stream struct {
						Descriptor airbyte.StreamDescriptor `json:"stream_descriptor"`
						State      json.RawMessage          `json:"stream_state"`
					}
				}
			}
			if err := json.Unmarshal(line, &m); err != nil {
				t.Fatal(err)
			}
			if m.Type != "STATE" {
				continue
			}
			if _, err := state.Parse(m.State.Stream.State, "shop"); err != nil {
				t.Errorf("a state that cannot be read again: %v: %s", err, line)
			}
		}
	})
}
