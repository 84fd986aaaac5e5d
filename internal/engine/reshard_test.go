package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	binlogdatapb "vitess.io/vitess/go/vt/proto/binlogdata"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/config"
	"source-planetscale/internal/destination"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
)

// newShards replaces the shards of the rig's keyspace. The new and the former ones are at transaction 20.
func (r *rig) newShards(names ...string) {
	r.stands, r.shards = 20, names
	for _, name := range names {
		r.targets[name] = at(20)
	}
}

// addSaved configures a stream with saved shards.
func (r *rig) addSaved(name string, shards map[string]*state.Shard) *partition.Stream {
	r.t.Helper()
	return r.addUnder(testTable(name).Columns, name, shards)
}

// addUnder does the same with a state that was saved when the table had these columns.
func (r *rig) addUnder(columns []table.Column, name string, shards map[string]*state.Shard) *partition.Stream {
	r.t.Helper()
	saved := &state.Stream{Columns: columns, Shards: map[gtid.Shard]*state.Shard{}}
	for shard, s := range shards {
		saved.Shards[in(shard)] = s
	}
	return r.addStream(testTable(name), airbyte.Incremental, saved)
}

// journalTo is the journal after which the shard's rows are in other shards, from transaction 10.
func journalTo(shards ...string) *event {
	j := &binlogdatapb.Journal{MigrationType: binlogdatapb.MigrationType_SHARDS}
	for _, shard := range shards {
		j.ShardGtids = append(j.ShardGtids, &binlogdatapb.ShardGtid{Keyspace: "shop", Shard: shard, Gtid: fakevtgate.GTID(10)})
	}
	return &event{Type: binlogdatapb.VEventType_JOURNAL, Journal: j}
}

// shardsOf returns the shards of the last state with their positions; a star marks a copy.
func shardsOf(t *testing.T, out *destination.Output) map[string]string {
	t.Helper()
	parsed := streamOf(t, out.States[len(out.States)-1])
	shards := map[string]string{}
	for at, shard := range parsed.Shards {
		name := at.Name
		shards[name] = strings.TrimPrefix(shard.Position.String(), "MySQL56/"+fakevtgate.UUID)
		if shard.Copy != nil {
			shards[name] += "*"
		}
	}
	return shards
}

// insertInto is transaction n of a shard.
func insertInto(shard string, n int, id string) []*event {
	s := fakevtgate.Script{Keyspace: "shop", Shard: shard}
	return []*event{begin(7, n), fields(7, "users"), rowOf(7, "users", nil, []string{id, shard}), s.VGTID(n, nil), commit(7)}
}

func TestSplitShardIsReadToItsJournal(t *testing.T) {
	r := newRig(t, 0, func(q *request, send func(...*event), done <-chan struct{}) error {
		switch shard := q.Vgtid.ShardGtids[0].Shard; shard {
		case "-":
			send(insertInto(shard, 6, "6")...)
			send(begin(7, 7), journalTo("-80", "80-"))
			return status.Error(codes.Internal, "the reader should have ended")
		default:
			send(insertInto(shard, 20, "20")...)
		}
		return hold(done)
	})
	r.newShards("-80", "80-")
	r.addSaved("users", map[string]*state.Shard{"-": {Position: at(5)}})
	out := r.must()
	got := rows(out)
	slices.Sort(got[1:])
	if !slices.Equal(got, []string{"6:-", "20:-80", "20:80-"}) {
		t.Errorf("records %v", got)
	}
	if got := shardsOf(t, out); !maps.Equal(got, map[string]string{"-80": ":1-20", "80-": ":1-20"}) {
		t.Errorf("the last state has %v", got)
	}
	for _, q := range r.requests()[1:] {
		if g := q.Vgtid.ShardGtids[0]; g.Gtid != fakevtgate.GTID(10) {
			t.Errorf("shard %s was read from %s, not from the journal's position", g.Shard, g.Gtid)
		}
	}
}

