package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

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

// race is a workload on one server.
type race struct {
	*workload
	source  string
	at      endpoint
	rows    int
	streams []drainStream
	options map[string]any // of the connector
}

// race measures the connector, a drain, and the others.
func (b *bench) race(ctx context.Context, r race, others ...*contender) (comparison, error) {
	c := comparison{Name: r.name, Title: r.title, Source: r.source}
	name := r.name + "-" + r.source
	config, err := b.connector.config(name, r.at, r.keyspace(), r.options)
	if err != nil {
		return c, err
	}
	var tables []string
	for _, t := range r.tables {
		tables = append(tables, t.name)
	}
	catalog, err := b.connector.catalog(ctx, name, config, r.keyspace(), tables)
	if err != nil {
		return c, err
	}
	if c.Start, err = b.unchanged(ctx, r.at, r.keyspace(), tables); err != nil {
		return c, fmt.Errorf("%s, %s, an unchanged sync: %w", r.source, r.title, err)
	}
	if b.against != "" {
		return c, b.race2(ctx, r, config, catalog)
	}
	drain, err := b.drainContender(byDrain, r.rows, r.job())
	if err != nil {
		return c, err
	}
	list := append(b.connectorContenders(b.connector.program, r.rows, config, catalog), drain)
	c.Figures, err = b.measure(ctx, r.source+": "+r.title, r.rows, append(list, others...))
	return c, err
}

// race2 measures two builds of the connector alternately, and the first of them a second time: how far that differs from itself is noise.
func (b *bench) race2(ctx context.Context, r race, config, catalog string) error {
	one := b.connectorContenders(b.connector.program, r.rows, config, catalog)[0]
	other := b.connectorContenders(b.against, r.rows, config, catalog)[0]
	again := *one
	other.name, again.name = "the other build", "the connector again"
	figures, err := b.measure(ctx, r.source+": "+r.title, r.rows, []*contender{one, other, &again})
	if err != nil {
		return err
	}
	b.say("%s: %s: pace against the other build %.3f, against itself %.3f", r.source, r.title,
		figures[1].Seconds/figures[0].Seconds, figures[2].Seconds/figures[0].Seconds)
	return nil
}

func (r *race) job() drainJob {
	return drainJob{Addr: r.at.grpc, Keyspace: r.keyspace(), Streams: r.streams, Concurrency: defaultConcurrency}
}

// onSandbox measures the workload on the real vtgate.
func (b *bench) onSandbox(ctx context.Context, w *workload, from string, more map[string]any) (comparison, error) {
	r := race{workload: w, source: onSandbox, at: b.plain(), streams: w.streams(from), options: more}
	if w.changes != nil {
		r.rows = w.changes.rows()
		return b.race(ctx, r)
	}
	r.rows = w.copied()
	return b.race(ctx, r, b.mysqlContender(w))
}

// onReplay records the workload's stream and measures the contenders that read the recording.
func (b *bench) onReplay(ctx context.Context, w *workload, from string, more map[string]any) (comparison, error) {
	path := filepath.Join(b.connector.dir, w.name+".recording")
	r := race{workload: w, source: onReplay, streams: w.streams(from), options: more}
	var err error
	if r.rows, r.streams[0].Bytes, err = b.record(ctx, path, w, r.streams[0]); err != nil {
		return comparison{}, err
	}
	r.streams[0].Rows = r.rows
	server, err := startReplay(ctx, b.self, path, w.loops)
	if err != nil {
		return comparison{}, err
	}
	defer server.stop()
	if err := os.Remove(path); err != nil { // the server has it in memory
		return comparison{}, err
	}
	r.at = endpoint{mysql: b.sandbox.PlainMySQL, grpc: server.addr}
	job := r.job()
	job.Options.Raw = true
	raw, err := b.drainContender(byRaw, r.rows, job)
	if err != nil {
		return comparison{}, err
	}
	return b.race(ctx, r, raw)
}

// measure runs the contenders alternately, once to warm up and then for all rounds, and takes medians. Each round begins with another
// one, since the first one finds the machine in a state that no other does, and every other round is in reverse.
func (b *bench) measure(ctx context.Context, what string, rows int, contenders []*contender) ([]figure, error) {
	for _, c := range contenders {
		if err := c.try(ctx, c); err != nil {
			return nil, fmt.Errorf("%s, %s: %w", what, c.name, err)
		}
	}
	samples := make([][]sample, len(contenders))
	for round := range b.rounds {
		for turn := range contenders {
			i := (round + turn) % len(contenders)
			if round%2 == 1 { // in reverse, so that nobody always follows the same one
				i = len(contenders) - 1 - i
			}
			c := contenders[i]
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
