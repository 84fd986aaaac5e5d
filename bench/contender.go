package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"
)

// contender is a program that reads a workload, in a way that can be measured repeatedly.
type contender struct {
	name string
	// bytes and wire are as in figure, known after try.
	bytes, wire int64
	// try runs it once, unmeasured, and checks that it reads what it should.
	try func(ctx context.Context, c *contender) error
	run func(ctx context.Context) (sample, error)
}

// The contenders.
const (
	byConnector = "connector"
	byPipe      = "connector | cat"
	byDrain     = "drain"
	byRaw       = "drain, undecoded" // what the server and the connection give
	byMySQL     = "mysql --quick"
)

// connectorContenders read with the connector, into /dev/null and into a pipe.
func (b *bench) connectorContenders(program string, rows int, config, catalog string) []*contender {
	args := []string{program, "read", "--config", config, "--catalog", catalog}
	try := func(ctx context.Context, c *contender) error {
		var out lines
		_, err := run(ctx, &out, args...)
		if err != nil {
			return fmt.Errorf("%w: %s", err, out.last)
		}
		c.bytes = out.bytes
		return mustBe(out.records, rows)
	}
	return []*contender{
		{name: byConnector, try: try, run: func(ctx context.Context) (sample, error) { return run(ctx, nil, args...) }},
		{name: byPipe, try: try, run: func(ctx context.Context) (sample, error) { return piped(ctx, args...) }},
	}
}

func mustBe(records int64, rows int) error {
	if records != int64(rows) {
		return fmt.Errorf("it read %d rows, there are %d", records, rows)
	}
	return nil
}

func (b *bench) drainContender(name string, rows int, job drainJob) (*contender, error) {
	text, err := json.Marshal(job)
	if err != nil {
		return nil, err
	}
	args := []string{b.self, "drain", string(text)}
	try := func(ctx context.Context, c *contender) error {
		var out bytes.Buffer
		if _, err := run(ctx, &out, args...); err != nil {
			return err
		}
		var d drained
		if err := json.Unmarshal(out.Bytes(), &d); err != nil {
			return err
		}
		c.bytes, c.wire = d.Messages, d.Wire
		if job.Options.Raw {
			return nil
		}
		return mustBe(d.Rows, rows)
	}
	return &contender{name: name, try: try, run: func(ctx context.Context) (sample, error) { return run(ctx, nil, args...) }}, nil
}

// mysqlContender reads the workload's table with MySQL's own client, one for each shard's socket at the same time.
func (b *bench) mysqlContender(w *workload) *contender {
	t := w.tables[0]
	one := func(ctx context.Context, s shard, out io.Writer) (sample, error) {
		return run(ctx, out, b.sandbox.MySQL, "--socket="+b.sandbox.MySQLSocket(t.keyspace, s.name), "--user=vt_dba",
			"--quick", "--skip-column-names", "--execute=select * from "+t.name, "vt_"+t.keyspace)
	}
	try := func(ctx context.Context, c *contender) error {
		for _, s := range shards[t.keyspace] {
			var out lines
			if _, err := one(ctx, s, &out); err != nil {
				return err
			}
			c.bytes += out.bytes
		}
		return nil
	}
	all := func(ctx context.Context) (sample, error) {
		samples := make([]sample, len(shards[t.keyspace]))
		group, ctx := errgroup.WithContext(ctx)
		for i, s := range shards[t.keyspace] {
			group.Go(func() (err error) {
				samples[i], err = one(ctx, s, nil)
				return err
			})
		}
		err := group.Wait()
		return together(samples), err
	}
	return &contender{name: byMySQL, try: try, run: all}
}
