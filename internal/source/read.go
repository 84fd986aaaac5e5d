package source

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/schema"
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
	defer client.Close()
	db, err := openDB(ctx, cfg)
	if err != nil {
		return err
	}
	defer db.Close()
	s := &syncer{cfg: cfg, log: a.log, w: a.w, client: client, columns: columnsOf(db), screen: terminal(a.stderr)}
	failures, err := s.prepare(ctx, db, catalog, state)
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

// prepare finds out everything that a sync needs to know before it reads the first row.
func (s *syncer) prepare(ctx context.Context, db *schema.DB, catalog *airbyte.ConfiguredCatalog, in *airbyte.State) (map[airbyte.StreamDescriptor]*failure, error) {
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
	tables, err := s.peekWithTables(ctx, db, catalog)
	if err != nil {
		return nil, err
	}
	failures := s.streamsOf(catalog, tables, saved)
	if err := s.checkPositions(ctx, db, failures); err != nil {
		return nil, err
	}
	return failures, s.estimate(ctx, db)
}

// peeks is how often the tables may change while they are looked up.
const peeks = 10

// peekWithTables peeks, and finds the tables as they are there: looked up before and after, the catalog's are the same.
func (s *syncer) peekWithTables(ctx context.Context, db *schema.DB, catalog *airbyte.ConfiguredCatalog) (map[string]*schema.Table, error) {
	before, err := configuredTables(ctx, db, catalog)
	if err != nil {
		return nil, err
	}
	for range peeks {
		if err := s.peek(ctx); err != nil {
			return nil, err
		}
		after, err := configuredTables(ctx, db, catalog)
		if err != nil {
			return nil, err
		}
		if reflect.DeepEqual(before, after) {
			return after, nil
		}
		before = after
	}
	return nil, because(airbyte.TransientError, nil, "The tables of keyspace %s kept changing while they were looked up (as a schema change that has reached only some shards does); try again when it is done.", s.cfg.Database)
}

// configuredTables looks up the catalog's tables; one that does not exist is missing.
func configuredTables(ctx context.Context, db *schema.DB, catalog *airbyte.ConfiguredCatalog) (map[string]*schema.Table, error) {
	k, err := db.Tables(ctx)
	if err != nil {
		return nil, err
	}
	all := make(map[string]*schema.Table, len(k.Tables))
	for i := range k.Tables {
		all[k.Tables[i].Name] = &k.Tables[i]
	}
	configured := make(map[string]*schema.Table, len(catalog.Streams))
	for i := range catalog.Streams {
		if name := catalog.Streams[i].Stream.Name; all[name] != nil {
			configured[name] = all[name]
		}
	}
	return configured, nil
}

// columnsOf looks up the columns of all tables.
func columnsOf(db *schema.DB) func(context.Context) (map[string][]schema.Column, error) {
	return func(ctx context.Context) (map[string][]schema.Column, error) {
		k, err := db.Tables(ctx)
		if err != nil {
			return nil, err
		}
		columns := make(map[string][]schema.Column, len(k.Tables))
		for _, t := range k.Tables {
			columns[t.Name] = t.Columns
		}
		return columns, nil
	}
}

// peek asks every shard where it stands: where this sync will stop, whatever comes in meanwhile.
func (s *syncer) peek(ctx context.Context) error {
	err := s.retry(ctx, "Asking for the current positions", func(ctx context.Context) (bool, error) {
		stop, err := s.client.Peek(ctx, s.cfg.Database, s.shards)
		s.stop = stop
		return false, err
	})
	if err != nil {
		return classifyStream(err, "keyspace "+s.cfg.Database, strings.Join(s.shards, ", "))
	}
	for _, shard := range s.shards {
		s.log.Info(fmt.Sprintf("Shard %s stands at %s; this sync reads up to there.", shard, s.stop[shard]))
	}
	return nil
}

// reject says why streams cannot be read at all.
func (s *syncer) reject(failures map[airbyte.StreamDescriptor]*failure) error {
	byName := func(a, b airbyte.StreamDescriptor) int { return strings.Compare(a.String(), b.String()) }
	for _, d := range slices.SortedFunc(maps.Keys(failures), byName) {
		err := errors.Join(s.w.Status(d, airbyte.Started), s.w.Error(failures[d].trace(&d)), s.w.Status(d, airbyte.Incomplete))
		if err != nil {
			return errors.Join(errWrite, err)
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
