package engine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/lineage"
	"source-planetscale/internal/partition"
	"source-planetscale/internal/plan"
	"source-planetscale/internal/reader"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/state"
	"source-planetscale/internal/table"
	"source-planetscale/internal/vstream"
)

// failures are the streams that cannot be read at all, and why.
type failures map[airbyte.StreamDescriptor]*failure.Verdict

// sorted are the streams, by name.
func (f failures) sorted() []airbyte.StreamDescriptor {
	return slices.SortedFunc(maps.Keys(f), func(a, b airbyte.StreamDescriptor) int { return strings.Compare(a.String(), b.String()) })
}

// say reports them, with traces made by the given function. If started is not nil, it is called when all of them have started
// and none has ended.
func (f failures) say(w *airbyte.Writer, trace func(*failure.Verdict, *airbyte.StreamDescriptor) *airbyte.TraceError,
	started func() error,
) error {
	for _, d := range f.sorted() {
		if err := w.Status(d, airbyte.Started); err != nil {
			return err
		}
	}
	if started != nil {
		if err := started(); err != nil {
			return err
		}
	}
	for _, d := range f.sorted() {
		for _, say := range []func() error{
			func() error { return w.Error(trace(f[d], &d)) },
			func() error { return w.Status(d, airbyte.Incomplete) },
		} {
			if err := say(); err != nil {
				return err
			}
		}
	}
	return nil
}

// prepare finds out everything that a sync needs to know before it reads the first row. It may be called again after an error.
func (e *Engine) prepare(ctx context.Context, catalog *airbyte.ConfiguredCatalog, in *airbyte.State) (*Sync, error) {
	legacy, err := legacyStates(in)
	if err != nil {
		return nil, err
	}
	saved, damaged := e.savedStates(catalog, in.Streams, legacy)
	existing, err := e.server.Shards(ctx)
	if err != nil {
		return nil, err
	}
	wanted, err := e.cfg.Pick(existing)
	if err != nil {
		return nil, err
	}
	s := &survey{Sync: e.newSync(wanted, existing)}
	s.former = leftToSave(in.Streams, legacy, saved, damaged)
	if err := s.ask(ctx, catalog, saved); err != nil {
		return nil, err
	}
	if err := s.refuseViews(ctx, catalog, s.tables, s.unsteady); err != nil {
		return nil, err
	}
	maps.Copy(s.unsteady, damaged)
	s.refused = s.streamsOf(catalog, s.tables, s.unsteady, saved)
	s.know()
	if err := (movedTables{s.Sync}).check(ctx, s.moves, s.refused); err != nil {
		return nil, err
	}
	s.peekAncestors(ctx)
	j := newJudgement(s.Sync)
	maps.Copy(j.primaries, s.primaries)
	if err := j.check(ctx, s.refused); err != nil {
		return nil, err
	}
	return s.Sync, s.estimate(ctx)
}

