package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
)

// small are the single figures.
type small struct {
	Spec      float64 `json:"spec"`      // seconds
	Binary    int64   `json:"binary"`    // bytes
	Unchanged float64 `json:"unchanged"` // seconds of a sync of one table without changes
	// The encoder alone: a row of 8 columns.
	Encode float64 `json:"encode"` // nanoseconds
	Allocs int     `json:"allocs"`
}

const (
	specRuns      = 20
	unchangedRuns = 5
	encoderRuns   = 5
)

func (b *bench) measureSmall(ctx context.Context, w *workload) (*small, error) {
	s := &small{}
	spec, err := repeat(specRuns, func() (sample, error) { return run(ctx, nil, b.connector.program, "spec") })
	if err != nil {
		return nil, err
	}
	s.Spec = spec.Seconds
	info, err := os.Stat(b.connector.program)
	if err != nil {
		return nil, err
	}
	s.Binary = info.Size()
	t := w.tables[0]
	if err := b.load(ctx, t); err != nil {
		return nil, err
	}
	if s.Unchanged, err = b.unchanged(ctx, b.plain(), t.keyspace, []string{t.name}); err != nil {
		return nil, err
	}
	if s.Encode, s.Allocs, err = encoder(ctx); err != nil {
		return nil, err
	}
	b.say(
		"  spec %.1f ms, binary %.1f MB, unchanged sync %.3f s, a row encoded in %.0f ns with %d allocations",
		s.Spec*1e3,
		float64(s.Binary)/1e6,
		s.Unchanged,
		s.Encode,
		s.Allocs,
	)
	return s, nil
}

// repeat takes the median of several runs.
func repeat(times int, once func() (sample, error)) (sample, error) {
	var samples []sample
	for range times {
		s, err := once()
		if err != nil {
			return sample{}, err
		}
		samples = append(samples, s)
	}
	return median(samples), nil
}

// unchanged returns the seconds of a sync of tables that have not changed since the last one.
func (b *bench) unchanged(ctx context.Context, at endpoint, keyspace string, tables []string) (float64, error) {
	config, err := b.connector.config("unchanged", at, keyspace, nil)
	if err != nil {
		return 0, err
	}
	var position bytes.Buffer
	if _, err := run(ctx, &position, b.connector.program, "position", "--config", config); err != nil {
		return 0, err
	}
	first, err := b.connector.config("unchanged-first", at, keyspace, map[string]any{"starting_gtids": position.String()})
	if err != nil {
		return 0, err
	}
	catalog, err := b.connector.catalog(ctx, "unchanged", config, keyspace, tables)
	if err != nil {
		return 0, err
	}
	var out bytes.Buffer
	if _, err := run(ctx, &out, b.connector.program, "read", "--config", first, "--catalog", catalog); err != nil {
		return 0, fmt.Errorf("%w: %s", err, lastLine(out.Bytes()))
	}
	states, err := lastStates(out.Bytes())
	if err != nil || len(states) != len(tables) {
		return 0, fmt.Errorf("the sync of %d tables gave the states of %d: %w", len(tables), len(states), err)
	}
	state, err := b.connector.file("unchanged.state.json", states)
	if err != nil {
		return 0, err
	}
	s, err := repeat(unchangedRuns, func() (sample, error) {
		return run(ctx, nil, b.connector.program, "read", "--config", config, "--catalog", catalog, "--state", state)
	})
	return s.Seconds, err
}

// lastStates are what Airbyte would pass back: the last state of each stream.
func lastStates(out []byte) ([]json.RawMessage, error) {
	var states []json.RawMessage
	place := map[string]int{}
	for line := range bytes.Lines(out) {
		var message struct {
			Type  string          `json:"type"`
			State json.RawMessage `json:"state"`
		}
		if err := json.Unmarshal(line, &message); err != nil {
			return nil, err
		}
		if message.Type != "STATE" {
			continue
		}
		var state struct {
			Stream struct {
				Descriptor struct {
					Name string `json:"name"`
				} `json:"stream_descriptor"`
			} `json:"stream"`
		}
		if err := json.Unmarshal(message.State, &state); err != nil {
			return nil, err
		}
		name := state.Stream.Descriptor.Name
		if _, ok := place[name]; !ok {
			place[name] = len(states)
			states = append(states, nil)
		}
		states[place[name]] = message.State
	}
	return states, nil
}

var benchmarkLine = regexp.MustCompile(`BenchmarkNarrow\S*\s+\d+\s+([\d.]+) ns/op.*\s(\d+) allocs/op`)

// encoder runs the encoder's own benchmark.
func encoder(ctx context.Context) (nanoseconds float64, allocs int, err error) {
	out, err := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkNarrow$", "-benchmem", fmt.Sprintf("-count=%d", encoderRuns), "source-planetscale/internal/row").
		CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("running the encoder's benchmark: %w: %s", err, out)
	}
	return parseBenchmark(out)
}

// parseBenchmark takes the median of the times, and the most allocations.
func parseBenchmark(out []byte) (nanoseconds float64, allocs int, err error) {
	var times []float64
	for _, found := range benchmarkLine.FindAllSubmatch(out, -1) {
		time, err := strconv.ParseFloat(string(found[1]), 64)
		if err != nil {
			return 0, 0, err
		}
		count, err := strconv.Atoi(string(found[2]))
		if err != nil {
			return 0, 0, err
		}
		times, allocs = append(times, time), max(allocs, count)
	}
	if len(times) == 0 {
		return 0, 0, fmt.Errorf("the encoder's benchmark BenchmarkNarrow gave no figure: %s", out)
	}
	return middle(times), allocs, nil
}