// A new shard may have purged the binary logs since its journal, also if an earlier sync has read the former one.
func TestNewShardsThatHavePurgedTheirLogs(t *testing.T) {
	moved := map[gtid.Shard]gtid.Position{in("-80"): at(10), in("80-"): at(10)}
	for name, saved := range map[string]*state.Shard{
		"the former shard is read now": {Position: at(5)}, "it was read": {Position: at(5), Moved: moved},
	} {
		for _, resync := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, resync %v", name, resync), func(t *testing.T) {
				r := newRig(t, 0, func(q *request, send func(...*event), done <-chan struct{}) error {
					g := q.Vgtid.ShardGtids[0]
					switch {
					case g.Shard == "-":
						send(begin(7, 7), journalTo("-80", "80-"))
					case g.Gtid == "":
						s := fakevtgate.Script{Keyspace: "shop", Shard: g.Shard}
						send(begin(0, 0), fields(0, "users"), s.VGTID(20, nil), commit(0), script.CopyCompleted())
					}
					return hold(done)
				})
				if resync {
					r.configure(`,"invalid_cdc_cursor_position_behavior":"Re-sync data"`)
				}
				r.newShards("-80", "80-")
				r.asks = func(s *Server) {
					s.Purged = func(_ context.Context, shard gtid.Shard, set string) (bool, error) {
						return shard == in("80-") && set == at(10).GTIDSet(), nil
					}
				}
				r.addSaved("users", map[string]*state.Shard{"-": saved})
				out, err := within(t, r, 10*time.Second)
				if resync {
					if got := shardsOf(t, out); err != nil || !maps.Equal(got, map[string]string{"-80": ":1-20", "80-": ":1-20"}) {
						t.Errorf("%v: the last state has %v, traces %+v", err, got, out.Errors)
					}
					return
				}
				if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 1 || !strings.Contains(out.Errors[0].Message, "shard 80- has purged the binary logs since then") {
					t.Errorf("%v, traces %+v", err, out.Errors)
				}
			})
		}
	}
}

// Columns are changed before or after a shard is split: rows of the former shard and of the new ones are read with the columns that the
// table had when they were written. Without the statement these are unknown.
func TestColumnsChangedAroundASplit(t *testing.T) {
	const drop = "alter table users drop column gone, modify column name varchar(50) character set utf8mb4"
	was := []table.Column{dropped[0], dropped[1], {Name: "name", Type: "varchar(40)", Charset: "utf8mb4"}}
	for name, c := range map[string]struct{ before, after bool }{"before": {true, false}, "after": {false, true}, "never": {}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 0, func(q *request, send func(...*event), done <-chan struct{}) error {
				shard := q.Vgtid.ShardGtids[0].Shard
				if shard == "-" {
					send(older(6)...)
					if c.before {
						send(changed(7, drop)...)
					}
					send(journalTo("-80", "80-"))
					return hold(done)
				}
				if c.after {
					for _, e := range older(9) {
						if e.Vgtid != nil {
							e = inShard(shard, script.VGTID(15, nil))
						}
						send(e)
					}
					send(inShard(shard, script.VGTID(16, nil)), ddl(drop))
				}
				send(insertInto(shard, 20, "20")...)
				return hold(done)
			})
			r.newShards("-80", "80-")
			r.asks = func(s *Server) {
				s.Statements.Definition = func(ctx context.Context, shard gtid.Shard, name string) (string, error) {
					if shard.Name == "-" { // it does not serve
						return "", schema.ErrRefused
					}
					return definesUsers(ctx, shard, name)
				}
			}
			r.cfg.CheckpointIntervalSeconds = 0
			r.addUnder(was, "users", map[string]*state.Shard{"-": {Position: at(5)}})
			if !c.before && !c.after {
				out, err := r.run()
				if !errors.Is(err, ErrIncomplete) || len(out.Records) > 0 || len(out.Errors) == 0 ||
					!strings.Contains(out.Errors[0].Message, "has changes made before its columns were changed, which cannot be read") {
					t.Errorf("error %v, %d records, traces %+v", err, len(out.Records), out.Errors)
				}
				return
			}
			got := rows(r.must())
			slices.Sort(got)
			want := []string{"20:-80", "20:80-", "6:x"}
			if c.after {
				want = append(want, "9:x", "9:x")
			}
			if !slices.Equal(got, want) {
				t.Errorf("records %v", got)
			}
		})
	}
}

// A copy that starts over needs the changes since its first snapshot.
func TestSplitCopysRowsOfUnknowableColumnsAreRefused(t *testing.T) {
	r := newRig(t, 0, func(q *request, send func(...*event), done <-chan struct{}) error {
		g := q.Vgtid.ShardGtids[0]
		s := fakevtgate.Script{Keyspace: "shop", Shard: g.Shard}
		switch {
		case g.Shard == "-":
			send(insertInto("-", 6, "6")...)
			send(journalTo("-80", "80-"))
		case g.Gtid == "":
			send(begin(0, 0), fields(0, "users"), s.VGTID(20, nil), commit(0), s.CopyCompleted())
		default:
			send(begin(7, 20), s.VGTID(20, nil), commit(7))
		}
		return hold(done)
	})
	r.newShards("-80", "80-")
	r.addUnder(dropped, "users", map[string]*state.Shard{"-": {Copy: &state.Copy{Oldest: at(5)}}})
	out, err := r.run()
	if !errors.Is(err, ErrIncomplete) || len(out.Records) > 0 || len(out.Errors) == 0 || !strings.Contains(out.Errors[0].Message, "which cannot be read") {
		t.Errorf("error %v, %d records, traces %+v", err, len(out.Records), out.Errors)
	}
}

