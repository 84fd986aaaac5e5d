package connector

import (
	"context"
	"io"
	"os"
	"runtime"
	"sync/atomic"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/engine"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/schema"
	"source-planetscale/internal/vstream"
)

func (a *app) readCommand() *cobra.Command {
	configFile, catalog, saved := file{flag: "config"}, file{flag: "catalog"}, file{flag: "state"}
	c := &cobra.Command{
		Use: "read", Short: "Print the rows of the configured streams, or the changes since the saved state", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.read(c.Context(), &configFile, &catalog, &saved) },
	}
	configFile.register(c, "the configuration `file`")
	catalog.register(c, "the configured catalog `file`")
	saved.register(c, "the state `file` of the last sync; leave it out to start over")
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
	if err := catalog.Resolve(cfg.Database); err != nil {
		return unusable(catalogFile, err)
	}
	state.Resolve(cfg.Database)
	client, err := vstream.New(cfg.VStream())
	if err != nil {
		return err
	}
	defer client.Close()
	var db *schema.DB
	streams := 2 * len(catalog.Namespaces()) // for the peek, and for the first streams with rows
	err = engine.NewRetrier(cfg.MaxRetries, 0, a.log).Insist(ctx, "Logging in", func(ctx context.Context) (err error) {
		ahead(client, cfg, false, streams)
		db, err = openDB(ctx, cfg)
		return err
	})
	if err != nil {
		return err
	}
	defer db.Close()
	ahead(client, cfg, true, streams)
	shared := engine.Shared{
		Writer: a.w, Log: a.log, Slots: engine.NewSlots(cfg.Concurrency), Progress: engine.NewProgress(a.w, a.log, terminal(a.stderr)),
		Sequence: &atomic.Int64{}, Processors: runtime.GOMAXPROCS(0),
	}
	defer shared.Progress.Start()()
	of := func(keyspace string) *engine.Engine {
		return engine.New(engine.Options{
			Shared: shared, Config: cfg.Of(keyspace), Client: client, Server: engine.ServerOf(db.Of(keyspace), keyspace),
		})
	}
	return engine.ReadAll(ctx, cfg, shared, of, catalog, state)
}

// terminal returns w if it is a terminal, else nil.
func terminal(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return w
	}
	return nil
}

func readCatalog(f *file) (*airbyte.ConfiguredCatalog, error) {
	data, err := f.data()
	if err != nil {
		return nil, err
	}
	catalog, err := airbyte.ParseConfiguredCatalog(data)
	if err != nil {
		return nil, unusable(f, err)
	}
	return catalog, nil
}

// readState reads the state file; without one, or with an empty one, every stream starts over.
func readState(f *file) (*airbyte.State, error) {
	var data []byte
	if f.path != "" {
		var err error
		if data, err = f.data(); err != nil {
			return nil, err
		}
	}
	state, err := airbyte.ParseState(data)
	if err != nil {
		return nil, unusable(f, err)
	}
	return state, nil
}

func unusable(f *file, err error) error {
	return failure.Config("", "The file given with --%s cannot be used: %s", f.flag, err).Because(err)
}
