package reader

import (
	"io"
	"testing"

	"google.golang.org/protobuf/proto"
	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/state"
)

// Most states of a copy are of a moment at which its key has a date that servers may refuse to compare: they have the last one without.
func TestTheStateOfACopyHasAKeyThatEveryServerCompares(t *testing.T) {
	day := func(value string) *querypb.QueryResult {
		return fakevtgate.LastPK("users", "id", value, querypb.Type_DATE).Lastpk
	}
	first, zero, last := day("2026-01-01"), day("0000-00-00"), day("2026-01-02")
	for name, c := range map[string]struct {
		saved  *querypb.QueryResult
		passed []*querypb.QueryResult
		want   *querypb.QueryResult
		at     int
	}{
		"compared":                 {nil, []*querypb.QueryResult{zero, first}, first, 7},
		"not compared":             {nil, []*querypb.QueryResult{first, zero, zero}, first, 6},
		"further":                  {nil, []*querypb.QueryResult{first, last, zero}, last, 7},
		"there is no other":        {nil, []*querypb.QueryResult{zero}, zero, 6},
		"not from before a start":  {nil, []*querypb.QueryResult{first, nil, zero}, zero, 8},
		"not compared, one saved":  {last, []*querypb.QueryResult{zero}, last, 5},
		"better than the saved":    {zero, []*querypb.QueryResult{first, zero}, first, 6},
		"it has just started over": {nil, []*querypb.QueryResult{first, nil}, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			users, tab := stream(t, "users")
			p := users.In(in("-"))
			*p.Saved() = state.Shard{Copy: &state.Copy{LastPK: c.saved}}
			if c.saved != nil {
				p.Saved().Position = at(5)
			}
			r := Copy(newRig(io.Discard, at(10), tab).env, p)
			s := newSession(r, nil)
			for i, key := range c.passed {
				if key == nil {
					r.copying.key = nil
					continue
				}
				s.next = candidate{gtid: fakevtgate.GTID(6 + i), key: key, copying: true}
				if err := s.pass(); err != nil {
					t.Fatal(err)
				}
			}
			r.save(&airbyte.Tx{}, r.tables.only(), false)
			if got := p.Saved(); !proto.Equal(got.Copy.LastPK, c.want) || c.want != nil && !got.Position.Equal(at(c.at)) {
				t.Errorf("saved %v at %v", got.Copy.LastPK, got.Position)
			}
		})
	}
}
