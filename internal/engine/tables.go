package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/gtid"
	"source-planetscale/internal/reader"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/table"
)

// The tables of a sync are those at the position where it stops. Facts of one moment come from one server: the columns are queried
// together with that server's position, before the peek and after it. If the peeked position lies between the two, and the columns are
// the same, they are those at the position. If nothing is written meanwhile, the first of the two is enough.

const (
	// looks is how often the tables may change while they are queried, or the replicas that answer may be at different positions.
	looks = 5
	// lookPause is the pause between two attempts.
	lookPause = time.Second
)

// view is what a shard reports about the catalog's tables.
type view struct {
	tables map[string]table.Table // with their keys
	// before and after are the columns and positions around the peek; nil if the service does not allow querying them.
	before, after *schema.Moment
	// again are the tables after the peek, if the service does not allow querying one of the moments.
	again map[string]table.Table
	// known is what the shard's primary knows, queried last.
	known primary
}

// tablesAtTarget peeks, and finds the tables as they are at that position: those that kept changing, or differ between the shards, are
// unsteady. seen is called once the tables were read for the first time.
func (s *survey) tablesAtTarget(ctx context.Context, catalog *airbyte.ConfiguredCatalog, seen func()) error {
	for look := 1; ; look++ {
		views, err := s.look(ctx, catalog, seen)
		if err != nil {
			return err
		}
		s.tables, s.unsteady = s.agree(views)
		apart := s.apart(views)
		if len(s.unsteady) == 0 && len(apart) == 0 || look == looks {
			s.doubt(views, apart)
			return nil
		}
		if look == 1 {
			s.shared.Log.Info("The tables are being altered, or the replicas that answer are at different positions; reading the schema again.")
		}
		select {
		case <-time.After(lookPause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// namesIn are the names of the catalog's streams, all of which belong to one keyspace.
func namesIn(catalog *airbyte.ConfiguredCatalog) []string {
	names := make([]string, len(catalog.Streams))
	for i := range catalog.Streams {
		names[i] = catalog.Streams[i].Stream.Name
	}
	return names
}

// look queries every shard before the peek and after it.
func (s *survey) look(ctx context.Context, catalog *airbyte.ConfiguredCatalog, seen func()) (map[gtid.Shard]*view, error) {
	names := namesIn(catalog)
	views := make(map[gtid.Shard]*view, len(s.wanted))
	for _, shard := range s.wanted {
		views[shard] = &view{tables: map[string]table.Table{}}
	}
	err := together(ctx,
		func(ctx context.Context) error { return s.incarnations(ctx, catalog) },
		func(ctx context.Context) error {
			return schema.EachShard(ctx, s.wanted, func(ctx context.Context, shard gtid.Shard) error {
				return views[shard].lookBefore(ctx, s, shard, names)
			})
		})
	if err != nil {
		return nil, err
	}
	seen()
	if err := s.peek(ctx); err != nil {
		return nil, err
	}
	err = together(ctx,
		func(ctx context.Context) (err error) {
			s.moves, err = (movedTables{s.Sync}).ask(ctx, existing(names, views))
			return err
		},
		func(ctx context.Context) error {
			return schema.EachShard(ctx, s.wanted, func(ctx context.Context, shard gtid.Shard) error {
				return views[shard].lookAfter(ctx, s, shard, names)
			})
		})
	s.primaries = map[gtid.Shard]primary{}
	for shard, v := range views {
		if !v.refused() {
			s.primaries[shard] = v.known
		}
	}
	return views, err
}

// existing are the names for which a shard has a table.
func existing(names []string, views map[gtid.Shard]*view) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		for _, v := range views {
			if _, ok := v.tables[name]; ok {
				return false
			}
		}
		return true
	})
}

func (v *view) lookBefore(ctx context.Context, s *survey, shard gtid.Shard, names []string) error {
	all, m, err := s.server.TablesAt(ctx, shard, names, true)
	if err == nil {
		v.before = &m
	} else if notAllowed(ctx, err) {
		all, err = s.server.Tables(ctx, shard, nil, true)
	}
	for _, name := range names {
		if t, ok := all[name]; ok {
			v.tables[name] = t
		}
	}
	return err
}

func (v *view) lookAfter(ctx context.Context, s *survey, shard gtid.Shard, names []string) error {
	var err error
	if v.before != nil {
		m := *v.before
		if !v.rested(s.targets.Of(shard)) {
			_, m, err = s.server.TablesAt(ctx, shard, names, false)
		}
		if err == nil {
			v.after = &m
			v.known, err = s.primaryKnows(ctx, shard)
			return err
		}
		if !notAllowed(ctx, err) {
			return err
		}
	}
	v.again, err = s.server.Tables(ctx, shard, nil, true)
	return err
}

// tableAt queries a table as one server has it. A position that was streamed is one that the shard's primary has, except for a replica's
// own transactions; if it may not be queried, a replica may have the position.
func tableAt(s *Sync) func(context.Context, gtid.Shard, string, gtid.Position) (reader.Seen, error) {
	return func(ctx context.Context, shard gtid.Shard, name string, at gtid.Position) (reader.Seen, error) {
		if !at.IsZero() {
			tables, _, err := s.server.Primary.TablesAt(ctx, shard, []string{name}, true)
			if !notAllowed(ctx, err) {
				return reader.Seen{Table: tables[name], Has: err == nil}, err
			}
		}
		tables, m, err := s.server.TablesAt(ctx, shard, []string{name}, true)
		if notAllowed(ctx, err) {
			return reader.Seen{Refused: true}, nil
		}
		if err != nil {
			return reader.Seen{}, err
		}
		known, err := s.primaryKnows(ctx, shard)
		before, err1 := gtid.Parse(m.Before)
		after, err2 := gtid.Parse(m.After)
		has := known.common(before).Contains(known.common(at))
		return reader.Seen{Table: tables[name], Until: known.common(after), Has: has}, cmp.Or(err, err1, err2)
	}
}

// rested reports whether nothing was written from before the columns were read until the peek: they are those at the target.
func (v *view) rested(target gtid.Position) bool {
	at := v.before.Before
	position, err := gtid.Parse(at)
	return err == nil && at == v.before.After && position.Equal(target)
}

// refused reports whether the service did not allow querying a moment. It will not the next time, either.
func (v *view) refused() bool { return v.before == nil || v.after == nil }

// notAllowed reports whether the service does not allow a query.
func notAllowed(ctx context.Context, err error) bool {
	return errors.Is(err, schema.ErrRefused) && ctx.Err() == nil
}

// apart are the shards whose target does not lie between the positions at which their columns were read: another attempt may settle it.
func (s *survey) apart(views map[gtid.Shard]*view) []gtid.Shard {
	var apart []gtid.Shard
	for shard, v := range views {
		if !v.refused() && !v.surrounds(s.targets.Of(shard)) {
			apart = append(apart, shard)
		}
	}
	return apart
}

// surrounds reports whether a position lies between the two moments, ignoring what only one replica has.
func (v *view) surrounds(target gtid.Position) bool {
	before, err1 := gtid.Parse(v.before.After)
	after, err2 := gtid.Parse(v.after.Before)
	return err1 == nil && err2 == nil && target.Contains(v.known.common(before)) && v.known.common(after).Contains(target)
}

// doubt records the shards whose columns at the target are not certain. If moments are refused, a primary's are assumed to be: one server
// answers everything, even if not at one moment.
func (s *survey) doubt(views map[gtid.Shard]*view, apart []gtid.Shard) {
	for _, shard := range s.wanted {
		refused := views[shard].refused() && !s.cfg.Primary()
		if refused {
			s.shared.Log.Info(fmt.Sprintf("Shard %s does not report its position and its tables' columns together; "+
				"the next sync does not rely on the columns that this one saw.", shard.Name))
		}
		if refused || slices.Contains(apart, shard) {
			s.targets.Doubt(shard)
		}
	}
}

// agree finds the tables that are the same in all shards, before the peek and after it.
func (s *survey) agree(views map[gtid.Shard]*view) (map[string]*table.Table, map[string]error) {
	tables, unsteady := map[string]*table.Table{}, map[string]error{}
	where := map[string][]string{}
	for _, shard := range s.wanted {
		v := views[shard]
		for name, t := range v.tables {
			where[name] = append(where[name], shard.Name)
			switch {
			case !v.steady(name):
				unsteady[name] = failure.Transient("try again when the change is done", "The columns of table %s.%s kept changing in shard %s", s.cfg.Database, name, shard.Name)
			case tables[name] == nil:
				tables[name] = &t
			case !t.SameRows(tables[name]) && unsteady[name] == nil:
				unsteady[name] = s.differs(name, where[name][0], shard.Name)
			}
		}
	}
	for name, shards := range where {
		if len(shards) < len(s.wanted) && unsteady[name] == nil {
			for _, shard := range s.wanted {
				if !slices.Contains(shards, shard.Name) {
					unsteady[name] = s.differs(name, shards[0], shard.Name)
				}
			}
		}
	}
	return tables, unsteady
}

func (s *survey) differs(name, one, other string) error {
	return failure.Transient("try again when the change is done in all shards (if it failed in one, complete it there)", "Table %s.%s differs between the shards %s, probably because a schema change is being cut over shard by shard",
		s.cfg.Database, name, strings.Join([]string{one, other}, " and "))
}

// steady reports whether the table had the same columns each time.
func (v *view) steady(name string) bool {
	if v.refused() {
		was, again := v.tables[name], v.again[name]
		return was.SameRows(&again)
	}
	columns := v.tables[name].Columns
	return slices.Equal(columns, v.before.Columns[name]) && slices.Equal(columns, v.after.Columns[name])
}

// references finds the reference tables of a sharded keyspace: each shard has all their rows, and one of them is read.
func (s *survey) findReferences(ctx context.Context, catalog *airbyte.ConfiguredCatalog) error {
	if len(s.existing) < 2 {
		return nil
	}
	names := namesIn(catalog)
	slices.Sort(names)
	var err error
	if s.references, err = s.server.References(ctx, names); err != nil {
		return GoOn(ctx, s.shared.Log, err, fmt.Sprintf("which tables of keyspace %s are reference tables", s.cfg.Database))
	}
	return nil
}