func TestMergedShardsAreReadToTheirJournals(t *testing.T) {
	r := newRig(t, 0, func(q *request, send func(...*event), done <-chan struct{}) error {
		shard := q.Vgtid.ShardGtids[0].Shard
		if shard == "-" {
			send(insertInto(shard, 20, "20")...)
			return hold(done)
		}
		send(insertInto(shard, 6, "6")...)
		send(journalTo("-"))
		return hold(done)
	})
	r.newShards("-")
	// An earlier sync was stopped after it had read one of the two.
	r.addSaved("users", map[string]*state.Shard{"-80": {Position: at(5)}, "80-": {Position: at(5), Moved: map[gtid.Shard]gtid.Position{in("-"): at(10)}}})
	out := r.must()
	if got := rows(out); !slices.Equal(got, []string{"6:-80", "20:-"}) {
		t.Errorf("records %v", got)
	}
	if got := shardsOf(t, out); !maps.Equal(got, map[string]string{"-": ":1-20"}) {
		t.Errorf("the last state has %v", got)
	}
}

// The new shard starts with the columns that each former one had at its journal, not those where the last sync stopped reading it.
func TestMergedShardsRowsFromAfterAChangeOfColumnsAreGiven(t *testing.T) {
	r := newRig(t, 0, func(q *request, send func(...*event), done <-chan struct{}) error {
		shard := q.Vgtid.ShardGtids[0].Shard
		if shard == "-" {
			send(insertInto(shard, 20, "20")...)
			return hold(done)
		}
		send(fakevtgate.Script{Keyspace: "shop", Shard: shard}.VGTID(6, nil), ddl("alter table users drop column gone"), journalTo("-"))
		return hold(done)
	})
	r.newShards("-")
	s := r.addSaved("users", map[string]*state.Shard{"-80": {Position: at(5)}, "80-": {Position: at(5), Moved: map[gtid.Shard]gtid.Position{in("-"): at(10)}}})
	s.Saved()[in("-80")].Layout.Adopt(s.Table.Columns, dropped)
	if got := rows(r.must()); !slices.Equal(got, []string{"20:-"}) {
		t.Errorf("records %v", got)
	}
}

// splitCopy is a sync of a shard that was split in the middle of a copy.
func splitCopy(t *testing.T) *rig {
	r := newRig(t, 0, func(q *request, send func(...*event), done <-chan struct{}) error {
		shard := q.Vgtid.ShardGtids[0].Shard
		if shard == "-" {
			send(insertInto(shard, 6, "1")...)
			send(journalTo("-80", "80-"))
			return hold(done)
		}
		s := fakevtgate.Script{Keyspace: "shop", Shard: shard}
		send(begin(0, 0), fields(0, "users"), s.VGTID(20, pk("users", "1")))
		send(rowOf(0, "users", nil, []string{"2", shard}), s.VGTID(20, pk("users", "2")), commit(0), s.CopyCompleted())
		return hold(done)
	})
	r.newShards("-80", "80-")
	r.addSaved("users", map[string]*state.Shard{"-": {Position: at(5), Copy: &state.Copy{Oldest: at(3), LastPK: pk("users", "1").Lastpk}}})
	return r
}

// The copy of a shard that was split resumes after its last key in each new shard.
func TestSplitCopyCarriesItsKey(t *testing.T) {
	r := splitCopy(t)
	out := r.must()
	got := rows(out)
	slices.Sort(got)
	if !slices.Equal(got, []string{"1:-", "2:-80", "2:80-"}) {
		t.Errorf("records %v", got)
	}
	for _, q := range r.requests()[1:] {
		g := q.Vgtid.ShardGtids[0]
		if g.Gtid != fakevtgate.GTID(10) || len(g.TablePKs) != 1 || string(g.TablePKs[0].Lastpk.Rows[0].Values) != "1" {
			t.Errorf("shard %s was read from %v", g.Shard, g)
		}
	}
}

