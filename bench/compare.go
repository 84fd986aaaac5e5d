package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// contender is a program that reads a workload, in a way that can be measured again and again.
type contender struct {
	name string
	// bytes and wire are as in figure, known after try.
	bytes, wire int64
	// try runs it once, not measured, and checks that it reads what it should.
	try func(ctx context.Context, c *contender) error
	run func(ctx context.Context) (sample, error)
}

// The contenders.
const (
	byConnector = "connector"
	byPipe      = "connector | cat"
	byDrain     = "drain"
	byMySQL     = "mysql --quick"
)

// connectorContenders read with the connector, into /dev/null and into a pipe.
func (b *bench) connectorContenders(rows int, config, catalog string) []*contender {
	args := []string{b.connector.program, "read", "--config", config, "--catalog", catalog}
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

func (b *bench) drainContender(rows int, job drainJob) (*contender, error) {
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
	return &contender{name: byDrain, try: try, run: func(ctx context.Context) (sample, error) { return run(ctx, nil, args...) }}, nil
}

// mysqlContender reads the workload's table with MySQL's own client, shard after shard, from each shard's socket.
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
		var sum sample
		for _, s := range shards[t.keyspace] {
			next, err := one(ctx, s, nil)
			if err != nil {
				return sample{}, err
			}
			sum = sample{sum.Seconds + next.Seconds, sum.CPU + next.CPU, max(sum.Peak, next.Peak)}
		}
		return sum, nil
	}
	return &contender{name: byMySQL, try: try, run: all}
}

// measure runs the contenders in turn, once to warm up and then for all rounds, and takes medians.
func (b *bench) measure(ctx context.Context, what string, rows int, contenders []*contender) ([]figure, error) {
	for _, c := range contenders {
		if err := c.try(ctx, c); err != nil {
			return nil, fmt.Errorf("%s, %s: %w", what, c.name, err)
		}
	}
	samples := make([][]sample, len(contenders))
	for range b.rounds {
		for i, c := range contenders {
			s, err := c.run(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", what, c.name, err)
			}
			samples[i] = append(samples[i], s)
		}
	}
	figures := make([]figure, len(contenders))
	for i, c := range contenders {
		figures[i] = figure{Name: c.name, Rows: rows, Bytes: c.bytes, Wire: c.wire, sample: median(samples[i])}
		b.say("  %s: %s", what, figures[i])
	}
	return figures, nil
}

// streams are the VStreams that the connector opens for the workload; from is empty for copies.
func (w *workload) streams(from string) []drainStream {
	var list []drainStream
	for _, t := range w.tables {
		for _, s := range shards[t.keyspace] {
			one := drainStream{Shard: s.name, Table: t.name, Columns: t.names(), From: from}
			if from != "" {
				one.Columns, one.Rows = "*", w.changes.rows()
			}
			list = append(list, one)
		}
	}
	return list
}

// defaultConcurrency is the connector's.
const defaultConcurrency = 4

// compare measures one workload on the sandbox, and then its replay.
func (b *bench) compare(ctx context.Context, w *workload) ([]comparison, error) {
	from, more := "", map[string]any{}
	for _, t := range w.tables {
		if t.rows == 0 {
			continue
		}
		if err := b.load(ctx, t); err != nil {
			return nil, err
		}
	}
	if w.changes != nil {
		var err error
		if from, err = b.change(ctx, w); err != nil {
			return nil, err
		}
		if more, err = startingAt(w.keyspace(), map[string]string{shards[w.keyspace()][0].name: from}); err != nil {
			return nil, err
		}
	}
	real, err := b.onSandbox(ctx, w, from, more)
	if err != nil || w.loops == 0 {
		return []comparison{real}, err
	}
	replayed, err := b.onReplay(ctx, w, from, more)
	return []comparison{real, replayed}, err
}

func (b *bench) contenders(ctx context.Context, name string, w *workload, at endpoint, rows int, streams []drainStream, more map[string]any) ([]*contender, error) {
	config, err := b.connector.config(name, at, w.keyspace(), more)
	if err != nil {
		return nil, err
	}
	var tables []string
	for _, t := range w.tables {
		tables = append(tables, t.name)
	}
	catalog, err := b.connector.catalog(ctx, name, config, w.keyspace(), tables)
	if err != nil {
		return nil, err
	}
	drain, err := b.drainContender(rows, drainJob{Addr: at.grpc, Keyspace: w.keyspace(), Streams: streams, Concurrency: defaultConcurrency})
	return append(b.connectorContenders(rows, config, catalog), drain), err
}

func (b *bench) onSandbox(ctx context.Context, w *workload, from string, more map[string]any) (comparison, error) {
	rows := w.copied()
	if w.changes != nil {
		rows = w.changes.rows()
	}
	list, err := b.contenders(ctx, w.name, w, b.plain(), rows, w.streams(from), more)
	if err != nil {
		return comparison{}, err
	}
	if w.changes == nil {
		list = append(list, b.mysqlContender(w))
	}
	figures, err := b.measure(ctx, w.title, rows, list)
	return comparison{Name: w.name, Title: w.title, Source: onSandbox, Figures: figures}, err
}

// onReplay records the workload's stream and measures who reads the recording.
func (b *bench) onReplay(ctx context.Context, w *workload, from string, more map[string]any) (comparison, error) {
	streams := w.streams(from)
	rec, err := record(ctx, b.sandbox.PlainGRPC, w.keyspace(), streams[0])
	if err != nil {
		return comparison{}, err
	}
	path := filepath.Join(b.connector.dir, w.name+".recording")
	if err := rec.save(path); err != nil {
		return comparison{}, err
	}
	defer os.Remove(path)
	rows := rec.total(w.loops)
	streams[0].Rows = rows
	rec = nil
	server, err := startReplay(ctx, b.self, path, w.loops)
	if err != nil {
		return comparison{}, err
	}
	defer server.stop()
	at := endpoint{mysql: b.sandbox.PlainMySQL, grpc: server.addr}
	list, err := b.contenders(ctx, w.name+"-replay", w, at, rows, streams, more)
	if err != nil {
		return comparison{}, err
	}
	figures, err := b.measure(ctx, "replay: "+w.title, rows, list)
	return comparison{Name: w.name, Title: w.title, Source: onReplay, Figures: figures}, err
}

// replayServer is a replay as a process of its own.
type replayServer struct {
	addr  string
	stdin io.Closer
	cmd   *exec.Cmd
}

func startReplay(ctx context.Context, self, file string, loops int) (*replayServer, error) {
	cmd := exec.CommandContext(ctx, self, "replay", file, fmt.Sprint(loops))
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var port string
	if _, err := fmt.Fscanln(stdout, &port); err != nil {
		stdin.Close()
		return nil, fmt.Errorf("the replay did not start: %w", errors.Join(err, cmd.Wait()))
	}
	return &replayServer{addr: "127.0.0.1:" + strings.TrimSpace(port), stdin: stdin, cmd: cmd}, nil
}

// stop ends the process by closing its stdin; how it ends says nothing.
func (s *replayServer) stop() {
	s.stdin.Close()
	_ = s.cmd.Wait()
}
