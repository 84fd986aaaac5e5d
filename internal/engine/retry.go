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

// patience is how long the source may fail without any progress before the read does, from the first failure on: a restart or
// a failover takes longer than a few quick retries.
const patience = 2 * time.Minute

// Retrier tries again what may pass.
type Retrier struct {
	max      int // attempts in a row without progress, beside the patience
	patience time.Duration
	log      *slog.Logger
}

// NewRetrier returns one that gives up after so many failures in a row without progress, and after some time without any; zero for the
// usual one.
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
			since = time.Now() // of the first failure: the attempt may have waited long before it
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

// trouble says what failed, and why. A verdict that is about just that says so itself.
func trouble(what string, v *failure.Verdict) string {
	if strings.HasPrefix(v.What, what) {
		return v.Trouble()
	}
	return what + " failed: " + v.Trouble()
}

// Insist does what a sync needs before its first row, as Do does: a server that restarts just then is waited for, too.
func (r Retrier) Insist(ctx context.Context, what string, do func(context.Context) error) error {
	return r.Do(ctx, what, func(ctx context.Context) (bool, error) {
		if err := do(ctx); err != nil {
			return false, failure.Judge(err)
		}
		return false, nil
	})
}

// retriable reports whether the same attempt, or one that differs in what it reads, may succeed.
func retriable(err error) bool {
	v := failure.In(err)
	return v != nil && (v.Action == failure.Retry || v.Action == failure.Restart)
}
