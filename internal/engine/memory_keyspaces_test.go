package engine

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"source-planetscale/internal/airbyte"
	"source-planetscale/internal/fakevtgate"
	"source-planetscale/internal/gtid"
)

const (
	// keyspacesChild is set for the process whose memory is measured: the port of the server, and the number of keyspaces.
	keyspacesChild = "ENGINE_MEMORY_OF_KEYSPACES_TEST"
	// Each copy has this many messages of one row, together more than may be received ahead of all copies.
	messagesOfACopy, bytesOfARow = 10, 4 << 20
	copiesAtATime                = 2
	copiesInAll                  = 8
)

// The limits hold for the whole process: four keyspaces of two shards need no more memory than one with as many tables and as many
// copies at a time.
func TestMemoryOfSeveralKeyspaces(t *testing.T) {
	measuresMemory(t)
	one, four := peakOfKeyspaces(t, 1), peakOfKeyspaces(t, 4)
	t.Logf("the copies of one keyspace need %d MiB, those of four %d MiB", one, four)
	if four > one*7/5 {
		t.Errorf("one keyspace needs %d MiB, four need %d", one, four)
	}
}

// peakOfKeyspaces is the peak memory, in MiB, of a process that copies this many keyspaces of two shards, always with the same total
// number of tables.
func peakOfKeyspaces(t *testing.T, keyspaces int) (peak int) {
	t.Helper()
	value := strings.Repeat("x", bytesOfARow)
	var opened atomic.Int64
	together := make(chan struct{})
	r := newRig(t, 20, func(q *request, send func(...*event), done <-chan struct{}) error {
		if opened.Add(1) == copiesAtATime {
			close(together)
		}
		<-together
		at, copied := q.Vgtid.ShardGtids[0], tablesIn(q)[0]
		s := fakevtgate.Script{Keyspace: at.Keyspace, Shard: at.Shard}
		send(begin(0, 0), fields(0, copied), s.VGTID(20, nil))
		for i := range messagesOfACopy {
			send(rowOf(0, copied, nil, []string{strconv.Itoa(i), value}))
		}
		send(s.VGTID(20, pk(copied, strconv.Itoa(messagesOfACopy))), commit(0), s.CopyCompleted())
		return hold(done)
	})
	answer := measure(t, "TestMemoryOfOneProcessWithKeyspaces", fmt.Sprintf("%s=%d,%d", keyspacesChild, r.server.Port(), keyspaces))
	if _, err := fmt.Sscanf(answer, "%d kB", &peak); err != nil {
		t.Fatalf("%v: %.2000s", err, answer)
	}
	return peak >> 10
}

// TestMemoryOfOneProcessWithKeyspaces runs in that process.
func TestMemoryOfOneProcessWithKeyspaces(t *testing.T) {
	port, count, told := strings.Cut(os.Getenv(keyspacesChild), ",")
	if !told {
		t.Skip("part of TestMemoryOfSeveralKeyspaces")
	}
	n, err := strconv.Atoi(count)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"shop", "b", "c", "d"}[:n]
	r, lines := readerOf(t, port, fmt.Sprintf(`,"concurrency":%d,"keyspaces":["%s"]`, copiesAtATime, strings.Join(names, `","`)))
	var streams []airbyte.StreamDescriptor
	for i := range copiesInAll / 2 / n {
		name := fmt.Sprintf("users%d", i)
		r.exists(name)
		for _, keyspace := range names {
			streams = append(streams, airbyte.StreamDescriptor{Name: name, Namespace: keyspace})
		}
	}
	shared := r.shared()
	of := func(keyspace string) *Engine {
		server := r.answers()
		server.Shards = func(context.Context) ([]gtid.Shard, error) { return gtid.Shards(keyspace, "-80", "80-"), nil }
		return New(Options{Shared: shared, Config: r.cfg.Of(keyspace), Client: r.client, Server: server})
	}
	err = ReadAll(t.Context(), r.cfg, shared, of, r.catalog(streams...), noState())
	if err != nil || lines.records != copiesInAll*messagesOfACopy {
		t.Fatalf("%d records, %v", lines.records, err)
	}
	fmt.Printf("%s\n", highWater(t))
}
