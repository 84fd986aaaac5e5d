package engine

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/reader"
	"source-planetscale/internal/record"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/state"
)

// The server has fewer transactions than the state. A replica may lag; a primary has lost some, unless it is about to commit them.
func TestPositionAheadOfTheServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		replica  bool
		commits  bool
		executed int    // by the primary, the first time that it is asked; 0 if that is refused
		server   string // the primary
		stands   int    // where the tablet that is read is
		want     string
	}{
		"primary":                                {stands: 6, want: "shard - no longer has some of its transactions"},
		"primary about to commit":                {commits: true, stands: 6},
		"replica":                                {replica: true, stands: 6},
		"replica that lags":                      {replica: true, executed: 9, server: fakevtgate.UUID, stands: 6},
		"replica of a primary that was restored": {replica: true, executed: 6, server: fakevtgate.UUID, stands: 6, want: "shard - no longer has some of its transactions"},
		"replica that is ahead of a primary that was restored":  {replica: true, executed: 6, server: fakevtgate.UUID, stands: 9, want: "shard - no longer has some of its transactions"},
		"replica of a primary about to commit":                  {replica: true, commits: true, executed: 6, server: fakevtgate.UUID, stands: 6},
		"replica with what the primary, another one, never had": {replica: true, executed: 6, server: another, stands: 6},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.stands, nil)
			if c.commits {
				r.stands = 9 // after the sync peeked
			}
			r.cfg.UseReplica = c.replica
			r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(9)})
			refused := failures{}
			s := r.sync()
			executed := c.executed
			s.server.Primary.Executed = func(context.Context, gtid.Shard) (string, string, error) {
				if executed == 0 {
					return "", "", schema.ErrRefused
				}
				at := at(executed)
				if c.commits {
					executed = 9
				}
				return c.server, at.GTIDSet(), nil
			}
			j := newJudgement(s)
			j.aheadUntil = time.Now().Add(aheadPoll) // instead of aheadPatience
			if err := j.check(t.Context(), refused); err != nil {
				t.Fatal(err)
			}
			f := refused[airbyte.StreamDescriptor{Name: "users", Namespace: "shop"}]
			switch {
			case c.want == "" && (f != nil || len(j.streams) != 1):
				t.Errorf("the stream fails: %v", f)
			case c.want != "" && (f == nil || f.Kind != airbyte.ConfigError || !strings.Contains(f.Message(), c.want)):
				t.Errorf("the failure is %v", f)
			}
			if warned := strings.Contains(r.out.buf.String(), "is behind a saved position"); warned != (name == "replica" || name == "replica that lags") {
				t.Errorf("warned about a lag: %v", warned)
			}
		})
	}
}

// A replica that was created from a backup has no logs from before the backup, and vtgate streams from another one.
func TestLogsThatOneReplicaAloneHasPurged(t *testing.T) {
	for name, c := range map[string]struct {
		replica bool
		purged  int // how many responses say that the logs are purged
		asked   int
		lost    bool
	}{
		"one replica":  {true, 1, 2, false},
		"all replicas": {true, reader.ReplicasAsked, reader.ReplicasAsked, true},
		"none":         {true, 0, 1, false},
		"primary":      {false, 1, 1, true},
	} {
		r := newRig(t, 9, nil)
		asked := 0
		r.asks = func(s *Server) {
			s.Purged = func(context.Context, gtid.Shard, string) (bool, error) {
				asked++
				return asked <= c.purged, nil
			}
		}
		r.cfg.UseReplica = c.replica
		why, err := newJudgement(r.sync()).why(t.Context(), in("-"), at(5))
		if err != nil || (why != "") != c.lost || asked != c.asked {
			t.Errorf("%s: %q, %v, queried %d times", name, why, err, asked)
		}
	}
}

// A shard that has its logs since one position has them since later ones: hundreds of tables at as many positions need one query.
func TestLogsSinceAnEarlierPositionAreThoseSinceLaterOnes(t *testing.T) {
	r := newRig(t, 9, nil)
	var asked []string
	r.asks = func(s *Server) {
		s.Purged = func(_ context.Context, shard gtid.Shard, set string) (bool, error) {
			asked = append(asked, shard.Name+strings.TrimPrefix(set, fakevtgate.UUID))
			return set == at(2).GTIDSet(), nil
		}
	}
	r.newShards("-80", "80-")
	j := newJudgement(r.sync())
	for _, c := range []struct {
		shard string
		at    int
		lost  bool
	}{{"-80", 5, false}, {"-80", 6, false}, {"-80", 4, false}, {"-80", 5, false}, {"80-", 6, false}, {"-80", 2, true}, {"-80", 3, false}, {"-80", 2, true}} {
		why, err := j.why(t.Context(), in(c.shard), at(c.at))
		if err != nil || (why != "") != c.lost {
			t.Errorf("%s at %d: %q, %v", c.shard, c.at, why, err)
		}
	}
	if want := []string{"-80:1-5", "-80:1-4", "80-:1-6", "-80:1-2", "-80:1-3", "-80:1-2"}; !slices.Equal(asked, want) {
		t.Errorf("queried %q, want %q", asked, want)
	}
}

// MySQL prints GTID sets on several lines, and users paste them.
func TestPositionOnTwoLinesStaysOutOfRecords(t *testing.T) {
	p, err := gtid.Parse("MySQL56/" + fakevtgate.UUID + ":1-5,\n26b1039f-22b6-11ed-b765-0a43f95f28a3:1-3")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(begin(7, 6), fields(7, "users"), rowOf(7, "users", nil, []string{"1", "a"}),
			vgtidText("MySQL56/"+fakevtgate.UUID+":1-6,26b1039f-22b6-11ed-b765-0a43f95f28a3:1-3", nil), commit(7))
		return hold(done)
	})
	users := testTable("users")
	r.addStream(users, airbyte.Incremental, &state.Stream{
		Columns: users.Columns,
		Shards:  map[gtid.Shard]*state.Shard{in("-"): {Position: p}},
	}, record.ColumnMetadata)
	err = r.sync().Run(context.Background())
	_, perr := destination.Parse(bytes.NewReader(r.out.buf.Bytes()))
	if perr != nil {
		t.Errorf("sync error %v; output does not parse: %v", err, perr)
	}
}
