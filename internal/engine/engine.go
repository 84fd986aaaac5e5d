// Package engine runs one sync of one keyspace: it asks what there is, plans, reads side by side, tries again, and says how each stream
// ended. What several keyspaces share (the writer, the places for copies, the progress) is handed in.
package engine

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/config"
	"source-planetscale/internal/vstream"
)

// ErrIncomplete says that at least one stream failed; each has had its own trace.
var ErrIncomplete = errors.New("not all streams are complete")

// Shared is what the engines of one process share.
type Shared struct {
	Writer   *airbyte.Writer
	Log      *slog.Logger
	Slots    *Slots
	Progress *Progress
	// Sequence counts all records, for _planetscale_metadata; it has gaps.
	Sequence *atomic.Int64
	// Processors is how many may encode one reader's rows.
	Processors int
}

// Options are what an engine is made of.
type Options struct {
	Shared
	Config *config.Config
	Client *vstream.Client
	Server Server
	// Patience is how long the source may fail without any progress before the sync does; zero for the constant of that name.
	Patience time.Duration
}

// Engine runs the syncs of one keyspace.
type Engine struct {
	shared  Shared
	cfg     *config.Config
	client  *vstream.Client
	server  Server
	retrier Retrier
}

// New makes an engine.
func New(o Options) *Engine {
	e := &Engine{shared: o.Shared, cfg: o.Config, client: o.Client, server: o.Server}
	e.retrier = NewRetrier(o.Config.MaxRetries, o.Patience, o.Log)
	return e
}

// Read runs one sync: every stream of the catalog up to where the source was at its start. ErrIncomplete says that streams failed, and
// have said so; any other error ended all.
func (e *Engine) Read(ctx context.Context, catalog *airbyte.ConfiguredCatalog, in *airbyte.State) error {
	if err := e.checkForeign(in); err != nil {
		return err
	}
	e.warnUnused(catalog, in)
	var s *Sync
	var refused failures
	err := e.retrier.Insist(ctx, "Preparing the sync", func(ctx context.Context) (err error) {
		s, refused, err = e.prepare(ctx, catalog, in)
		return err
	})
	if err != nil {
		return err
	}
	if err := refused.say(e.shared.Writer); err != nil {
		return err
	}
	err = s.Run(ctx)
	if err == nil && len(refused) > 0 {
		return ErrIncomplete
	}
	return err
}