// Copies of shards that were merged have different last keys: they start over, and deletes since then are replicated.
func TestMergedCopyStartsOver(t *testing.T) {
	r := newRig(t, 0, func(q *request, send func(...*event), done <-chan struct{}) error {
		g := q.Vgtid.ShardGtids[0]
		s := fakevtgate.Script{Keyspace: "shop", Shard: g.Shard}
		switch {
		case g.Shard != "-":
			send(begin(7, 6), fields(7, "users"), rowOf(7, "users", []string{"3", g.Shard}, nil), s.VGTID(6, nil), commit(7), journalTo("-"))
		case g.Gtid == "":
			send(begin(0, 0), fields(0, "users"))
			send(s.VGTID(20, nil))
			send(rowOf(0, "users", nil, []string{"1", "-"}), s.VGTID(20, pk("users", "1")), commit(0), s.VGTID(20, nil), s.CopyCompleted())
		default:
			send(begin(7, 20), s.VGTID(20, nil), commit(7))
		}
		return hold(done)
	})
	r.newShards("-")
	copying := func() *state.Shard {
		return &state.Shard{Position: at(5), Copy: &state.Copy{Oldest: at(4), LastPK: pk("users", "1").Lastpk}}
	}
	r.addSaved("users", map[string]*state.Shard{"-80": copying(), "80-": copying()})
	out := r.must()
	got := rows(out)
	slices.Sort(got[:2])
	if !slices.Equal(got, []string{"-3:-80", "-3:80-", "1:-"}) {
		t.Errorf("records %v", got)
	}
	if got := shardsOf(t, out); !maps.Equal(got, map[string]string{"-": ":1-20"}) {
		t.Errorf("the last state has %v", got)
	}
}

func TestFormerShardThatNoLongerExists(t *testing.T) {
	gone := func(q *request, send func(...*event), done <-chan struct{}) error {
		g := q.Vgtid.ShardGtids[0]
		if g.Shard == "-" {
			return status.Error(codes.FailedPrecondition, "shard provided in VGTID, -, not found in the shop keyspace")
		}
		s := fakevtgate.Script{Keyspace: "shop", Shard: g.Shard}
		send(begin(0, 0), fields(0, "users"))
		send(s.VGTID(20, nil))
		send(rowOf(0, "users", nil, []string{"1", g.Shard}), s.VGTID(20, pk("users", "1")), commit(0), s.VGTID(20, nil), s.CopyCompleted())
		return hold(done)
	}
	t.Run("Fail sync", func(t *testing.T) {
		r := newRig(t, 0, gone)
		r.newShards("-80", "80-")
		r.addSaved("users", map[string]*state.Shard{"-": {Position: at(5)}})
		out, err := r.run()
		if !errors.Is(err, ErrIncomplete) || len(out.Records) > 0 || out.Errors[0].FailureType != "config_error" ||
			!strings.Contains(out.Errors[0].Message, `its shard - was split or merged`) || out.Statuses[streamNamed("users")] != "INCOMPLETE" {
			t.Errorf("error %v, records %v, traces %+v, statuses %v", err, rows(out), out.Errors, out.Statuses)
		}
	})
	t.Run("Re-sync data", func(t *testing.T) {
		r := newRig(t, 0, gone)
		r.cfg.InvalidPositionBehavior = config.Resync
		r.newShards("-80", "80-")
		r.addSaved("users", map[string]*state.Shard{"-": {Position: at(5)}})
		out := r.must()
		got := rows(out)
		slices.Sort(got)
		if !slices.Equal(got, []string{"1:-80", "1:80-"}) {
			t.Errorf("records %v", got)
		}
	})
}

