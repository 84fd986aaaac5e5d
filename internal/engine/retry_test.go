package engine

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"source-planetscale/internal/failure"
	"source-planetscale/internal/vstream"
)

// A read fails after max_retries attempts in a row without progress, but not within two minutes of the first failure among
// them, however long an attempt waited before it failed (a copy may wait an hour for its table's lock).
func TestFailuresInARowAreHadPatienceWith(t *testing.T) {
	const wait = 3 * time.Minute
	for name, c := range map[string]struct {
		maxRetries int
		waits      int // the attempt that waits before it fails
		progresses int // the attempt that makes progress
		first      int // the attempt whose failure is the first that counts
	}{
		"at once":              {maxRetries: 3, first: 1},
		"after a wait":         {maxRetries: 3, waits: 1, first: 1},
		"again after progress": {maxRetries: 3, waits: 4, progresses: 4, first: 4},
		"for long":             {maxRetries: 50, first: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				retrier := NewRetrier(c.maxRetries, 0, slog.New(slog.DiscardHandler))
				var first time.Time
				attempts := 0
				err := retrier.Do(context.Background(), "The stream", func(context.Context) (bool, error) {
					attempts++
					if attempts == c.waits {
						time.Sleep(wait)
					}
					if attempts == c.first {
						first = time.Now()
					}
					return attempts == c.progresses, failure.Transient("", "The server restarts")
				})
				if d := time.Since(first); err == nil || d < patience || attempts < c.first+c.maxRetries {
					t.Errorf("gave up %s after the first failure, after %d attempts: %v", d, attempts, err)
				} else if d > patience+time.Minute && attempts > c.first+c.maxRetries {
					t.Errorf("gave up too late, %s after the first failure, after %d attempts", d, attempts)
				}
			})
		})
	}
}

// A warning about an attempt that is retried says once what failed, and not what to do, since the retry does it.
func TestARetryIsLoggedOnce(t *testing.T) {
	cause := errors.New("the stream fell silent")
	for what, c := range map[string]struct {
		failed *failure.Verdict
		want   string
	}{
		"The stream of shop.users in shard -": {
			vstream.Judge(cause, "shop.users", "-"),
			"The stream of shop.users in shard - broke (the stream fell silent)",
		},
		"Preparing the sync": {
			failure.Transient("check host and ports", "The server cannot be reached").Because(cause),
			"Preparing the sync failed: The server cannot be reached (the stream fell silent)",
		},
		"Logging in": {failure.Transient("", "The server restarts"), "Logging in failed: The server restarts"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			attempts := 0
			err := NewRetrier(3, 0, slog.New(slog.NewTextHandler(&log, nil))).Do(t.Context(), what, func(context.Context) (bool, error) {
				if attempts++; attempts == 1 {
					return false, c.failed
				}
				return true, nil
			})
			said := regexp.MustCompile(`msg="(.*); trying again in .*\."`).FindStringSubmatch(log.String())
			if err != nil || said == nil || said[1] != c.want {
				t.Errorf("error %v, log %s, want %s", err, log.String(), c.want)
			}
		})
	}
}
