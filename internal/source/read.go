package source

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/table"
	"source-planetscale/internal/vstream"
)

func (a *app) readCommand() *cobra.Command {
	config, catalog, saved := file{flag: "config"}, file{flag: "catalog"}, file{flag: "state"}
	c := &cobra.Command{
		Use: "read", Short: "Print the rows of the configured streams, or what changed since the state", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.read(c.Context(), &config, &catalog, &saved) },
	}
	config.register(c, "the configuration `file`")
	catalog.register(c, "the configured catalog `file`")
	saved.register(c, "the state `file` of the last sync; none to begin afresh")
	return c
}

func (a *app) read(ctx context.Context, configFile, catalogFile, stateFile *file) error {
	cfg, err := a.config(configFile)
	if err != nil {
		return err
	}
	catalog, err := readCatalog(catalogFile)
	if err != nil {
		return err
	}
	state, err := readState(stateFile)
	if err != nil {
		return err
	}
	client, err := vstream.New(cfg.vstream())
	if err != nil {
		return err
	}
	s := &syncer{cfg: cfg, log: a.log, w: a.w, client: client, screen: terminal(a.stderr), processors: runtime.GOMAXPROCS(0), patience: patience}
	var db *schema.DB
	if err := s.insist(ctx, "Logging in", func(ctx context.Context) (err error) { db, err = openDB(ctx, cfg); return err }); err != nil {
		return err
	}
	defer db.Close()
	s.tables, s.serving = tablesBy(db), db.Shards
	if err := s.checkForeign(state); err != nil {
		return err
	}
	var failures map[airbyte.StreamDescriptor]*failure
	err = s.insist(ctx, "Preparing the sync", func(ctx context.Context) (err error) {
		failures, err = s.prepare(ctx, db, catalog, state)
		return err
	})
	if err != nil {
		return err
	}
	if err := s.reject(failures); err != nil {
		return err
	}
	err = s.run(ctx)
	if err == nil && len(failures) > 0 {
		return errIncomplete
	}
	return err
}

// prepare finds out everything that a sync needs to know before it reads the first row. It may be called again after an error.
func (s *syncer) prepare(ctx context.Context, db *schema.DB, catalog *airbyte.ConfiguredCatalog, in *airbyte.State) (map[airbyte.StreamDescriptor]*failure, error) {
	s.streams = nil
	saved, err := savedStates(s.cfg, catalog, in)
	if err != nil {
		return nil, err
	}
	if s.exist, err = db.Shards(ctx); err != nil {
		return nil, err
	}
	if s.shards, err = s.cfg.shards(s.exist); err != nil {
		return nil, because(airbyte.ConfigError, err, "The option shards cannot be used: %s.", err)
	}
	s.slots = newSlots(s.cfg.Concurrency, s.shards)
	// The rows themselves do not always show it: of a deleted one nothing tells what was not logged.
	if err := checkRowImages(ctx, s.log, db, s.shards); err != nil {
		return nil, err
	}
	tables, err := s.peekWithTables(ctx, db, catalog)
	if err != nil {
		return nil, err
	}
	failures := s.streamsOf(catalog, tables, saved)
	if err := s.checkMoved(ctx, db, failures); err != nil {
		return nil, err
	}
	s.peekFormers(ctx)
	if err := s.checkPositions(ctx, db, failures); err != nil {
		return nil, err
	}
	return failures, s.estimate(ctx, db)
}

// peeks is how often the tables may change while they are looked up.
const peeks = 10

// peekWithTables peeks, and finds the tables as they are there: looked up before and after, the catalog's are the same, and
// the same in all shards.
func (s *syncer) peekWithTables(ctx context.Context, db *schema.DB, catalog *airbyte.ConfiguredCatalog) (map[string]*table.Table, error) {
	before, err := s.configuredTables(ctx, db, catalog)
	if err != nil {
		return nil, err
	}
	for range peeks {
		if err := s.peek(ctx); err != nil {
			return nil, err
		}
		after, err := s.configuredTables(ctx, db, catalog)
		if err != nil {
			return nil, err
		}
		if before != nil && reflect.DeepEqual(before, after) {
			return after, nil
		}
		before = after
	}
	return nil, because(airbyte.TransientError, nil, "The tables of keyspace %s kept changing, or differ between its shards, as while a change of the schema is under way; try again when it is done.", s.cfg.Database)
}

// configuredTables looks up the catalog's tables; one that does not exist is missing. It returns nil while shards differ.
func (s *syncer) configuredTables(ctx context.Context, db *schema.DB, catalog *airbyte.ConfiguredCatalog) (map[string]*table.Table, error) {
	var mu sync.Mutex
	var configured map[string]*table.Table
	differ := false
	err := schema.EachShard(ctx, s.shards, func(ctx context.Context, shard string) error {
		k, err := tablesOf(ctx, db, shard, "")
		if err != nil {
			return err
		}
		here := map[string]*table.Table{}
		for i := range k.Tables {
			t := &k.Tables[i]
			if slices.ContainsFunc(catalog.Streams, func(c airbyte.ConfiguredStream) bool { return c.Stream.Name == t.Name }) {
				here[t.Name] = t
			}
		}
		mu.Lock()
		defer mu.Unlock()
		differ = differ || configured != nil && !reflect.DeepEqual(configured, here)
		configured = here
		return nil
	})
	if err != nil || differ {
		return nil, err
	}
	return configured, nil
}