// said waits until the sync has printed a text.
func (r *rig) said(words string, done <-chan struct{}) {
	for {
		r.out.mu.Lock()
		found := strings.Contains(r.out.buf.String(), words)
		r.out.mu.Unlock()
		if found {
			return
		}
		select {
		case <-done:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// One of two former shards no longer exists, so the stream must be copied again, while the other former shard is still being read.
func TestOneOfTwoFormerShardsNoLongerExists(t *testing.T) {
	r := newRig(t, 0, nil)
	r.stream = func(q *request, send func(...*event), done <-chan struct{}) error {
		switch shard := q.Vgtid.ShardGtids[0].Shard; shard {
		case "-80":
			return status.Error(codes.FailedPrecondition, "shard provided in VGTID, -80, not found in the shop keyspace")
		case "80-":
			r.said("is copied again", done)
			send(insertInto(shard, 6, "6")...)
			send(journalTo("-"))
		default:
			copyOf(send, "users", 20)
		}
		return hold(done)
	}
	r.cfg.InvalidPositionBehavior = config.Resync
	r.newShards("-")
	r.addSaved("users", map[string]*state.Shard{"-80": {Position: at(5)}, "80-": {Position: at(5)}})
	out := r.must()
	if got := rows(out); !slices.Equal(got, []string{"6:80-", "1:a", "2:b"}) {
		t.Errorf("records %v", got)
	}
	if got := shardsOf(t, out); !maps.Equal(got, map[string]string{"-": ":1-20"}) {
		t.Errorf("the last state has %v", got)
	}
}

// A stream that fails in one former shard ends after the others have been read.
func TestStreamThatOneFormerShardDroppedEndsWithTheOthers(t *testing.T) {
	r := newRig(t, 0, nil)
	r.stream = func(q *request, send func(...*event), done <-chan struct{}) error {
		switch shard := q.Vgtid.ShardGtids[0].Shard; shard {
		case "-80":
			partial := rowOf(7, "users", []string{"1", "a"}, []string{"1", "b"})
			partial.RowEvent.RowChanges[0].DataColumns = &binlogdatapb.RowChange_Bitmap{Count: 2, Cols: []byte{1}}
			send(begin(7, 6), fields(7, "users"), partial)
		case "80-":
			r.said("binlog_row_image", done)
			send(insertInto(shard, 6, "6")...)
		}
		send(journalTo("-"))
		return hold(done)
	}
	r.newShards("-")
	for _, name := range []string{"users", "others"} {
		r.addSaved(name, map[string]*state.Shard{"-80": {Position: at(5)}, "80-": {Position: at(5)}})
	}
	r.targets["-"] = at(10) // the position in the journals
	out, err := r.run()
	if got := rows(out); !errors.Is(err, ErrIncomplete) || !slices.Equal(got, []string{"6:80-"}) || out.Statuses[streamNamed("others")] != "COMPLETE" {
		t.Errorf("error %v, records %v, statuses %v", err, got, out.Statuses)
	}
	if text := r.out.buf.String(); strings.Index(text, `"INCOMPLETE"`) < strings.Index(text, `"type":"RECORD"`) {
		t.Errorf("a record after INCOMPLETE:\n%s", text)
	}
}

// A table whose row cannot be read has not passed the journal that comes in the same response: its next sync must not go on behind it.
func TestAJournalRightAfterARowThatCannotBeRead(t *testing.T) {
	partial := rowOf(7, "users", []string{"1", "a"}, []string{"1", "b"})
	partial.RowEvent.RowChanges[0].DataColumns = &binlogdatapb.RowChange_Bitmap{Count: 2, Cols: []byte{1}}
	for name, shards := range map[string][]string{"a former shard": {"-80", "80-"}, "a serving shard": {"-"}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 9, func(q *request, send func(...*event), done <-chan struct{}) error {
				if shard := q.Vgtid.ShardGtids[0].Shard; shard != "-" {
					send(begin(7, 20), fakevtgate.Script{Keyspace: "shop", Shard: shard}.VGTID(20, nil), commit(7))
					return hold(done)
				}
				send(begin(7, 6), fields(7, "users"), fields(7, "others"), partial, script.VGTID(6, nil), commit(7), journalTo("-80", "80-"))
				return hold(done)
			})
			if shards[0] != "-" {
				r.newShards(shards...)
			}
			for _, table := range []string{"users", "others"} {
				r.addSaved(table, map[string]*state.Shard{"-": {Position: at(5)}})
			}
			out, err := r.run()
			if !errors.Is(err, ErrIncomplete) || out.Statuses[streamNamed("users")] != "INCOMPLETE" || out.Statuses[streamNamed("others")] != "COMPLETE" {
				t.Fatalf("error %v, statuses %v", err, out.Statuses)
			}
			for _, s := range out.States {
				former := streamOf(t, s).Shards[in("-")]
				if s.Stream.Name == "users" && (former == nil || former.Moved != nil || !former.Position.Equal(at(5))) {
					t.Errorf("state %s", s.Message)
				}
			}
		})
	}
}

