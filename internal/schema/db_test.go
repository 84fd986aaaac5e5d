package schema

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"source-planetscale/internal/dial"
)

// As many shards are queried at a time as there are connections, and each of them once.
func TestEachShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shards []string
		for i := range 2 * maxConnections {
			shards = append(shards, fmt.Sprint(i))
		}
		answer := make(chan struct{})
		var mu sync.Mutex
		asked := map[string]int{}
		done := make(chan error)
		go func() {
			done <- EachShard(t.Context(), shards, func(_ context.Context, shard string) error {
				mu.Lock()
				asked[shard]++
				mu.Unlock()
				<-answer
				return nil
			})
		}()
		synctest.Wait()
		if len(asked) != maxConnections {
			t.Errorf("%d shards are queried at a time", len(asked))
		}
		close(answer)
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, shard := range shards {
			if asked[shard] != 1 {
				t.Errorf("shard %s was queried %d times", shard, asked[shard])
			}
		}
	})
}

func TestEachShardEndsWithTheFirstError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		err := EachShard(t.Context(), []string{"-80", "80-"}, func(ctx context.Context, shard string) error {
			if shard == "80-" {
				return broken
			}
			<-ctx.Done() // blocks forever unless the other query's error cancels it
			return ctx.Err()
		})
		if !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	})
}

// Targets and keyspaces are distinguished before any query.
func TestOpenOfATarget(t *testing.T) {
	for target, keyspace := range map[string]string{"shop/-": "shop", "shop:-80": "shop", "shop@replica": "shop", "shop/-80@rdonly": "shop", "/": ""} {
		_, err := Open(t.Context(), dial.Config{}, "", "", target, "primary")
		if !errors.Is(err, ErrUnknownKeyspace) || !strings.Contains(err.Error(), fmt.Sprintf("the keyspace alone is %q", keyspace)) {
			t.Errorf("%s: %v", target, err)
		}
	}
}
