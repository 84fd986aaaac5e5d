package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Reshard is a change of a keyspace's shards in progress. The new shards have all rows and follow the old ones, which still serve.
type Reshard struct {
	sandbox  *Sandbox
	keyspace string
	from, to []string
}

// Reshard makes the shards to, each with as many tablets as the first of from,
// copies the rows of the shards from into them and returns when they have them
// (10 to 20 seconds). Switch and Complete follow.
func (s *Sandbox) Reshard(ctx context.Context, keyspace string, from, to []string) (*Reshard, error) {
	for _, shard := range to {
		if err := s.Grow(ctx, keyspace, shard, s.tabletsOf(keyspace, from[0])); err != nil {
			return nil, err
		}
	}
	r := &Reshard{sandbox: s, keyspace: keyspace, from: from, to: to}
	_, err := r.command(ctx, "create", "--source-shards", strings.Join(from, ","), "--target-shards", strings.Join(to, ","))
	if err != nil {
		return nil, err
	}
	return r, r.awaitCopy(ctx)
}

// Switch makes the new shards serve instead of the old ones (SwitchTraffic). A position in the old ones can still be streamed from.
func (r *Reshard) Switch(ctx context.Context) error {
	return r.direct(ctx, "SwitchTraffic", r.to)
}

// SwitchReplicas makes only the new shards' replicas serve. Switch follows.
func (r *Reshard) SwitchReplicas(ctx context.Context) error {
	_, err := r.command(ctx, "SwitchTraffic", "--tablet-types", "replica")
	return err
}

// Reverse makes the old shards serve again, which have followed the new ones
// since Switch (ReverseTraffic). Nothing else can be done with r then.
func (r *Reshard) Reverse(ctx context.Context) error {
	return r.direct(ctx, "ReverseTraffic", r.from)
}

// direct gives the shards to the keyspace's users, and returns when vtgate knows their primaries, which is a moment later.
func (r *Reshard) direct(ctx context.Context, command string, shards []string) error {
	if _, err := r.command(ctx, command); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, shard := range shards {
		if err := r.sandbox.awaitShard(ctx, r.keyspace+"/"+shard); err != nil {
			return err
		}
	}
	return nil
}

// Complete ends the Reshard and removes the old shards.
func (r *Reshard) Complete(ctx context.Context) error {
	if _, err := r.command(ctx, "complete"); err != nil {
		return err
	}
	for _, shard := range r.from {
		if err := r.sandbox.Remove(ctx, r.keyspace, shard); err != nil {
			return err
		}
	}
	return nil
}

// workflow is the Reshard's name in Vitess: several of a keyspace may not be complete yet.
func (r *Reshard) workflow() string {
	return "to_" + strings.ReplaceAll(strings.Join(r.to, "_"), "-", "x")
}

// tabletsOf counts the tablets of a shard.
func (s *Sandbox) tabletsOf(keyspace, shard string) int {
	n := 0
	for _, t := range s.tablets {
		if t.Keyspace == keyspace && t.Shard == shard {
			n++
		}
	}
	return n
}

func (r *Reshard) command(ctx context.Context, name string, args ...string) ([]byte, error) {
	return r.sandbox.vtctl(ctx, append([]string{"Reshard", "--workflow", r.workflow(), "--target-keyspace", r.keyspace, name}, args...)...)
}

// awaitCopy waits until every stream of the workflow has completed its copy.
func (r *Reshard) awaitCopy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var last error
	return poll(ctx, func() (bool, error) {
		var copied bool
		copied, last = r.copied(ctx)
		if errors.Is(last, errCopyFailed) {
			return false, last
		}
		return copied, nil
	}, func() error { return fmt.Errorf("copying to the shards %s: %w", strings.Join(r.to, ", "), last) })
}

// errCopyFailed is final: two shards to be merged have rows with the same key, for example.
var errCopyFailed = errors.New("the copy to the new shards has failed")

func (r *Reshard) copied(ctx context.Context) (bool, error) {
	out, err := r.command(ctx, "show", "--include-logs=false")
	if err != nil {
		return false, err
	}
	var shown struct {
		Workflows []struct {
			ShardStreams map[string]struct {
				Streams []struct {
					State      string     `json:"state"`
					Message    string     `json:"message"`
					Position   string     `json:"position"`
					CopyStates []struct{} `json:"copy_states"`
				} `json:"streams"`
			} `json:"shard_streams"`
		} `json:"workflows"`
	}
	if err := json.Unmarshal(out, &shown); err != nil {
		return false, err
	}
	streams, running := 0, 0
	for _, w := range shown.Workflows {
		for _, shard := range w.ShardStreams {
			for _, stream := range shard.Streams {
				streams++
				if stream.State == "Error" {
					return false, fmt.Errorf("%w: %s", errCopyFailed, stream.Message)
				}
				// It is Running, too, before it begins to copy, but has no position then.
				if stream.State == "Running" && stream.Position != "" && len(stream.CopyStates) == 0 {
					running++
				}
			}
		}
	}
	if streams == 0 || running < streams {
		return false, fmt.Errorf("%d of %d streams are past their copy", running, streams)
	}
	return true, nil
}