// One table of eight breaks the stream of a former shard: it fails alone, as on a serving shard.
func TestErrorOfOneTableAmongEightInAFormerShard(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"ENUM without a table": "enum or set column @2 does not have valid string values", "not known at all": "something that this package never heard of",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 9, func(q *request, send func(...*event), done <-chan struct{}) error {
				if shard := q.Vgtid.ShardGtids[0].Shard; shard != "-" {
					send(begin(7, 20), fakevtgate.Script{Keyspace: "shop", Shard: shard}.VGTID(20, nil), commit(7))
					return hold(done)
				}
				if slices.Contains(tablesIn(q), "users") {
					return status.Error(codes.Unknown, text)
				}
				send(insert(6, tablesIn(q)...)...)
				send(journalTo("-80", "80-"))
				return hold(done)
			})
			r.newShards("-80", "80-")
			r.cfg.MaxRetries, r.patience = 1, 1
			for _, table := range eight {
				r.addSaved(table, map[string]*state.Shard{"-": {Position: at(5)}})
			}
			out, err := r.run()
			if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 1 || out.Errors[0].Stream.Name != "users" {
				t.Fatalf("error %v, traces %+v", err, out.Errors)
			}
			for _, table := range eight {
				if (out.Statuses[streamNamed(table)] == "COMPLETE") == (table == "users") {
					t.Errorf("%s is %s", table, out.Statuses[streamNamed(table)])
				}
			}
		})
	}
}

// errNoTablet is vtgate's answer if no tablet streams from a position.
var errNoTablet = status.Error(codes.Canceled, `error starting stream from shard GTID keyspace:"shop" shard:"-": failed to find a PRIMARY tablet for VStream in shop/- within the zone1 cell(s): context has expired`)

// The search for the table that breaks a former shard's stream tries only twice: what it meets then may pass.
func TestSearchInAFormerShardCallsNoReasonPermanent(t *testing.T) {
	t.Parallel()
	r := newRig(t, 9, func(q *request, _ func(...*event), _ <-chan struct{}) error {
		if len(tablesIn(q)) > 1 {
			return status.Error(codes.Unknown, "something that this package never heard of")
		}
		return errNoTablet
	})
	r.newShards("-80", "80-")
	r.cfg.MaxRetries, r.patience = 1, 1
	for _, table := range eight[:2] {
		r.addSaved(table, map[string]*state.Shard{"-": {Position: at(5)}})
	}
	out, err := r.run()
	if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 2 || out.Errors[0].FailureType != "transient_error" || out.Errors[1].FailureType != "transient_error" {
		t.Errorf("error %v, traces %+v", err, out.Errors)
	}
}

// What a former shard's rows went to is followed where it serves, and never where none of its rows are.
func TestOnwardFromAFormerShard(t *testing.T) {
	moved := map[gtid.Shard]gtid.Position{in("-40"): at(11), in("40-80"): at(12), in("80-c0"): at(13), in("c0-"): at(14)}
	for name, c := range map[string]struct {
		former           string
		wanted, existing []string
		next             string
		at               int
	}{
		"one that serves":               {"80-", []string{"80-c0", "c0-"}, []string{"-20", "20-40", "40-80", "80-c0", "c0-"}, "80-c0", 13},
		"the first was split again":     {"80-", []string{"c0-"}, []string{"-40", "40-80", "80-a0", "a0-c0", "c0-"}, "c0-", 14},
		"all were split again":          {"-80", []string{"-20"}, []string{"-20", "20-40", "40-60", "60-80", "80-"}, "-40", 11},
		"what serves is not read":       {"80-", []string{"-40"}, []string{"-40", "40-80", "80-c0", "c0-"}, "", 0},
		"all were split, one is read":   {"80-", []string{"e0-"}, []string{"-40", "40-80", "80-a0", "a0-c0", "c0-e0", "e0-"}, "c0-", 14},
		"not read, but the other split": {"80-", []string{"-40"}, []string{"-40", "40-80", "80-c0", "c0-e0", "e0-"}, "c0-", 14},
	} {
		s := &replication{newRig(t, 6, nil).engine().newSync(gtid.Shards("shop", c.wanted...), gtid.Shards("shop", c.existing...)), in(c.former)}
		for _, w := range s.wanted {
			s.targets.Set(w, at(20))
		}
		want := gtid.Position{}
		if c.at > 0 {
			want = at(c.at)
		}
		if next, p := s.onward(in(c.former), moved); next.Name != c.next || !p.Equal(want) {
			t.Errorf("%s: to %s at %s", name, next.Name, p)
		}
	}
}

// A shard is split while it is read: the sync ends there, and the state contains the new shards.
func TestSplitWhileReplicating(t *testing.T) {
	r := newRig(t, 9, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(insert(6, "users")...)
		send(journalTo("-80", "80-"))
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5)})
	out := r.must()
	shard := shardOf(t, out.States[len(out.States)-1])
	if len(out.Records) != 1 || !shard.Moved[in("-80")].Equal(at(10)) || !shard.Moved[in("80-")].Equal(at(10)) {
		t.Errorf("records %v, state %+v", rows(out), shard)
	}
}