// ask queries the source. What determines when the first row arrives is sent first: the tables, then the peek.
func (s *survey) ask(ctx context.Context, catalog *airbyte.ConfiguredCatalog, saved map[airbyte.StreamDescriptor]*state.Stream) error {
	seen := make(chan struct{}) // the tables were read
	once := sync.OnceFunc(func() { close(seen) })
	then := func(ask func(context.Context) error) func(context.Context) error {
		return func(ctx context.Context) error {
			select {
			case <-seen:
				return ask(ctx)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return together(ctx,
		func(ctx context.Context) error { return s.tablesAtTarget(ctx, catalog, once) },
		// The rows themselves do not always show it: nothing marks what was not logged of a deleted one.
		then(func(ctx context.Context) error { return CheckRowImages(ctx, s.shared.Log, s.server, s.wanted) }),
		then(func(ctx context.Context) error {
			return WarnOfCascades(ctx, s.shared.Log, s.server, s.wanted, catalog.Has)
		}),
		then(func(ctx context.Context) error { return s.findReferences(ctx, catalog) }),
		then(func(ctx context.Context) (err error) {
			if somethingToCopy(catalog, saved) {
				s.sizes, err = s.server.TableSizes(ctx, s.wanted)
			}
			return refusedOnly(err) // a progress report without percentages and remaining times
		}),
	)
}

// survey collects what a sync needs to know.
type survey struct {
	*Sync
	// tables are those at the target; unsteady says why a table's state there cannot be determined.
	tables   map[string]*table.Table
	unsteady map[string]error
	// found are the tables' incarnations, nil until they were queried.
	found map[gtid.Shard]map[string]table.Incarnation
	// foundAt are the primaries' positions after that, if replicas are read.
	foundAt map[gtid.Shard]gtid.Position
	moves   moves
	// primaries are what the shards' primaries know, as far as they were queried after the peek.
	primaries map[gtid.Shard]primary
	sizes     map[gtid.Shard]map[string]schema.TableSize // nil if they were not queried
}

// newSync creates a sync of shards, none of which has a target yet.
func (e *Engine) newSync(wanted, existing []gtid.Shard) *Sync {
	s := &Sync{Engine: e, wanted: wanted, existing: existing, targets: reader.NewTargets()}
	s.env = &reader.Env{
		Open: s.open, Peek: s.where, Serving: e.server.Shards, Tables: e.server.Tables, Sorts: e.server.Sorts,
		TableAt: tableAt(s), Incarnations: e.server.Primary.Incarnations,
		Migration: func(ctx context.Context, at gtid.Shard, uuid string) (table.OnlineDDL, error) {
			return unlessRefused(ctx, func() (table.OnlineDDL, error) { return e.server.Statements.Migration(ctx, at.Name, uuid) })
		},
		Targets: s.targets, End: s.end, Changed: e.shared.Progress.changed, Writer: e.shared.Writer, Log: e.shared.Log,
		Settings: reader.Settings{
			Checkpoint: e.cfg.CheckpointInterval(), Timeout: e.cfg.Timeout(), Primary: e.cfg.Primary(),
			Processors: e.shared.Processors,
		},
	}
	return s
}

// peek queries every shard's current position: this sync will stop there, whatever is written in the meantime.
func (s *survey) peek(ctx context.Context) error {
	now, err := s.where(ctx, s.wanted...)
	if err != nil {
		return vstream.Judge(err, "keyspace "+s.cfg.Database, strings.Join(gtid.Names(s.wanted), ", "))
	}
	for _, shard := range s.wanted {
		s.targets.Set(shard, now[shard])
		s.shared.Log.Info(fmt.Sprintf("Shard %s is at %s; this sync will stop there.", shard.Name, now[shard]))
	}
	return nil
}

// Peek queries the current positions of shards of one keyspace.
func Peek(ctx context.Context, client *vstream.Client, shards []gtid.Shard) (map[gtid.Shard]gtid.Position, error) {
	now, err := client.Peek(ctx, shards...)
	if err != nil {
		return nil, vstream.Judge(err, "keyspace "+shards[0].Keyspace, strings.Join(gtid.Names(shards), ", "))
	}
	return now, nil
}

// peekAncestors peeks the shards that were split or merged since their positions were saved. A failure here shows up again when the shard
// is to be read.
func (s *survey) peekAncestors(ctx context.Context) {
	asked := map[gtid.Shard]bool{}
	for _, st := range s.streams {
		for _, shard := range s.ancestors(st) {
			if asked[shard] {
				continue
			}
			asked[shard] = true
			if now, err := s.where(ctx, shard); err == nil {
				s.targets.Set(shard, now[shard])
				s.shared.Log.Info(fmt.Sprintf("The former shard %s is at %s.", shard.Name, now[shard]))
			}
		}
	}
}

// CheckRowImages verifies that the servers log whole rows, as rows, in transactions that can be read: with partial rows, the missing
// values would look like NULLs, and statements are not sent at all.
func CheckRowImages(ctx context.Context, log Logger, server Server, shards []gtid.Shard) error {
	var mu sync.Mutex
	refused := map[gtid.Shard]error{}
	err := schema.EachShard(ctx, shards, func(ctx context.Context, shard gtid.Shard) error {
		v, err := server.Variables(ctx, shard)
		if err != nil {
			if ctx.Err() != nil || refusedOnly(err) != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			refused[shard] = err // which says nothing about the others
			return nil
		}
		if shard == shards[0] {
			sayVersions(log, v)
		}
		return usableRowImage(v, shard)
	})
	if err != nil || len(refused) == 0 {
		return err
	}
	silent := slices.SortedFunc(maps.Keys(refused), lineage.ByName)
	return GoOn(ctx, log, refused[silent[0]], "how the servers of "+plan.Enumerate(gtid.Names(silent), 3)+" log rows")
}

// losses are what vttablets before a version of Vitess lose in replication, newest first.
var losses = []struct {
	before int
	what   string
}{
	{24, "the 64th label of a SET, and JSON documents with a BLOB, BINARY or BIT in them"},
	{22, "partial updates of JSON documents"},
}

// sayVersions logs the versions that the servers report, and what is lost with them.
func sayVersions(log Logger, v schema.Variables) {
	if v.Vitess == "" {
		return
	}
	log.Info(fmt.Sprintf("VTGate reports Vitess %s, and MySQL reports %s.", v.Vitess, cmp.Or(v.MySQL, "an unknown version")))
	first, _, _ := strings.Cut(v.Vitess, ".")
	major, err := strconv.Atoi(first)
	for _, loss := range losses {
		if err == nil && major < loss.before {
			log.Info(fmt.Sprintf("Tablets older than Vitess %d lose some data in row changes: %s.", loss.before, loss.what))
		}
	}
}

func usableRowImage(v schema.Variables, shard gtid.Shard) error {
	switch {
	case !strings.EqualFold(v.RowImage, "FULL"):
		return failure.Config("set binlog_row_image=FULL", "The server of shard %s logs only parts of rows (binlog_row_image is %s)", shard.Name, v.RowImage)
	case !strings.EqualFold(v.Format, "ROW"):
		return failure.Config("set binlog_format=ROW",
			"The server of shard %s logs changes as statements instead of rows (binlog_format is %s), which the connector does not receive", shard.Name, v.Format)
	case v.TaggedGTIDs:
		return failure.Config("the shard can be streamed again once the gtid_executed of its servers has no tags",
			"The server of shard %s has transactions whose GTIDs have tags (gtid_next=AUTOMATIC:tag), which Vitess cannot read", shard.Name)
	case v.RowValueOptions != "":
		return failure.Config("set it to an empty string", "The server of shard %s logs only parts of JSON documents (binlog_row_value_options is %s)", shard.Name, v.RowValueOptions)
	}
	return nil
}

// somethingToCopy reports whether some tables have to be copied, according to the saved states.
func somethingToCopy(catalog *airbyte.ConfiguredCatalog, saved map[airbyte.StreamDescriptor]*state.Stream) bool {
	return slices.ContainsFunc(catalog.Streams, func(c airbyte.ConfiguredStream) bool {
		st := saved[c.Stream.Descriptor()]
		copied := func(shard *state.Shard) bool { return shard.Copy != nil }
		return st == nil || slices.ContainsFunc(slices.Collect(maps.Values(st.Shards)), copied)
	})
}

// estimate reports how many rows the copies will have, if the server reports how large its tables are. The number of changes is unknown.
// For a copy that resumes after a key, the whole table is counted, because the number of rows before the key is not known either: it
// sends at most that many. Shards that others replace are planned later, and not counted.
func (s *survey) estimate(ctx context.Context) error {
	copies := func(st *partition.Stream) bool {
		return slices.ContainsFunc(s.wanted, func(shard gtid.Shard) bool { saved := st.Saved()[shard]; return saved != nil && saved.Copy != nil })
	}
	if !slices.ContainsFunc(s.streams, copies) {
		return nil
	}
	if s.sizes == nil { // a stream starts over
		var err error
		if s.sizes, err = s.server.TableSizes(ctx, s.wanted); err != nil {
			return refusedOnly(err)
		}
	}
	for _, st := range s.streams {
		var sum schema.TableSize
		known := false
		for _, shard := range s.wanted {
			size, ok := s.sizes[shard][st.Table.Name]
			saved := st.Saved()[shard]
			if !ok || saved == nil || saved.Copy == nil {
				continue
			}
			st.In(shard).Expect(size.Rows)
			sum.Rows, sum.Bytes, known = sum.Rows+size.Rows, sum.Bytes+size.Bytes, true
		}
		if !known {
			continue
		}
		if err := s.shared.Writer.Estimate(st.Descriptor, sum.Rows, sum.Bytes); err != nil {
			return err
		}
	}
	return nil
}
