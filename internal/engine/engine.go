// Package engine runs one sync of one keyspace: it queries what exists, plans, reads in parallel, retries, and reports how each stream
// ended. What several keyspaces share (the writer, the slots for copies, the progress) is passed in.
package engine

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/config"
	"source-planetscale/internal/failure"
	"source-planetscale/internal/vstream"
)

// ErrIncomplete reports that at least one stream failed; each has had its own trace.
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

// Options are the parts of an engine.
type Options struct {
	Shared
	Config *config.Config
	Client *vstream.Client
	Server Server
	// Patience is how long the source may fail without any progress before the sync fails; zero for the constant of that name.
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

// New creates an engine. If there are several, all its messages name its keyspace.
func New(o Options) *Engine {
	e := &Engine{shared: o.Shared, cfg: o.Config, client: o.Client, server: o.Server}
	if e.cfg.Several() {
		e.shared.Log = e.shared.Log.WithGroup(e.where())
	}
	e.retrier = NewRetrier(o.Config.MaxRetries, o.Patience, e.shared.Log)
	return e
}

func (e *Engine) where() string { return "Keyspace " + e.cfg.Database }

// trace is a verdict in the form that the platform gets.
func (e *Engine) trace(v *failure.Verdict, d *airbyte.StreamDescriptor) *airbyte.TraceError {
	if e.cfg.Several() {
		v = v.Within(e.where())
	}
	return v.Trace(d)
}

// Read runs one sync: every stream of the catalog, all of which belong to the keyspace, up to the source's position at the start.
// ErrIncomplete reports that streams failed, and have been reported; any other error ended everything.
func (e *Engine) Read(ctx context.Context, catalog *airbyte.ConfiguredCatalog, in *airbyte.State) error {
	var s *Sync
	err := e.retrier.Insist(ctx, "Preparing the sync", func(ctx context.Context) (err error) {
		s, err = e.prepare(ctx, catalog, in)
		return err
	})
	if err != nil {
		return e.unprepared(ctx, catalog, in, err)
	}
	err = s.Run(ctx)
	if err == nil && len(s.refused) > 0 {
		return ErrIncomplete
	}
	return err
}

// unprepared fails the streams of a keyspace that cannot be read at all if others can be: with a single keyspace, its failure is the
// sync's. The same holds while its positions are in the former connector's document, which the platform deletes with the first state of
// another stream.
func (e *Engine) unprepared(ctx context.Context, catalog *airbyte.ConfiguredCatalog, in *airbyte.State, err error) error {
	if !e.cfg.Several() || in.Legacy != nil || ctx.Err() != nil || errors.Is(err, airbyte.ErrWrite) {
		return err
	}
	refused := failures{}
	for i := range catalog.Streams {
		refused[catalog.Streams[i].Stream.Descriptor()] = failure.Judge(err)
	}
	if err := refused.say(e.shared.Writer, e.trace, nil); err != nil {
		return err
	}
	return ErrIncomplete
}