// The split was reversed: the shard's journal remains in its binary log, and would end every sync.
func TestSplitThatWasTakenBack(t *testing.T) {
	r := newRig(t, 9, func(_ *request, send func(...*event), done <-chan struct{}) error {
		send(journalTo("-80", "80-"))
		return hold(done)
	})
	r.add(testTable("users"), airbyte.Incremental, &state.Shard{Position: at(5), Moved: map[gtid.Shard]gtid.Position{in("-80"): at(10), in("80-"): at(10)}})
	out, err := r.run()
	if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 1 || out.Errors[0].FailureType != "transient_error" || !strings.Contains(out.Errors[0].Message, "ReverseTraffic") {
		t.Errorf("error %v, traces %+v", err, out.Errors)
	}
}

// Two splits between two syncs: the journal of "-" names "-80", which no longer serves and must be read up to its own journal.
func TestShardThatWasSplitTwice(t *testing.T) {
	for name, saved := range map[string]*state.Shard{
		"nothing read of the first":  {Position: at(5)},
		"the first journal was read": {Position: at(5), Moved: map[gtid.Shard]gtid.Position{in("-80"): at(10), in("80-"): at(10)}},
		"in a copy":                  {Position: at(5), Copy: &state.Copy{Oldest: at(5), LastPK: pk("users", "1").Lastpk}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 0, func(q *request, send func(...*event), done <-chan struct{}) error {
				g := q.Vgtid.ShardGtids[0]
				s := fakevtgate.Script{Keyspace: "shop", Shard: g.Shard}
				switch {
				case g.Shard == "-":
					send(journalTo("-80", "80-"))
				case g.Shard == "-80":
					send(insertInto(g.Shard, 12, "12")...)
					send(journalTo("-40", "40-80"))
				case g.TablePKs != nil:
					send(begin(0, 0), fields(0, "users"), s.VGTID(20, pk("users", "1")))
					send(rowOf(0, "users", nil, []string{"20", g.Shard}), s.VGTID(20, pk("users", "20")), commit(0), s.CopyCompleted())
				default:
					send(insertInto(g.Shard, 20, "20")...)
				}
				return hold(done)
			})
			r.newShards("-40", "40-80", "80-")
			r.addSaved("users", map[string]*state.Shard{"-": saved})
			out := r.must()
			got := rows(out)
			slices.Sort(got)
			if !slices.Equal(got, []string{"12:-80", "20:-40", "20:40-80", "20:80-"}) {
				t.Errorf("records %v", got)
			}
			if got := shardsOf(t, out); !maps.Equal(got, map[string]string{"-40": ":1-20", "40-80": ":1-20", "80-": ":1-20"}) {
				t.Errorf("the last state has %v", got)
			}
			for _, q := range r.requests() {
				if g := q.Vgtid.ShardGtids[0]; g.Gtid == "" {
					t.Errorf("shard %s was requested without a position", g.Shard)
				}
			}
		})
	}
}

// lostFormer is a sync from position 15 of a shard that was split.
func lostFormer(t *testing.T, stream fakevtgate.Stream) *rig {
	r := newRig(t, 0, func(q *request, send func(...*event), done <-chan struct{}) error {
		g := q.Vgtid.ShardGtids[0]
		if g.Shard == "-" {
			return stream(q, send, done)
		}
		s := fakevtgate.Script{Keyspace: "shop", Shard: g.Shard}
		send(begin(0, 0), fields(0, "users"), s.VGTID(20, nil), rowOf(0, "users", nil, []string{"1", g.Shard}), s.VGTID(20, pk("users", "1")), commit(0), s.CopyCompleted())
		return hold(done)
	})
	r.newShards("-80", "80-")
	r.addSaved("users", map[string]*state.Shard{"-": {Position: at(15)}})
	r.patience, r.cfg.MaxRetries = time.Nanosecond, 1
	return r
}

