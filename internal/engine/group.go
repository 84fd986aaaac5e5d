package engine

import (
	"context"

	"golang.org/x/sync/errgroup"

	"source-planetscale/internal/crash"
)

// group runs functions in parallel; the first error cancels all of them, and a panic counts as one.
type group struct{ *errgroup.Group }

func newGroup(ctx context.Context) (group, context.Context) {
	g, ctx := errgroup.WithContext(ctx)
	return group{g}, ctx
}

// Go runs a function.
func (g group) Go(f func() error) { g.Group.Go(func() error { return crash.Guard(f) }) }

// together runs queries that do not need each other's answers in parallel.
func together(ctx context.Context, questions ...func(context.Context) error) error {
	g, ctx := newGroup(ctx)
	for _, ask := range questions {
		g.Go(func() error { return ask(ctx) })
	}
	return g.Wait()
}
