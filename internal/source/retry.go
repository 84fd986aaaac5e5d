package source

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/vstream"
)

// patience is how long the source may fail without any progress before the read does, from the first failure on: a restart or
// a failover takes longer than a few quick retries.
const patience = 2 * time.Minute

// retry runs attempt until it succeeds, fails for good, or has failed max_retries times in a row without progress and for
// at least patience.
func (s *syncer) retry(ctx context.Context, what string, attempt func(context.Context) (progress bool, err error)) error {
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
		if !retriable(err) || failures > s.cfg.MaxRetries && time.Since(since) >= s.patience {
			return err
		}
		wait := pause.NextBackOff()
		s.log.Warn(fmt.Sprintf("%s broke (%v); trying again in %s.", what, err, wait.Round(time.Millisecond)))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// insist does what a sync needs before its first row, as retry does: a server that restarts just then is waited for, too.
func (s *syncer) insist(ctx context.Context, what string, do func(context.Context) error) error {
	return s.retry(ctx, what, func(ctx context.Context) (bool, error) {
		if err := do(ctx); err != nil {
			return false, classify(err)
		}
		return false, nil
	})
}

// retriable tells whether the same attempt may succeed later.
func retriable(err error) bool {
	var f *failure
	switch {
	case errors.Is(err, errOutlived):
		return false
	case errors.As(err, &f):
		return f.kind == airbyte.TransientError
	case tunnelFailure(err) != nil:
		return tunnelFailure(err).kind == airbyte.TransientError
	case errors.Is(err, errNoEventGTID), errors.Is(err, airbyte.ErrWrite), errors.Is(err, errJournal), errors.Is(err, errNoJournal):
		return false
	}
	return vstream.KindOf(err) == vstream.Transient
}