// A former shard whose changes can no longer be read is treated like a purged position.
func TestFormerShardThatLeadsNowhere(t *testing.T) {
	t.Parallel()
	for why, stream := range map[string]fakevtgate.Stream{
		"has purged the binary logs": func(*request, func(...*event), <-chan struct{}) error {
			return status.Error(codes.Unknown, "Cannot replicate because the source purged required binary logs (errno 1236)")
		},
		"does not stream from the saved position, probably because its binary logs were purged": func(*request, func(...*event), <-chan struct{}) error {
			return errNoTablet
		},
		// A copy that had waited started after the traffic was switched: its position is past the journal. Vitess writes changes
		// back to the shard, so its log keeps growing.
		"does not record where the new shards continue": func(_ *request, send func(...*event), done <-chan struct{}) error {
			for i := 16; ; i++ {
				send(insertInto("-", i, "1")...)
				select {
				case <-done:
					return nil
				case <-time.After(time.Millisecond):
				}
			}
		},
		"no journal names": func(_ *request, send func(...*event), done <-chan struct{}) error {
			send(journalTo("-80"))
			return hold(done)
		},
	} {
		t.Run(why, func(t *testing.T) {
			r := lostFormer(t, stream)
			out, err := r.run()
			if why == "no journal names" {
				why = "does not record where the new shards continue"
			}
			if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 1 || out.Errors[0].FailureType != "config_error" ||
				!strings.Contains(out.Errors[0].Message, why) {
				t.Errorf("the error is %v, the traces %+v", err, out.Errors)
			}
			r = lostFormer(t, stream)
			r.configure(`,"starting_gtids":"{\"shop\":{\"-80\":\"` + fakevtgate.GTID(3) + `\"}}"`)
			r.cfg.InvalidPositionBehavior, r.cfg.MaxRetries = config.Resync, 1
			out = r.must()
			got := rows(out)[max(0, len(out.Records)-2):]
			slices.Sort(got)
			if !slices.Equal(got, []string{"1:-80", "1:80-"}) {
				t.Errorf("copied again, the last records are %v", got)
			}
			for _, q := range r.requests() {
				if g := q.Vgtid.ShardGtids[0]; g.Shard != "-" && g.Gtid != "" {
					t.Errorf("shard %s was not copied again, but read from %s", g.Shard, g.Gtid)
				}
			}
		})
	}
}

// A vtgate before 21 does not stream from former shards and sends nothing: a permanent failure, unless it sends nothing for other shards,
// too.
func TestFormerShardThatNeverAnswers(t *testing.T) {
	t.Parallel()
	const why = "does not answer, while the shards that replaced it do"
	for name, c := range map[string]struct {
		silent  []string // the shards that never respond
		resync  bool
		failure string // "" for a sync that succeeds
		says    string
	}{
		"fail":            {[]string{"-"}, false, "config_error", why},
		"resync":          {[]string{"-"}, true, "", why},
		"all hang":        {[]string{"-", "-80", "80-"}, false, "transient_error", "did not help"},
		"one other hangs": {[]string{"-", "80-"}, true, "transient_error", "did not help"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := lostFormer(t, func(_ *request, _ func(...*event), done <-chan struct{}) error { return hold(done) })
			r.silent = c.silent
			if c.resync {
				r.cfg.InvalidPositionBehavior = config.Resync
			}
			r.hear(2 * time.Second) // the others need less even on a busy machine
			out, err := r.run()
			if c.failure == "" {
				got := rows(out)
				slices.Sort(got)
				if err != nil || !slices.Equal(got, []string{"1:-80", "1:80-"}) {
					t.Errorf("the error is %v, the records %v", err, got)
				}
				return
			}
			if !errors.Is(err, ErrIncomplete) || len(out.Records) > 0 || len(out.Errors) != 1 ||
				out.Errors[0].FailureType != c.failure || !strings.Contains(out.Errors[0].Message, c.says) {
				t.Errorf("the error is %v, the traces %+v", err, out.Errors)
			}
		})
	}
}

// A copy that waited for its slot finds that its shard was split: vtgate would still stream it.
func TestCopyDoesNotBeginInAShardThatNoLongerServes(t *testing.T) {
	for _, mode := range []airbyte.SyncMode{airbyte.Incremental, airbyte.FullRefresh} {
		r := newRig(t, 6, func(_ *request, send func(...*event), done <-chan struct{}) error {
			copyOf(send, "users", 6)
			return hold(done)
		})
		r.add(testTable("users"), mode, nil)
		r.serving = func(context.Context) ([]gtid.Shard, error) { return gtid.Shards("shop", "-80", "80-"), nil }
		out, err := r.run()
		if !errors.Is(err, ErrIncomplete) || len(out.Errors) != 1 || out.Errors[0].FailureType != "transient_error" || !strings.Contains(out.Errors[0].Message, "split or merged") {
			t.Errorf("the error is %v, the traces %+v", err, out.Errors)
		}
		if len(out.Records) > 0 || len(r.requests()) != 1 {
			t.Errorf("%d records, %d requests", len(out.Records), len(r.requests()))
		}
	}
}
