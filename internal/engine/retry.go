package engine

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"source-planetscale/internal/failure"
)

// patience is how long the source may fail without any progress before the read does, counted from the first failure: a restart or a
// failover takes longer than a few quick retries.
const patience = 2 * time.Minute

// Retrier retries failures that may be temporary.
type Retrier struct {
	max      int // attempts in a row without progress, in addition to the patience
	patience time.Duration
	log      *slog.Logger
}

// NewRetrier returns one that gives up after that many failures in a row without progress, and after some time without any; zero for the
// default.
func NewRetrier(most int, wait time.Duration, log *slog.Logger) Retrier {
	if wait == 0 {
		wait = patience
	}
	return Retrier{max: most, patience: wait, log: log}
}

// Do runs attempt until it succeeds, fails for good, or has failed too often.
func (r Retrier) Do(ctx context.Context, what string, attempt func(context.Context) (progress bool, err error)) error {
	pause := backoff.NewExponentialBackOff() // from half a second, with jitter
	pause.MaxInterval = 30 * time.Second
	failures, since := 0, time.Time{}
	for {
		progress, err := attempt(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if progress {
			failures = 0
			pause.Reset()
		}
		if failures++; failures == 1 {
			since = time.Now() // of the first failure: the attempt before it may have lasted long
		}
		if !retriable(err) || failures > r.max && time.Since(since) >= r.patience {
			return err
		}
		wait := pause.NextBackOff()
		r.log.Warn(fmt.Sprintf("%s; trying again in %s.", trouble(what, failure.In(err)), wait.Round(time.Millisecond)))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// trouble describes what failed, and why. A verdict on exactly that describes it itself.
func trouble(what string, v *failure.Verdict) string {
	if strings.HasPrefix(v.What, what) {
		return v.Trouble()
	}
	return what + " failed: " + v.Trouble()
}

// Insist retries, as Do does, what a sync needs before its first row: a server that is restarting just then is waited for as well.
func (r Retrier) Insist(ctx context.Context, what string, do func(context.Context) error) error {
	return r.Do(ctx, what, func(ctx context.Context) (bool, error) {
		if err := do(ctx); err != nil {
			return false, failure.Judge(err)
		}
		return false, nil
	})
}

// retriable reports whether the same attempt, or one that reads differently, may succeed.
func retriable(err error) bool {
	v := failure.In(err)
	return v != nil && (v.Action == failure.Retry || v.Action == failure.Restart)
}