// ofShard asks a shard; where the service does not let us ask one, it asks any.
func ofShard[T any](shard string, ask func(shard string) (T, error)) (T, error) {
	answer, err := ask(shard)
	if errors.Is(err, schema.ErrRefused) {
		return ask("")
	}
	return answer, err
}

// tablesOf looks up a shard's tables, or only one.
func tablesOf(ctx context.Context, db *schema.DB, shard, only string) (*schema.Contents, error) {
	return ofShard(shard, func(shard string) (*schema.Contents, error) { return db.TablesOf(ctx, shard, only) })
}

// tablesBy is a syncer's tables.
func tablesBy(db *schema.DB) func(ctx context.Context, shard, only string, keys bool) (map[string]table.Table, error) {
	return func(ctx context.Context, shard, only string, keys bool) (map[string]table.Table, error) {
		tables := map[string]table.Table{}
		if !keys {
			columns, err := ofShard(shard, func(shard string) (map[string][]table.Column, error) { return db.ColumnsOf(ctx, shard, only) })
			for name, c := range columns {
				tables[name] = table.Table{Name: name, Columns: c}
			}
			return tables, err
		}
		k, err := tablesOf(ctx, db, shard, only)
		if err != nil {
			return nil, err
		}
		for _, t := range k.Tables {
			tables[t.Name] = t
		}
		return tables, nil
	}
}

// peek asks every shard where it stands: where this sync will stop, whatever comes in meanwhile.
func (s *syncer) peek(ctx context.Context) error {
	stop, err := s.client.Peek(ctx, s.cfg.Database, s.shards)
	if err != nil {
		return classifyStream(err, "keyspace "+s.cfg.Database, strings.Join(s.shards, ", "))
	}
	for _, shard := range s.shards {
		s.stop.Store(shard, stop[shard])
		s.log.Info(fmt.Sprintf("Shard %s stands at %s; this sync reads up to there.", shard, s.stopOf(shard)))
	}
	return nil
}

// peekFormers peeks the shards that were split or merged since their positions were saved. What cannot be asked is met again
// when the shard is to be read.
func (s *syncer) peekFormers(ctx context.Context) {
	asked := map[string]bool{}
	for _, st := range s.streams {
		for _, shard := range st.formers(s.exist) {
			if asked[shard] {
				continue
			}
			asked[shard] = true
			if stop, err := s.client.Peek(ctx, s.cfg.Database, []string{shard}); err == nil {
				s.stop.Store(shard, stop[shard])
				s.log.Info(fmt.Sprintf("The former shard %s stands at %s.", shard, stop[shard]))
			}
		}
	}
}

// reject says why streams cannot be read at all.
func (s *syncer) reject(failures map[airbyte.StreamDescriptor]*failure) error {
	byName := func(a, b airbyte.StreamDescriptor) int { return strings.Compare(a.String(), b.String()) }
	for _, d := range slices.SortedFunc(maps.Keys(failures), byName) {
		err := errors.Join(s.w.Status(d, airbyte.Started), s.w.Error(failures[d].trace(&d)), s.w.Status(d, airbyte.Incomplete))
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) replicating() int {
	n := 0
	for _, streams := range p.replicate {
		n += len(streams)
	}
	return n
}

func openDB(ctx context.Context, cfg *Config) (*schema.DB, error) {
	return schema.Open(ctx, cfg.dial(), cfg.Username, cfg.Password, cfg.Database, strings.ToLower(cfg.tabletType().String()))
}

func readCatalog(f *file) (*airbyte.ConfiguredCatalog, error) {
	data, err := f.data()
	if err != nil {
		return nil, err
	}
	catalog, err := airbyte.ParseConfiguredCatalog(data)
	if err != nil {
		return nil, because(airbyte.ConfigError, err, "The file given with --%s cannot be used: %s.", f.flag, err)
	}
	return catalog, nil
}

// readState reads the state file; without one, or with an empty one, every stream begins afresh.
func readState(f *file) (*airbyte.State, error) {
	var data []byte
	if f.path != "" {
		var err error
		if data, err = os.ReadFile(f.path); err != nil {
			return nil, because(airbyte.ConfigError, err, "The file given with --%s cannot be read: %s.", f.flag, err)
		}
	}
	state, err := airbyte.ParseState(data)
	if err != nil {
		return nil, because(airbyte.ConfigError, err, "The file given with --%s cannot be used: %s.", f.flag, err)
	}
	return state, nil
}
