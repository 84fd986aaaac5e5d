package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"time"
)

// far is what depends on round trips most: in seconds, next to the server and through proxies that make it distant.
type far struct {
	Near reach `json:"near"`
	Far  reach `json:"far"`
}

// reach are the figures of one distance.
type reach struct {
	Check     float64 `json:"check"`
	Unchanged float64 `json:"unchanged"` // a sync of one table without changes
	First     float64 `json:"first"`     // from the start of a first sync to the first record of its copy
}

// farRuns is how often each is measured.
const farRuns = 5

// trips is how many sequential round trips the distance adds.
func trips(near, far float64) float64 { return (far - near) / (2 * delay).Seconds() }

func (b *bench) measureFar(ctx context.Context, w *workload) (*far, error) {
	t := w.tables[0]
	if err := b.load(ctx, t); err != nil {
		return nil, err
	}
	distant, done, err := distant(ctx, b.plain())
	if err != nil {
		return nil, err
	}
	defer done()
	f := &far{}
	for to, at := range map[*reach]endpoint{&f.Near: b.plain(), &f.Far: distant} {
		if *to, err = b.reach(ctx, at, t.keyspace, t.name); err != nil {
			return nil, err
		}
	}
	for _, line := range f.lines() {
		b.say("  %s", line)
	}
	return f, nil
}

// lines say the figures.
func (f *far) lines() []string {
	line := func(what string, near, far float64) string {
		return fmt.Sprintf("%s: %.2f s, %.2f s from 20 ms away: %.1f round trips in a row", what, near, far, trips(near, far))
	}
	return []string{
		line("check", f.Near.Check, f.Far.Check), line("unchanged sync of 1 table", f.Near.Unchanged, f.Far.Unchanged),
		line("first record of a copy", f.Near.First, f.Far.First),
	}
}

func (b *bench) reach(ctx context.Context, at endpoint, keyspace, table string) (r reach, err error) {
	if r.Unchanged, err = b.unchanged(ctx, at, keyspace, []string{table}); err != nil {
		return r, err
	}
	config, err := b.connector.config("far", at, keyspace, nil)
	if err != nil {
		return r, err
	}
	check, err := repeat(farRuns, func() (sample, error) { return run(ctx, nil, b.connector.program, "check", "--config", config) })
	if err != nil {
		return r, err
	}
	r.Check = check.Seconds
	catalog, err := b.connector.catalog(ctx, "far", config, keyspace, []string{table})
	if err != nil {
		return r, err
	}
	first, err := repeat(farRuns, func() (sample, error) {
		seconds, err := firstRecord(ctx, b.connector.program, "read", "--config", config, "--catalog", catalog)
		return sample{Seconds: seconds}, err
	})
	r.First = first.Seconds
	return r, err
}

// firstRecord is how many seconds pass until a program prints a record. Then it is killed.
func firstRecord(ctx context.Context, args ...string) (float64, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }() // which is how it ends
	reader := bufio.NewReader(out)
	for {
		line, err := reader.ReadBytes('\n')
		if bytes.HasPrefix(line, []byte(`{"type":"RECORD"`)) {
			return time.Since(began).Seconds(), nil
		}
		if err != nil {
			return 0, fmt.Errorf("there was no record: %w", err)
		}
	}
}
