package engine

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	querypb "vitess.io/vitess/go/vt/proto/query"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/state"
)

// day is a date as a copy's key.
func day(value string) *querypb.QueryResult {
	return fakevtgate.LastPK("users", "id", value, querypb.Type_DATE).Lastpk
}

// MySQL refuses to compare a date that is in no calendar, unless its sql_mode allows it. vtgate also resumes by itself, and passes on what
// MySQL says. Only the server knows what it refuses, so such a key is tried. A saved one that is certain is kept for when it is refused.
func TestCopyGoesOnAfterAKeyThatTheServerCompares(t *testing.T) {
	t.Parallel()
	lost := status.Error(codes.Unavailable, "the tablet is gone")
	refuses := status.Error(codes.InvalidArgument, "vttablet: rpc error: code = InvalidArgument desc = Incorrect DATE value: '0000-00-00' (errno 1525) (sqlstate HY000) during query: select id")
	mistyped := status.Error(codes.InvalidArgument, `vttablet: invalid lastpk value for column "id"`)
	const zero, month, feb, first, last = "0000-00-00", "2026-00-10", "2026-02-30", "2026-01-01", "2026-01-02"
	type end struct {
		after string // this row; "" for none
		with  error
	}
	for name, c := range map[string]struct {
		saved string
		rows  []string // in the key's order
		ends  []end    // of one stream after another
		asked string   // the keys of the requests
		fails string
		// rarely: no state is saved on the way.
		rarely bool
	}{
		"the last one saved":             {"", []string{first, zero, last}, []end{{zero, refuses}}, " " + first, "", false},
		"not the one asked for":          {"", []string{first, month, last}, []end{{month, lost}, {"", refuses}}, " " + month + " " + first, "", false},
		"an impossible date":             {"", []string{first, feb, last}, []end{{feb, lost}, {"", refuses}}, " " + feb + " " + first, "", false},
		"the server allows it":           {"", []string{first, zero, last}, []end{{zero, lost}}, " " + zero, "", false},
		"there is no other":              {"", []string{zero, last}, []end{{zero, lost}, {"", refuses}}, " " + zero + " ", "", false},
		"an old state":                   {zero, []string{zero, last}, []end{{"", refuses}}, zero + " ", "", false},
		"no further than before":         {first, []string{first, zero, last}, []end{{zero, refuses}}, first + " ", "", false},
		"of another type":                {first, []string{first, last}, []end{{"", mistyped}}, first + " ", "", false},
		"a saved one, further each time": {"", []string{first, zero, last, month}, []end{{zero, refuses}, {month, refuses}}, " " + first + " " + last, "", false},
		"never": {
			"",
			[]string{zero, month},
			[]end{{zero, refuses}, {"", refuses}, {zero, lost}, {"", refuses}, {zero, lost}, {"", refuses}},
			" 0000-00-00  0000-00-00  0000-00-00",
			"3 times and cannot resume where it stopped, because the server refused to compare the last key, as MySQL does if it has a zero date;",
			false,
		},
		"none is saved yet":       {"", []string{first, zero, last}, []end{{zero, refuses}}, " " + first, "", true},
		"one passed since":        {"", []string{zero, first, month, last}, []end{{month, lost}, {"", refuses}}, " " + month + " " + first, "", true},
		"again after a new start": {first, []string{first, zero, last, month}, []end{{zero, refuses}, {zero, refuses}}, first + "  " + first, "", true},
		"no further each time": {
			first,
			[]string{first, zero, last},
			[]end{{zero, lost}, {"", refuses}, {zero, lost}, {"", refuses}, {zero, lost}, {"", refuses}},
			first + " " + zero + " " + first + " " + zero + " " + first + " " + zero + " ", "", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 6, nil)
			r.stream = func(q *request, send func(...*event), done <-chan struct{}) error {
				var ends end
				if n := len(r.requests()); n <= len(c.ends) {
					ends = c.ends[n-1]
				}
				from := 1 + slices.Index(c.rows, keyOf(q))
				if from > 0 && ends.after == "" && ends.with != nil {
					return ends.with
				}
				send(begin(0, 0), fakevtgate.Fields(0, "users", fakevtgate.Field("id", "date", querypb.Type_DATE), idAndName[1]), script.VGTID(6, nil))
				for _, row := range c.rows[from:] {
					key := fakevtgate.LastPK("users", "id", row, querypb.Type_DATE)
					send(rowOf(0, "users", nil, []string{row, row}), script.VGTID(6, key), commit(0), begin(0, 0))
					if row == ends.after {
						return ends.with
					}
				}
				send(script.VGTID(6, nil), commit(0), script.CopyCompleted())
				return hold(done)
			}
			r.cfg.CheckpointIntervalSeconds = 0 // a state at every boundary
			if c.rarely {
				r.cfg.CheckpointIntervalSeconds = 3600
			}
			users := testTable("users")
			users.Columns[0].Type = "date"
			var saved *state.Shard
			if c.saved != "" {
				saved = &state.Shard{Position: at(5), Copy: &state.Copy{Oldest: at(5), LastPK: day(c.saved)}}
			}
			r.add(users, airbyte.Incremental, saved)
			out, err := r.run()
			if (err != nil) != (c.fails != "") || err != nil && !strings.Contains(out.Errors[0].Message, c.fails) {
				t.Errorf("error %v, traces %+v", err, out.Errors)
			}
			for _, row := range c.rows[1+slices.Index(c.rows, c.saved):] {
				if !slices.ContainsFunc(rows(out), func(sent string) bool { return strings.HasSuffix(sent, ":"+row) }) && c.fails == "" {
					t.Errorf("the row %s is missing", row)
				}
			}
			var asked []string
			for _, q := range r.requests() {
				if keyOf(q) != "" || q.Vgtid.ShardGtids[0].Gtid == "" { // not of the changes after the copy
					asked = append(asked, keyOf(q))
				}
			}
			if got := strings.Join(asked, " "); got != c.asked {
				t.Errorf("resumed after %q, expected %q", got, c.asked)
			}
		})
	}
}

// keyOf is the key after which a copy is requested, "" for none.
func keyOf(q *request) string {
	if keys := q.Vgtid.ShardGtids[0].TablePKs; keys != nil {
		return string(keys[0].Lastpk.Rows[0].Values)
	}
	return ""
}
